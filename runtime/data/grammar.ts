import { type Automaton, type AutomatonBuilder, createAutomatonBuilder } from "./automaton.ts";

/**
 * The generated corpus: a small probabilistic grammar of English, written so that context determines much of each word and
 * a small model finds that out within a few hundred steps.
 *
 *     paragraph -> topic, 3 to 7 sentences of that topic
 *     sentence  -> subject verb object adverb preposition "the" place
 *     subject   -> pronoun of the sentence before (0.6, not in the first sentence) | "the" [adjective 0.3] noun
 *     object    -> "a" [adjective 0.3] singular | "some" [adjective] plural | "the" [adjective] either
 *
 * Agreement and choice: the verb agrees with its subject in number, and each noun has its own usual verb (0.6, the
 * other two 0.2); the object is one of the verb's two; the adverb goes with the verb, the place with the preposition; all
 * words but the function words belong to the topic. The pronoun is the one of the subject before (`he`, `she`, `it`,
 * `they`). So a next sentence shares topic and pronoun with the one before; a random one mostly does not.
 */
interface TopicText {
  /** singular/plural/pronoun; the n-th noun's usual verb is the n-th verb. */
  readonly subjects: readonly [string, string, string];
  /** singular/plural: object/objects object/objects adverb */
  readonly verbs: readonly [string, string, string];
  readonly adjectives: readonly [string, string];
  /** preposition place; one preposition a place */
  readonly places: readonly [string, string];
}

const texts: readonly TopicText[] = [
  {
    subjects: ["sailor/sailors/he", "diver/divers/she", "captain/captains/she"],
    verbs: [
      "mends/mend: net/nets sail/sails patiently",
      "finds/find: pearl/pearls shell/shells deep",
      "steers/steer: boat/boats ship/ships carefully",
    ],
    adjectives: ["salty", "wet"],
    places: ["in harbour", "near reef"],
  },
  {
    subjects: ["cook/cooks/she", "baker/bakers/he", "waiter/waiters/he"],
    verbs: [
      "stirs/stir: soup/soups sauce/sauces gently",
      "bakes/bake: cake/cakes loaf/loaves daily",
      "serves/serve: meal/meals drink/drinks politely",
    ],
    adjectives: ["warm", "sweet"],
    places: ["in kitchen", "at table"],
  },
  {
    subjects: ["hunter/hunters/he", "wolf/wolves/it", "squirrel/squirrels/it"],
    verbs: [
      "follows/follow: deer/deer trail/trails silently",
      "hears/hear: rabbit/rabbits footstep/footsteps suddenly",
      "hides/hide: nut/nuts berry/berries quickly",
    ],
    adjectives: ["wild", "green"],
    places: ["under leaves", "beside brook"],
  },
  {
    subjects: ["knight/knights/he", "queen/queens/she", "dragon/dragons/it"],
    verbs: [
      "sharpens/sharpen: sword/swords lance/lances bravely",
      "rules/rule: kingdom/kingdoms province/provinces wisely",
      "burns/burn: village/villages tower/towers fiercely",
    ],
    adjectives: ["golden", "dark"],
    places: ["in castle", "behind gate"],
  },
];

/** A word in both numbers. */
export interface Noun {
  readonly singular: string;
  readonly plural: string;
}

/** The words of a topic, which no other topic has. */
export interface Topic {
  /** The n-th one's usual verb is the n-th verb; `pronoun` is that of the singular. */
  readonly subjects: readonly (Noun & { readonly pronoun: string })[];
  readonly verbs: readonly (Noun & { readonly objects: readonly Noun[]; readonly adverb: string })[];
  readonly adjectives: readonly string[];
  readonly places: readonly { readonly preposition: string; readonly place: string }[];
}

export const topics: readonly Topic[] = texts.map(({ subjects, verbs, adjectives, places }) => ({
  subjects: subjects.map((text) => {
    const [singular = "", plural = "", pronoun = ""] = text.split("/");
    return { singular, plural, pronoun };
  }),
  verbs: verbs.map((text) => {
    const [forms = "", rest = ""] = text.split(": ");
    const [object1 = "", object2 = "", adverb = ""] = rest.split(" ");
    return { ...nounOf(forms), objects: [nounOf(object1), nounOf(object2)], adverb };
  }),
  adjectives,
  places: places.map((text) => {
    const [preposition = "", place = ""] = text.split(" ");
    return { preposition, place };
  }),
}));

function nounOf(text: string): Noun {
  const [singular = "", plural = ""] = text.split("/");
  return { singular, plural };
}

export const pluralPronoun = "they";
export const pronouns: readonly string[] = ["he", "she", "it", pluralPronoun];
const usualVerb = 0.6;
const otherVerb = 0.2;
export const adjectiveShare = 0.3;
const pronounShare = 0.6;
/** Of a topic's three subjects: some are commoner. */
const subjectShares = [0.5, 0.3, 0.2] as const;
/** Of a verb's two objects. */
const objectShares = [0.65, 0.35] as const;
const adjectiveShares = [0.65, 0.35] as const;
const determiners = [
  { word: "the", share: 0.4, singular: 0.5 },
  { word: "a", share: 0.4, singular: 1 },
  { word: "some", share: 0.2, singular: 0 },
] as const;

/** The grammar above as an automaton. Boundaries: for each topic one for each pronoun, and the paragraph's start. */
export function buildGrammar(): Automaton {
  const b = createAutomatonBuilder();
  const boundaries = topics.map(() => ({ start: b.state(), after: pronouns.map(() => b.state()) }));
  const boundaryCount = topics.length * (pronouns.length + 1);
  topics.forEach((topic, t) => {
    addTopic(b, topic, boundaries[t]!.start, boundaries[t]!.after);
  });
  const paragraphStart = new Array<number>(boundaryCount).fill(0);
  for (const { start } of boundaries) paragraphStart[start] = 1 / topics.length;
  return b.build(boundaryCount, paragraphStart, [3, 4, 5, 6, 7]);
}

/** @param after the boundary after a sentence whose subject is referred to by the n-th pronoun */
function addTopic(b: AutomatonBuilder, topic: Topic, start: number, after: readonly number[]): void {
  const { subjects, verbs } = topic;

  // One state for each pronoun after the verb, for each verb: all that the rest of the sentence depends on.
  const afterVerb = pronouns.map((_, p) => verbs.map((verb) => addObject(b, topic, verb, after[p]!)));
  const they = pronouns.indexOf(pluralPronoun);

  const determined = b.state();
  const described = b.state();
  b.arc(start, determined, "the", 1);
  topic.adjectives.forEach((adjective, i) => {
    b.arc(determined, described, adjective, adjectiveShare * adjectiveShares[i]!);
  });
  subjects.forEach(({ singular, plural, pronoun }, n) => {
    for (const isPlural of [false, true]) {
      const p = isPlural ? they : pronouns.indexOf(pronoun);
      const before = b.state();
      const share = 0.5 * subjectShares[n]!;
      const noun = isPlural ? plural : singular;
      b.arc(determined, before, noun, (1 - adjectiveShare) * share);
      b.arc(described, before, noun, share);
      verbs.forEach((verb, v) => {
        const probability = v === n ? usualVerb : otherVerb;
        b.arc(before, afterVerb[p]![v]!, isPlural ? verb.plural : verb.singular, probability);
      });
    }
  });
  pronouns.forEach((pronoun, p) => {
    const before = b.state();
    b.arc(after[p]!, before, pronoun, pronounShare);
    b.arc(after[p]!, determined, "the", 1 - pronounShare);
    verbs.forEach((verb, v) => {
      b.arc(before, afterVerb[p]![v]!, p === they ? verb.plural : verb.singular, 1 / verbs.length);
    });
  });
}

/** All that follows a verb, ending at the boundary `end`. Returns the state after the verb. */
function addObject(b: AutomatonBuilder, topic: Topic, verb: Topic["verbs"][number], end: number): number {
  const beforeObject = b.state();
  const beforeAdverb = b.state();
  const afterAdverb = b.state();
  for (const { word, share, singular } of determiners) {
    const determined = b.state();
    const described = b.state();
    b.arc(beforeObject, determined, word, share);
    topic.adjectives.forEach((adjective, i) => {
      b.arc(determined, described, adjective, adjectiveShare * adjectiveShares[i]!);
    });
    verb.objects.forEach((object, n) => {
      [object.singular, object.plural].forEach((noun, isPlural) => {
        const probability = objectShares[n]! * (isPlural ? 1 - singular : singular);
        b.arc(determined, beforeAdverb, noun, (1 - adjectiveShare) * probability);
        b.arc(described, beforeAdverb, noun, probability);
      });
    });
  }
  b.arc(beforeAdverb, afterAdverb, verb.adverb, 1);
  for (const { preposition, place } of topic.places) {
    const afterPreposition = b.state();
    const beforePlace = b.state();
    b.arc(afterAdverb, afterPreposition, preposition, 1 / topic.places.length);
    b.arc(afterPreposition, beforePlace, "the", 1);
    b.arc(beforePlace, end, place, 1);
  }
  return beforeObject;
}
