import { type EvaluationReport, scoresOf } from "../../runtime/train/index.ts";
import { objectiveMeasure } from "../report/held-out-history.ts";

/** A number of an evaluation, and which way is better. */
export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly better: "lower" | "higher";
}

export const accuracyMeasure = "accuracy";

/**
 * Losses (nats) and metrics under the spec's names; the objective where it is no loss itself; of classes the accuracy and the
 * macro-averaged f1, counted over all of it, in place of a metric of the same name, which is a mean over batches.
 */
export function measuresOf(report: EvaluationReport): readonly Measure[] {
  const { losses, metrics, objective, confusion } = report;
  const scores = confusion === undefined ? undefined : scoresOf(confusion);
  const counted: readonly Measure[] =
    scores === undefined
      ? []
      : [
          { name: accuracyMeasure, value: scores.accuracy, better: "higher" },
          { name: "macro_f1", value: scores.macroF1, better: "higher" },
        ];
  return [
    ...Object.entries(losses).map(([name, value]): Measure => ({ name, value, better: "lower" })),
    ...(Object.keys(losses).length > 1
      ? [{ name: objectiveMeasure, value: objective, better: "lower" } as const]
      : []),
    ...Object.entries(metrics)
      .filter(([name]) => !counted.some((measure) => measure.name === name))
      .map(([name, value]): Measure => ({ name, value, better: "higher" })),
    ...counted,
  ];
}

/** The measure that says which of a run's models is the best: accuracy of classes, else the objective, else the only loss. */
export function defaultMeasure(measures: readonly Measure[]): string | undefined {
  const names = measures.map(({ name }) => name);
  return [accuracyMeasure, objectiveMeasure].find((name) => names.includes(name)) ?? names[0];
}

/** Whether a measure is better than one taken before. NaN is never. */
export function isBetter(measure: Measure, before: number | undefined): boolean {
  if (Number.isNaN(measure.value)) return false;
  if (before === undefined || Number.isNaN(before)) return true;
  return measure.better === "lower" ? measure.value < before : measure.value > before;
}
