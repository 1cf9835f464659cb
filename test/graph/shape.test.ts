import { describe, expect, test } from "vitest";
import {
  areAscendingAxes,
  broadcastShapes,
  dtypeRange,
  dtypes,
  elementCount,
  formatType,
  inversePermutation,
  isPermutation,
  isValueOf,
  otherAxes,
  rowMajorStrides,
} from "../../compiler/graph/index.ts";

describe("shapes", () => {
  test("counts and strides", () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([2, 3, 4])).toBe(24);
    expect(rowMajorStrides([2, 3, 4])).toEqual([12, 4, 1]);
    expect(rowMajorStrides([])).toEqual([]);
    expect(formatType({ dtype: "f32", shape: [2, 3] })).toBe("f32[2, 3]");
  });

  test("permutations", () => {
    expect(inversePermutation([2, 0, 1])).toEqual([1, 2, 0]);
    expect(isPermutation([2, 0, 1], 3)).toBe(true);
    expect(isPermutation([0, 0], 2)).toBe(false);
    expect(isPermutation([0, 1], 3)).toBe(false);
  });

  test("axes", () => {
    expect(otherAxes([1], 3)).toEqual([0, 2]);
    expect(areAscendingAxes([0, 2], 3)).toBe(true);
    for (const axes of [[2, 0], [1, 1], [-1], [3], [0.5]]) expect(areAscendingAxes(axes, 3)).toBe(false);
  });

  test("broadcasting", () => {
    expect(broadcastShapes([2, 1, 3], [4, 1])).toEqual([2, 4, 3]);
    expect(broadcastShapes([], [2])).toEqual([2]);
    expect(broadcastShapes([2], [3])).toBeUndefined();
  });
});

describe("dtypes", () => {
  test.each(dtypes)("the ends of %s are its values, beyond them is none", (dtype) => {
    const { min, max } = dtypeRange(dtype);
    expect(isValueOf(dtype, min)).toBe(true);
    expect(isValueOf(dtype, max)).toBe(true);
    const step = dtype === "f32" ? 2 ** 103 : 1;
    expect(isValueOf(dtype, max + step)).toBe(false);
    expect(isValueOf(dtype, min - step)).toBe(false);
  });

  test("whole numbers only, but for f32; never NaN", () => {
    expect(isValueOf("f32", 0.1)).toBe(true);
    expect(isValueOf("i32", 0.1)).toBe(false);
    expect(isValueOf("f32", -0)).toBe(true);
    expect(isValueOf("i32", -0)).toBe(false);
    for (const dtype of dtypes) expect(isValueOf(dtype, Number.NaN)).toBe(false);
  });
});
