import { expect, test } from "vitest";
import { ConfusionMatrix, scoresOf } from "../../runtime/train/confusion.ts";

test("counts the class with the greatest logit, of what has weight", () => {
  const matrix = new ConfusionMatrix(3);
  const logits = [1, 0, 0, 0, 2, 1, 0, 0, 3, 5, 0, 0];
  matrix.add(logits, [0, 2, 2, 1], [1, 1, 1, 0]);
  expect(matrix.counts).toEqual([
    [1, 0, 0],
    [0, 0, 0],
    [0, 1, 1],
  ]);
});

test("scores are those of scikit-learn's classification_report on the same counts", () => {
  // y_true = [0] * 5 + [1] * 3 + [2] * 2; y_pred = [0, 0, 0, 0, 1, 1, 1, 2, 2, 0]
  const { accuracy, macroF1, classes } = scoresOf([
    [4, 1, 0],
    [0, 2, 1],
    [1, 0, 1],
  ]);
  expect(accuracy).toBeCloseTo(0.7, 12);
  expect(classes.map(({ precision }) => precision)).toEqual([4 / 5, 2 / 3, 1 / 2]);
  expect(classes.map(({ recall }) => recall)).toEqual([4 / 5, 2 / 3, 1 / 2]);
  expect(macroF1).toBeCloseTo((0.8 + 2 / 3 + 0.5) / 3, 12);
  expect(classes.map(({ support }) => support)).toEqual([5, 3, 2]);
});

test("a class that never occurs and is never told has no scores and counts in no mean", () => {
  const { macroF1, classes } = scoresOf([
    [2, 0],
    [0, 0],
  ]);
  expect(macroF1).toBe(1);
  expect(Number.isNaN(classes[1]!.f1)).toBe(true);
});
