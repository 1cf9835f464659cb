import { type Split, splitNumber } from "../corpus.ts";
import { adjectiveShare, pluralPronoun, type Topic, topics } from "../grammar.ts";
import { type Random, randomAt, stream } from "../random.ts";
import type { LabelledCorpus, LabelledSplit, LabelledText } from "./examples.ts";

/**
 * A generated task: what a sentence of the grammar says of a second one about the same people, in a world where nobody is at two
 * places at once, but for the cooks, who come along everywhere:
 *
 * - entailment: the second is of the first's scene ("the wet sailor mends a net patiently in the harbour" / "he finds some pearls deep
 *   near the reef");
 * - contradiction: it is of a scene that excludes the first's ("he hears a rabbit suddenly under the leaves");
 * - neutral: it is of a scene that goes with the first's ("he stirs a soup gently in the kitchen").
 *
 * That takes knowing which of 130 words belong to which scene. The task's training split shows each of them a few times: it is small on
 * purpose. The generated corpus shows it in every paragraph, so a model pretrained on that has an advantage.
 */
export const entailmentLabels = ["entailment", "contradiction", "neutral"] as const;

const examplesOf: Readonly<Record<Split, number>> = { train: 128, valid: 512, test: 1024 };

/** Every split is a function of its own name: the same for every seed of a run, which orders it. */
export function entailmentCorpus(split: Split): LabelledCorpus {
  return {
    name: "generated entailment",
    split: drawSplit(split),
    train: drawSplit("train"),
    labels: entailmentLabels,
  };
}

function drawSplit(split: Split): LabelledSplit {
  const random = randomAt(0, stream.entailment, splitNumber[split]);
  const examples = Array.from({ length: examplesOf[split] }, () => drawExample(random));
  return { examples, unlabelled: 0 };
}

/** A third of each label. */
function drawExample(random: Random): LabelledText {
  const label = pick(entailmentLabels, random);
  const [first, second] = drawTopics(label, random);
  const isPlural = random.uniform() < 0.5;
  const subject = pick(first.subjects, random);
  const noun = isPlural ? subject.plural : subject.singular;
  const premise = ["the", ...adjective(first, random), noun, ...drawScene(first, isPlural, random)];
  const pronoun = isPlural ? pluralPronoun : subject.pronoun;
  const hypothesis = [pronoun, ...drawScene(second, isPlural, random)];
  return { texts: [premise.join(" "), hypothesis.join(" ")], label };
}

/** Sea and castle, kitchen and wood go together; other two exclude each other. */
function drawTopics(label: (typeof entailmentLabels)[number], random: Random): readonly [Topic, Topic] {
  const at = random.below(topics.length);
  const partner = topics.length - 1 - at;
  const first = topics[at]!;
  if (label === "entailment") return [first, first];
  if (label === "neutral") return [first, topics[partner]!];
  return [
    first,
    pick(
      topics.filter((_, other) => other !== at && other !== partner),
      random,
    ),
  ];
}

/** What someone does, how and where. */
function drawScene(topic: Topic, isPlural: boolean, random: Random): readonly string[] {
  const verb = pick(topic.verbs, random);
  const object = pick(verb.objects, random);
  const isManyObjects = random.uniform() < 0.5;
  const determiner = random.uniform() < 0.5 ? "the" : isManyObjects ? "some" : "a";
  const { preposition, place } = pick(topic.places, random);
  return [
    isPlural ? verb.plural : verb.singular,
    ...[determiner, ...adjective(topic, random), isManyObjects ? object.plural : object.singular],
    ...[verb.adverb, preposition, "the", place],
  ];
}

function adjective(topic: Topic, random: Random): readonly string[] {
  return random.uniform() < adjectiveShare ? [pick(topic.adjectives, random)] : [];
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)]!;
}
