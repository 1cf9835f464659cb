import { drawParagraphs } from "../automaton.ts";
import { type Split, splitNumber } from "../corpus.ts";
import { buildGrammar, pronouns, topics } from "../grammar.ts";
import { randomAt, stream } from "../random.ts";
import type { LabelledCorpus, LabelledSplit, LabelledWords } from "./examples.ts";

/**
 * A generated task: what each word of a sentence of the grammar does there. Nouns and adjectives do it by their place: the same
 * adjective may be the subject's or the object's.
 */
export const roleLabels = ["other", "subject", "verb", "object", "manner", "place"] as const;
type Role = (typeof roleLabels)[number];

const examplesOf: Readonly<Record<Split, number>> = { train: 512, valid: 256, test: 512 };

/** Every split is a function of its own name. */
export function wordRolesCorpus(split: Split): LabelledCorpus {
  return {
    name: "generated word roles",
    split: drawSplit(split),
    train: drawSplit("train"),
    labels: roleLabels,
  };
}

function drawSplit(split: Split): LabelledSplit {
  const automaton = buildGrammar();
  const examples: LabelledWords[] = [];
  for (const sentences of drawParagraphs(automaton, randomAt(0, stream.wordRoles, splitNumber[split]))) {
    for (const sentence of sentences) {
      const words = sentence.map((word) => automaton.words[word]!);
      examples.push({ words, labels: rolesOf(words) });
      if (examples.length === examplesOf[split]) return { examples, unlabelled: 0 };
    }
  }
  throw new Error("a grammar draws without end");
}

const verbs = new Set(topics.flatMap((topic) => topic.verbs.flatMap((verb) => [verb.singular, verb.plural])));
const adverbs = new Set(topics.flatMap((topic) => topic.verbs.map(({ adverb }) => adverb)));
const prepositions = new Set(topics.flatMap((topic) => topic.places.map(({ preposition }) => preposition)));
const articles = new Set(["the", "a", "some"]);

/** Subject up to the verb, object up to the adverb, place after the preposition; articles and prepositions are `other`. */
function rolesOf(words: readonly string[]): readonly Role[] {
  let role: Role = "subject";
  return words.map((word) => {
    if (verbs.has(word)) {
      role = "object";
      return "verb";
    }
    if (adverbs.has(word)) return "manner";
    if (prepositions.has(word)) {
      role = "place";
      return "other";
    }
    return articles.has(word) && !pronouns.includes(word) ? "other" : role;
  });
}
