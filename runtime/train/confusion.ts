/** A typed array, whatever it lies in. */
type Numbers = ArrayLike<number>;

/** How often a class was told as which: `counts[actual][told]`. */
export type ConfusionCounts = readonly (readonly number[])[];

/** Of one class: shares from 0 to 1; NaN where nothing was told to be it (precision), nothing is it (recall), or neither (f1). */
export interface ClassScores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Examples of the class. */
  readonly support: number;
}

export interface ClassificationScores {
  readonly accuracy: number;
  /** Mean of the classes' f1 over those that occur or were told (as scikit-learn's `average="macro"`). */
  readonly macroF1: number;
  readonly classes: readonly ClassScores[];
}

/** Counts which class has the greatest logit. */
export class ConfusionMatrix {
  readonly #counts: number[][];

  constructor(classes: number) {
    this.#counts = Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0));
  }

  get counts(): ConfusionCounts {
    return this.#counts;
  }

  /**
   * @param logits [..., classes]
   * @param labels [...]: class ids
   * @param weights [...]: 0 for what does not count
   */
  add(logits: Numbers, labels: Numbers, weights: Numbers): void {
    const classes = this.#counts.length;
    for (let i = 0; i < labels.length; i++) {
      if (weights[i] === 0) continue;
      const row = this.#counts[labels[i]!];
      if (row === undefined) continue;
      row[greatest(logits, i * classes, classes)]!++;
    }
  }
}

/** Place of the greatest of `count` numbers from `start` on; the first of equals. */
export function greatest(values: Numbers, start: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (values[start + c]! > values[start + best]!) best = c;
  return best;
}

export function scoresOf(counts: ConfusionCounts): ClassificationScores {
  const total = sum(counts.map(sum));
  const classes = counts.map((row, c): ClassScores => {
    const right = row[c]!;
    const support = sum(row);
    const told = sum(counts.map((other) => other[c]!));
    // 2 P R / (P + R), which needs neither to be a number.
    return { precision: right / told, recall: right / support, f1: (2 * right) / (told + support), support };
  });
  const known = classes.map(({ f1 }) => f1).filter((f1) => !Number.isNaN(f1));
  return {
    accuracy: sum(counts.map((row, c) => row[c]!)) / total,
    macroF1: sum(known) / known.length,
    classes,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
