import { type Automaton, type AutomatonBuilder, createAutomatonBuilder } from "./automaton.ts";

/**
 * The generated corpus: a small probabilistic grammar of English, written so that context determines much of each word.
 *
 *     paragraph -> topic, 3 to 7 sentences of that topic
 *     sentence  -> subject verb object tail
 *     subject   -> pronoun of the sentence before (1/2, not in the first sentence) | "the" [adjective 0.3] noun
 *     object    -> "a" [adjective 0.3] singular | "some" [adjective] plural | "the" [adjective] either
 *     tail      -> nothing 0.3 | the verb's adverb 0.4 | preposition "the" place 0.3
 *
 * Agreement and choice: the verb agrees with its subject in number, and each noun has its own usual verb (0.55, the
 * other three 0.15); the object is one of the verb's two; the adverb goes with the verb; all words but the
 * function words belong to the topic. The pronoun is the one of the subject before (`he`, `she`, `it`, `they`). So a
 * next sentence shares topic and pronoun with the one before; a random one mostly does not.
 */
interface Topic {
  /** singular/plural/pronoun; the n-th noun's usual verb is the n-th verb. */
  readonly subjects: readonly [string, string, string, string];
  /** singular/plural: object/objects object/objects adverb */
  readonly verbs: readonly [string, string, string, string];
  readonly adjectives: readonly [string, string, string];
  /** preposition place */
  readonly places: readonly [string, string];
}

const topics: readonly Topic[] = [
  {
    subjects: ["sailor/sailors/he", "diver/divers/she", "captain/captains/she", "gull/gulls/it"],
    verbs: [
      "mends/mend: net/nets sail/sails patiently",
      "finds/find: pearl/pearls shell/shells deep",
      "steers/steer: boat/boats ship/ships carefully",
      "catches/catch: fish/fishes crab/crabs greedily",
    ],
    adjectives: ["salty", "wet", "blue"],
    places: ["in harbour", "near reef"],
  },
  {
    subjects: ["farmer/farmers/he", "shepherd/shepherds/she", "dog/dogs/it", "cow/cows/it"],
    verbs: [
      "ploughs/plough: field/fields meadow/meadows early",
      "guards/guard: sheep/sheep lamb/lambs faithfully",
      "chases/chase: fox/foxes hen/hens loudly",
      "eats/eat: turnip/turnips carrot/carrots slowly",
    ],
    adjectives: ["muddy", "brown", "hungry"],
    places: ["behind barn", "near fence"],
  },
  {
    subjects: ["cook/cooks/she", "baker/bakers/he", "waiter/waiters/he", "guest/guests/she"],
    verbs: [
      "stirs/stir: soup/soups sauce/sauces gently",
      "bakes/bake: cake/cakes loaf/loaves daily",
      "serves/serve: meal/meals drink/drinks politely",
      "tastes/taste: pie/pies salad/salads happily",
    ],
    adjectives: ["warm", "sweet", "fresh"],
    places: ["in kitchen", "at table"],
  },
  {
    subjects: ["teacher/teachers/she", "pupil/pupils/he", "student/students/she", "tutor/tutors/he"],
    verbs: [
      "explains/explain: lesson/lessons theorem/theorems clearly",
      "reads/read: book/books story/stories quietly",
      "writes/write: letter/letters poem/poems neatly",
      "corrects/correct: test/tests mistake/mistakes strictly",
    ],
    adjectives: ["short", "difficult", "clever"],
    places: ["in classroom", "before blackboard"],
  },
  {
    subjects: ["hunter/hunters/he", "wolf/wolves/it", "squirrel/squirrels/it", "ranger/rangers/she"],
    verbs: [
      "follows/follow: deer/deer trail/trails silently",
      "hears/hear: rabbit/rabbits footstep/footsteps suddenly",
      "hides/hide: nut/nuts berry/berries quickly",
      "plants/plant: tree/trees bush/bushes often",
    ],
    adjectives: ["wild", "green", "small"],
    places: ["under leaves", "beside brook"],
  },
  {
    subjects: ["singer/singers/she", "drummer/drummers/he", "dancer/dancers/she", "pianist/pianists/he"],
    verbs: [
      "sings/sing: song/songs ballad/ballads softly",
      "beats/beat: drum/drums rhythm/rhythms wildly",
      "learns/learn: step/steps waltz/waltzes gracefully",
      "plays/play: sonata/sonatas melody/melodies skilfully",
    ],
    adjectives: ["famous", "slow", "merry"],
    places: ["on stage", "in theatre"],
  },
  {
    subjects: ["doctor/doctors/she", "nurse/nurses/he", "surgeon/surgeons/she", "robot/robots/it"],
    verbs: [
      "treats/treat: patient/patients fever/fevers kindly",
      "changes/change: bandage/bandages pillow/pillows hourly",
      "repairs/repair: bone/bones heart/hearts precisely",
      "carries/carry: tray/trays bottle/bottles safely",
    ],
    adjectives: ["sick", "pale", "clean"],
    places: ["in ward", "beside bed"],
  },
  {
    subjects: ["knight/knights/he", "queen/queens/she", "dragon/dragons/it", "wizard/wizards/he"],
    verbs: [
      "sharpens/sharpen: sword/swords lance/lances bravely",
      "rules/rule: kingdom/kingdoms province/provinces wisely",
      "burns/burn: village/villages tower/towers fiercely",
      "casts/cast: spell/spells curse/curses secretly",
    ],
    adjectives: ["golden", "dark", "proud"],
    places: ["in castle", "behind gate"],
  },
];

const pronouns: readonly string[] = ["he", "she", "it", "they"];
const usualVerb = 0.55;
const otherVerb = 0.15;
const adjectiveShare = 0.3;
const pronounShare = 0.5;
const tail = { none: 0.3, adverb: 0.4, place: 0.3 } as const;
/** Of a topic's four subjects: some are commoner. */
const subjectShares = [0.4, 0.3, 0.2, 0.1] as const;
/** Of a verb's two objects. */
const objectShares = [0.65, 0.35] as const;
const adjectiveShares = [0.5, 0.3, 0.2] as const;
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
  const verbs = topic.verbs.map((text) => {
    const [forms = "", rest = ""] = text.split(": ");
    const [singular = "", plural = ""] = forms.split("/");
    const [object1 = "", object2 = "", adverb = ""] = rest.split(" ");
    return { singular, plural, objects: [object1.split("/"), object2.split("/")], adverb };
  });
  const subjects = topic.subjects.map((text) => text.split("/"));

  // One state for each pronoun after the verb, for each verb: all that the rest of the sentence depends on.
  const afterVerb = pronouns.map((_, p) => verbs.map((verb) => addObject(b, topic, verb, after[p]!)));
  const they = pronouns.indexOf("they");

  const determined = b.state();
  const described = b.state();
  b.arc(start, determined, "the", 1);
  topic.adjectives.forEach((adjective, i) => {
    b.arc(determined, described, adjective, adjectiveShare * adjectiveShares[i]!);
  });
  subjects.forEach(([singular = "", plural = "", pronoun = ""], n) => {
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

/** Object and tail of a sentence with this verb, ending at the boundary `end`. Returns the state before the object. */
function addObject(
  b: AutomatonBuilder,
  topic: Topic,
  verb: { readonly objects: readonly (readonly string[])[]; readonly adverb: string },
  end: number,
): number {
  const beforeObject = b.state();
  const beforeTail = b.state();
  for (const { word, share, singular } of determiners) {
    const determined = b.state();
    const described = b.state();
    b.arc(beforeObject, determined, word, share);
    topic.adjectives.forEach((adjective, i) => {
      b.arc(determined, described, adjective, adjectiveShare * adjectiveShares[i]!);
    });
    verb.objects.forEach((forms, n) => {
      forms.forEach((noun, isPlural) => {
        const probability = objectShares[n]! * (isPlural ? 1 - singular : singular);
        for (const [from, weight] of [
          [determined, 1 - adjectiveShare],
          [described, 1],
        ] as const) {
          b.arc(from, end, noun, weight * probability * tail.none);
          b.arc(from, beforeTail, noun, weight * probability * (1 - tail.none));
        }
      });
    });
  }
  b.arc(beforeTail, end, verb.adverb, tail.adverb / (1 - tail.none));
  for (const text of topic.places) {
    const [preposition = "", place = ""] = text.split(" ");
    const afterPreposition = b.state();
    const beforePlace = b.state();
    b.arc(beforeTail, afterPreposition, preposition, tail.place / (1 - tail.none) / topic.places.length);
    b.arc(afterPreposition, beforePlace, "the", 1);
    b.arc(beforePlace, end, place, 1);
  }
  return beforeObject;
}
