import { type ConfusionCounts, scoresOf } from "../../runtime/train/index.ts";
import { renderTable } from "../terminal/table.ts";
import { formatCount } from "../terminal/units.ts";

/** Scores and counts by class, as one JSON object. */
export function classificationReport(confusion: ConfusionCounts, labels: readonly string[] | undefined) {
  const { accuracy, macroF1, classes } = scoresOf(confusion);
  return {
    accuracy,
    macroF1,
    // NaN has no place in JSON.
    classes: classes.map(({ precision, recall, f1, support }, id) => ({
      label: labelOf(labels, id),
      precision: numberOrNull(precision),
      recall: numberOrNull(recall),
      f1: numberOrNull(f1),
      support,
    })),
    /** [actual][predicted] */
    confusion,
  };
}

/** A row a class: its scores, and how often it was told as which. */
export function confusionTable(confusion: ConfusionCounts, labels: readonly string[] | undefined): string {
  const { classes } = scoresOf(confusion);
  const score = (value: number): string => (Number.isNaN(value) ? "-" : value.toFixed(3));
  return renderTable(
    [
      { title: "label", align: "left" },
      { title: "precision", align: "right" },
      { title: "recall", align: "right" },
      { title: "f1", align: "right" },
      { title: "examples", align: "right" },
      ...confusion.map((_, id) => ({ title: `as ${labelOf(labels, id)}`, align: "right" as const })),
    ],
    classes.map(({ precision, recall, f1, support }, id) => [
      labelOf(labels, id),
      score(precision),
      score(recall),
      score(f1),
      formatCount(support),
      ...(confusion[id] ?? []).map(formatCount),
    ]),
  );
}

function labelOf(labels: readonly string[] | undefined, id: number): string {
  return labels?.[id] ?? String(id);
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
