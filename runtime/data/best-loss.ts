import type { ObservedPair, PairPosterior } from "./pair-posterior.ts";

/** A masked example of a grammar's corpus, with what was hidden. */
export interface MaskedPair extends ObservedPair {
  /** Places that are predicted, as indices into `words`, and the ids that stood there. */
  readonly places: readonly number[];
  readonly labels: readonly number[];
}

/** An estimated mean in nats with its standard error. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
}

export interface BestLosses {
  /** The lowest mean cross-entropy of a predicted token that any model can reach. */
  readonly maskedLanguageModel: Estimate;
  /** The same for the next-sentence label. */
  readonly nextSentence: Estimate;
}

/**
 * The best reachable losses on a grammar's corpus: conditional entropies H(original | masked pair, place is predicted) and
 * H(next | masked pair), as means over sample examples of the entropy of the exact posterior.
 *
 * The inner expectation is exact, so only the drawing of examples is Monte Carlo. No model can be better in
 * expectation, since none sees more than the posterior is given; a loss over finitely many batches scatters about its own
 * expectation and may lie a little lower. The masked-LM loss is a mean over a batch's predictions; it is taken over groups of
 * `batch` examples like the loss itself, since the mean of such ratios is not the ratio of the means.
 */
export function estimateBestLosses(
  infer: (pair: ObservedPair) => PairPosterior,
  examples: readonly MaskedPair[],
  batch: number,
): BestLosses {
  const entropies: number[] = [];
  const counts: number[] = [];
  const nextEntropies: number[] = [];
  for (const example of examples) {
    const posterior = infer(example);
    entropies.push(example.places.reduce((sum, place) => sum + entropy(posterior.wordAt(place).values()), 0));
    counts.push(example.places.length);
    nextEntropies.push(entropy([posterior.next, 1 - posterior.next]));
  }
  const ones = counts.map(() => 1);
  return {
    maskedLanguageModel: ratioOfBatches(entropies, counts, batch),
    nextSentence: ratioOfBatches(nextEntropies, ones, batch),
  };
}

/** Mean over groups of `batch` of (sum of values / sum of counts); its error by the delta method over single examples. */
export function ratioOfBatches(
  values: readonly number[],
  counts: readonly number[],
  batch: number,
): Estimate {
  const size = Math.min(batch, values.length);
  const groups = Math.floor(values.length / size);
  let mean = 0;
  for (let g = 0; g < groups; g++) {
    const from = g * size;
    mean += sum(values.slice(from, from + size)) / sum(counts.slice(from, from + size)) / groups;
  }
  const ratio = sum(values) / sum(counts);
  const squares = sum(values.map((value, i) => (value - ratio * counts[i]!) ** 2));
  return { mean, standardError: Math.sqrt(squares) / sum(counts) };
}

/** Of a distribution, in nats. */
export function entropy(probabilities: Iterable<number>): number {
  let total = 0;
  for (const p of probabilities) if (p > 0) total -= p * Math.log(p);
  return total;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
