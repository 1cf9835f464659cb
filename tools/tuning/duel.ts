/** A win counts from so much less time on: below it another day's noise decides. */
const LEAST_GAIN = 0.03;
/** Pairs of times before anything is decided, and at most. */
const FEWEST_PAIRS = 3;
const MOST_PAIRS = 40;
/** From so many on, a challenger whose mean is no win is given up, however unsure that is. */
const PATIENCE = 8;
/** A challenger that is so many times slower at first sight is not looked at again: noise is not that large. */
const HOPELESS = 2;

/** Student's t for 99 % on both sides, by degrees of freedom from 1; beyond the last, which is wider than need be. */
const STUDENT = [
  63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.25, 3.169, 3.106, 3.055, 3.012, 2.977,
] as const;

/** How long a challenger takes, as a part of what the incumbent takes: the mean and where it is with a confidence of 99 %. */
export interface Ratio {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** `open`: more pairs may tell. `beaten`: the challenger cannot be clearly faster, or was not in all pairs. */
export type Verdict = "faster" | "beaten" | "open";

/** Times of a challenger against those of the incumbent, taken in turns so that both meet the same noise. */
export class Duel {
  /** Logarithms of the ratios: twice as fast and twice as slow are equally far from equal. */
  readonly #logs: number[] = [];

  add(incumbentMs: number, challengerMs: number): void {
    this.#logs.push(Math.log(challengerMs / incumbentMs));
  }

  get pairs(): number {
    return this.#logs.length;
  }

  get ratio(): Ratio {
    const count = this.#logs.length;
    const mean = this.#logs.reduce((sum, log) => sum + log, 0) / count;
    const variance = this.#logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (count - 1);
    const margin =
      (STUDENT[Math.min(count, STUDENT.length + 1) - 2] ?? Number.POSITIVE_INFINITY) *
      Math.sqrt(variance / count);
    return { mean: Math.exp(mean), low: Math.exp(mean - margin), high: Math.exp(mean + margin) };
  }

  get verdict(): Verdict {
    const first = this.#logs[0] ?? 0;
    if (first > Math.log(HOPELESS)) return "beaten";
    if (this.pairs < FEWEST_PAIRS) return "open";
    const { mean, low, high } = this.ratio;
    const isWin = mean <= 1 - LEAST_GAIN;
    if (low > 1 - LEAST_GAIN || (!isWin && this.pairs >= PATIENCE)) return "beaten";
    if (high < 1 && isWin) return "faster";
    return this.pairs < MOST_PAIRS ? "open" : "beaten";
  }
}
