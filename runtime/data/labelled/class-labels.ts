import { KilnError } from "../../errors.ts";
import { compareCodePoints } from "../../tokenizer/index.ts";
import type { LabelledSettings } from "../settings.ts";
import { type LabelledCorpus, labelsOf } from "./examples.ts";

/**
 * The classes by id: a checkpoint's, else the spec's `label_names`, else the corpus's own; else the labels of the training
 * split, numbers by their value, names by code point.
 * @throws KilnError (`user`) where there are more than the model has classes
 */
export function chooseLabels(
  { kind, classes, labelNames }: LabelledSettings,
  corpus: LabelledCorpus,
  given: readonly string[] | undefined,
): readonly string[] {
  const named = given ?? (labelNames.length > 0 ? labelNames : corpus.labels);
  const labels = named ?? found(corpus, classes);
  if (labels.length > classes) {
    throw new KilnError(
      "user",
      `${corpus.name} has ${labels.length} labels (${list(labels)}), and the model ${classes} classes`,
      `set classes to ${labels.length}, or give \`label_names\` to ${kind}`,
    );
  }
  return labels;
}

function found(corpus: LabelledCorpus, classes: number): readonly string[] {
  const labels = [...new Set(corpus.train.examples.flatMap(labelsOf))];
  // Class numbers: all there are, seen in the training split or not.
  if (labels.every((label) => /^\d+$/.test(label) && Number(label) < classes))
    return Array.from({ length: classes }, (_, id) => String(id));
  return labels.sort(compareCodePoints);
}

/**
 * Ids of the classes by name.
 * @throws KilnError (`user`) for a label of the split that is none of them
 */
export function indexLabels(
  labels: readonly string[],
  { name, split, train }: LabelledCorpus,
): ReadonlyMap<string, number> {
  const ids = new Map(labels.map((label, id) => [label, id]));
  for (const { examples } of [train, split]) {
    examples.forEach((example, i) => {
      const other = labelsOf(example).find((label) => !ids.has(label));
      if (other === undefined) return;
      throw new KilnError(
        "user",
        `example ${i + 1} of ${name} has the label \`${other}\`, which is not among the classes: ${list(labels)}`,
        "correct the data, or name all classes with `label_names`",
      );
    });
  }
  return ids;
}

function list(labels: readonly string[]): string {
  const shown = labels.slice(0, 8);
  return shown.join(", ") + (labels.length > shown.length ? ` and ${labels.length - shown.length} more` : "");
}
