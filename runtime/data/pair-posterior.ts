import type { Automaton, StartDistributions } from "./automaton.ts";

/** A masked sentence pair as a model sees it, without its special tokens: `a` then `b`. */
export interface ObservedPair {
  /** Ids after masking: [words of a + words of b]. */
  readonly words: ArrayLike<number>;
  readonly firstLength: number;
  /** How many of the words were chosen to be predicted; which is not known. */
  readonly chosen: number;
}

export interface PairPosterior {
  /** Distribution over ids of the original word at a place, given the observed pair and that the place was chosen. */
  wordAt(place: number): ReadonlyMap<number, number>;
  /** Probability that the second sentence was the true next one. */
  readonly next: number;
}

/** All that the distribution of masked pairs depends on. */
export interface PairProcess {
  readonly automaton: Automaton;
  readonly starts: StartDistributions;
  /** Vocabulary id of each word of the automaton; several words may share <unk>. */
  readonly wordIds: Int32Array;
  readonly maskId: number;
  /** Entries that a random replacement is drawn from. */
  readonly vocabularySize: number;
  /** Probability that the second sentence is the true next one, before long pairs are dropped. */
  readonly nextShare: number;
}

/**
 * Exact Bayes inference under the process that makes the examples: pairs from the automaton, then `chosen` places out of all
 * words, uniform without replacement, each 80 % <mask>, 10 % unchanged, 10 % uniform over the vocabulary.
 *
 * Forward-backward over (automaton state, places chosen so far). With x the original word and y the observed one, an
 * unchosen place weighs [y = x], a chosen one 0.8 [y = mask] + 0.1 [y = x] + 0.1 / V. Between the sentences the state
 * is kept (next) or drawn again from the starts of random sentences. A random sentence counts as independent of the
 * first; that it may come from the same paragraph (one in thousands) is left out.
 */
export function createPairInference(process: PairProcess): (pair: ObservedPair) => PairPosterior {
  const { automaton, starts, wordIds, maskId, vocabularySize, nextShare } = process;
  const { stateCount, boundaryCount, arcStarts, arcTo, arcWord, arcProbability } = automaton;
  const maskWeight = 0.8;
  const sameWeight = 0.1;
  const randomWeight = 0.1 / vocabularySize;

  return ({ words, firstLength, chosen }) => {
    const length = words.length;
    const width = chosen + 1;
    const size = stateCount * width;
    // forward[t], backward[t]: before word t, [state, chosen so far]. The seam has one for either side.
    const forward: Float64Array[] = [];
    const active: Int32Array[] = [];

    /** Weight of a chosen place whose original word is, or is not, the one observed. */
    const chosenSame = (word: number): number => chosenOther(word) + sameWeight;
    const chosenOther = (word: number): number => (word === maskId ? maskWeight : 0) + randomWeight;

    /** Words from..to-1 of one sentence: boundaries may be entered by its last word only. */
    const pass = (start: Float64Array, startStates: Int32Array, from: number, to: number): Float64Array => {
      let here = start;
      let states = startStates;
      for (let t = from; t < to; t++) {
        forward[t] = here;
        active[t] = states;
        const next = new Float64Array(size);
        const isLast = t === to - 1;
        const reached = new Uint8Array(stateCount);
        const word = words[t]!;
        const ifSame = chosenSame(word);
        const ifOther = chosenOther(word);
        for (const s of states) {
          for (let arc = arcStarts[s]!; arc < arcStarts[s + 1]!; arc++) {
            const target = arcTo[arc]!;
            if (target < boundaryCount !== isLast) continue;
            const same = wordIds[arcWord[arc]!] === word;
            const kept = same ? arcProbability[arc]! : 0;
            const changed = arcProbability[arc]! * (same ? ifSame : ifOther);
            let any = false;
            for (let c = 0; c < width; c++) {
              const mass = here[s * width + c]!;
              if (mass === 0) continue;
              if (kept > 0) {
                next[target * width + c]! += mass * kept;
                any = true;
              }
              if (c < chosen) {
                next[target * width + c + 1]! += mass * changed;
                any = true;
              }
            }
            if (any) reached[target] = 1;
          }
        }
        states = indicesOf(reached);
        here = next;
      }
      return here;
    };

    const allBoundaries = Int32Array.from({ length: boundaryCount }, (_, i) => i);
    const firstStart = new Float64Array(size);
    for (let s = 0; s < boundaryCount; s++) firstStart[s * width] = starts.first[s]!;
    const firstEnd = pass(firstStart, allBoundaries, 0, firstLength);

    const secondStart = new Float64Array(size);
    for (let c = 0; c < width; c++) {
      let total = 0;
      for (let s = 0; s < boundaryCount; s++) total += firstEnd[s * width + c]!;
      for (let s = 0; s < boundaryCount; s++) {
        secondStart[s * width + c] =
          nextShare * firstEnd[s * width + c]! + (1 - nextShare) * total * starts.random[s]!;
      }
    }
    pass(secondStart, allBoundaries, firstLength, length);

    const backward: Float64Array[] = [];
    /** Fills `backward[from + 1 .. to]`; returns the vector before word `from`. */
    const passBack = (end: Float64Array, from: number, to: number): Float64Array => {
      let there = end;
      for (let t = to - 1; t >= from; t--) {
        backward[t + 1] = there;
        const before = new Float64Array(size);
        const isLast = t === to - 1;
        const word = words[t]!;
        const ifSame = chosenSame(word);
        const ifOther = chosenOther(word);
        for (const s of active[t]!) {
          for (let arc = arcStarts[s]!; arc < arcStarts[s + 1]!; arc++) {
            const target = arcTo[arc]!;
            if (target < boundaryCount !== isLast) continue;
            const same = wordIds[arcWord[arc]!] === word;
            const kept = same ? arcProbability[arc]! : 0;
            const changed = arcProbability[arc]! * (same ? ifSame : ifOther);
            for (let c = 0; c < width; c++) {
              let mass = kept * there[target * width + c]!;
              if (c < chosen) mass += changed * there[target * width + c + 1]!;
              before[s * width + c]! += mass;
            }
          }
        }
        there = before;
      }
      return there;
    };

    const end = new Float64Array(size);
    for (let s = 0; s < boundaryCount; s++) end[s * width + chosen] = 1;
    const secondBack = passBack(end, firstLength, length);
    const firstBack = new Float64Array(size);
    let nextMass = 0;
    let randomMass = 0;
    for (let c = 0; c < width; c++) {
      let drawn = 0;
      for (let s = 0; s < boundaryCount; s++) drawn += starts.random[s]! * secondBack[s * width + c]!;
      for (let s = 0; s < boundaryCount; s++) {
        const follows = nextShare * secondBack[s * width + c]!;
        firstBack[s * width + c] = follows + (1 - nextShare) * drawn;
        nextMass += firstEnd[s * width + c]! * follows;
        randomMass += firstEnd[s * width + c]! * (1 - nextShare) * drawn;
      }
    }
    passBack(firstBack, 0, firstLength);

    return {
      next: nextMass / (nextMass + randomMass),
      wordAt(place) {
        const scores = new Map<number, number>();
        let total = 0;
        const there = backward[place + 1]!;
        const here = forward[place]!;
        const word = words[place]!;
        const ifSame = chosenSame(word);
        const ifOther = chosenOther(word);
        const isLast = place === firstLength - 1 || place === length - 1;
        for (const s of active[place]!) {
          for (let arc = arcStarts[s]!; arc < arcStarts[s + 1]!; arc++) {
            const target = arcTo[arc]!;
            if (target < boundaryCount !== isLast) continue;
            let mass = 0;
            for (let c = 0; c < chosen; c++) mass += here[s * width + c]! * there[target * width + c + 1]!;
            if (mass === 0) continue;
            const id = wordIds[arcWord[arc]!]!;
            mass *= arcProbability[arc]! * (id === word ? ifSame : ifOther);
            scores.set(id, (scores.get(id) ?? 0) + mass);
            total += mass;
          }
        }
        for (const [id, score] of scores) scores.set(id, score / total);
        return scores;
      },
    };
  };
}

function indicesOf(flags: Uint8Array): Int32Array {
  let count = 0;
  for (const flag of flags) count += flag;
  const indices = new Int32Array(count);
  let at = 0;
  for (let i = 0; i < flags.length; i++) if (flags[i] === 1) indices[at++] = i;
  return indices;
}
