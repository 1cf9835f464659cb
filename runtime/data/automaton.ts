import type { Random } from "./random.ts";

/**
 * A probabilistic regular grammar of paragraphs: a Markov chain over states whose arcs emit one word each.
 *
 * States 0..boundaryCount-1 are boundaries: a sentence starts at one, follows arcs (at least one) and ends on reaching
 * the next, which is also where the following sentence of the paragraph starts. What a boundary state
 * remembers is thus all that a sentence knows of the one before, and exact inference over a pair is a sum over paths.
 */
export interface Automaton {
  readonly stateCount: number;
  readonly boundaryCount: number;
  readonly words: readonly string[];
  /** Arcs of state s: places arcStarts[s] .. arcStarts[s + 1] - 1 of the three columns after it. */
  readonly arcStarts: Int32Array;
  readonly arcTo: Int32Array;
  /** Index into `words`. */
  readonly arcWord: Int32Array;
  /** Probability given the state; sums to 1 over the arcs of a state. */
  readonly arcProbability: Float64Array;
  /** Distribution of the boundary where a paragraph starts: [boundaryCount]. */
  readonly paragraphStart: Float64Array;
  /** Sentences of the paragraphs, taken in turn: paragraph i has paragraphLengths[i mod length]. */
  readonly paragraphLengths: readonly number[];
}

/** Collects states and arcs. Boundaries must be added before all other states. */
export interface AutomatonBuilder {
  state(): number;
  /** Adds an arc; those with zero probability are left out. */
  arc(from: number, to: number, word: string, probability: number): void;
  build(
    boundaryCount: number,
    paragraphStart: readonly number[],
    paragraphLengths: readonly number[],
  ): Automaton;
}

export function createAutomatonBuilder(): AutomatonBuilder {
  const arcs: { from: number; to: number; word: number; probability: number }[] = [];
  const words = new Map<string, number>();
  let stateCount = 0;
  return {
    state: () => stateCount++,
    arc(from, to, word, probability) {
      if (probability === 0) return;
      const index = words.get(word) ?? words.size;
      words.set(word, index);
      arcs.push({ from, to, word: index, probability });
    },
    build(boundaryCount, paragraphStart, paragraphLengths) {
      arcs.sort((x, y) => x.from - y.from);
      const arcStarts = new Int32Array(stateCount + 1);
      const total = new Float64Array(stateCount);
      for (const { from, probability } of arcs) {
        arcStarts[from + 1]!++;
        total[from]! += probability;
      }
      for (let s = 0; s < stateCount; s++) {
        arcStarts[s + 1]! += arcStarts[s]!;
        if (Math.abs(total[s]! - 1) > 1e-9) {
          throw new Error(`automaton: the arcs of state ${s} sum to ${total[s]}, not to 1`);
        }
      }
      return {
        stateCount,
        boundaryCount,
        words: [...words.keys()],
        arcStarts,
        arcTo: Int32Array.from(arcs, (arc) => arc.to),
        arcWord: Int32Array.from(arcs, (arc) => arc.word),
        arcProbability: Float64Array.from(arcs, (arc) => arc.probability),
        paragraphStart: Float64Array.from(paragraphStart),
        paragraphLengths,
      };
    },
  };
}

/** Draws paragraphs without end: each a list of sentences, each a list of indices into `words`. */
export function* drawParagraphs(automaton: Automaton, random: Random): Generator<number[][], never> {
  const { boundaryCount, paragraphStart, paragraphLengths, arcStarts, arcTo, arcWord, arcProbability } =
    automaton;
  for (let paragraph = 0; ; paragraph++) {
    let state = drawIndex(paragraphStart, 0, boundaryCount, random);
    const sentences: number[][] = [];
    const length = paragraphLengths[paragraph % paragraphLengths.length]!;
    for (let i = 0; i < length; i++) {
      const sentence: number[] = [];
      do {
        const arc = drawIndex(arcProbability, arcStarts[state]!, arcStarts[state + 1]!, random);
        sentence.push(arcWord[arc]!);
        state = arcTo[arc]!;
      } while (state >= boundaryCount);
      sentences.push(sentence);
    }
    yield sentences;
  }
}

/** An index in from..to-1 with the probabilities that stand there (they sum to 1). */
function drawIndex(probabilities: Float64Array, from: number, to: number, random: Random): number {
  let left = random.uniform();
  for (let i = from; i < to - 1; i++) {
    left -= probabilities[i]!;
    if (left < 0) return i;
  }
  return to - 1;
}

/** Where sentences of the corpus start: distributions over the boundaries, [boundaryCount] each. */
export interface StartDistributions {
  /** Of the first sentence of a pair: a uniform place among all that have a sentence after them. */
  readonly first: Float64Array;
  /** Of a random sentence: a uniform paragraph, then a uniform sentence in it. */
  readonly random: Float64Array;
}

export function startDistributions(automaton: Automaton): StartDistributions {
  const { boundaryCount, paragraphLengths } = automaton;
  const first = new Float64Array(boundaryCount);
  const random = new Float64Array(boundaryCount);
  const pairs = paragraphLengths.reduce((sum, length) => sum + length - 1, 0);
  let starts = automaton.paragraphStart;
  for (let i = 0; i < Math.max(...paragraphLengths); i++) {
    for (const length of paragraphLengths) {
      for (let b = 0; b < boundaryCount; b++) {
        if (i < length - 1) first[b]! += starts[b]! / pairs;
        if (i < length) random[b]! += starts[b]! / length / paragraphLengths.length;
      }
    }
    starts = afterOneSentence(automaton, starts);
  }
  return { first, random };
}

/** The distribution over boundaries one sentence later. */
function afterOneSentence(automaton: Automaton, starts: Float64Array): Float64Array {
  const { stateCount, boundaryCount, arcStarts, arcTo, arcProbability } = automaton;
  const ends = new Float64Array(boundaryCount);
  let mass = new Float64Array(stateCount);
  mass.set(starts);
  // A sentence visits no state twice, so its mass has arrived after stateCount words at the latest.
  for (let word = 0; word < stateCount && mass.some((m) => m > 0); word++) {
    const next = new Float64Array(stateCount);
    for (let s = 0; s < stateCount; s++) {
      if (mass[s] === 0) continue;
      for (let arc = arcStarts[s]!; arc < arcStarts[s + 1]!; arc++) {
        const to = arcTo[arc]!;
        const moved = mass[s]! * arcProbability[arc]!;
        if (to < boundaryCount) ends[to]! += moved;
        else next[to]! += moved;
      }
    }
    mass = next;
  }
  return ends;
}
