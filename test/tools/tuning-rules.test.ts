import { describe, expect, test } from "vitest";
import { type Expr, KernelBuilder, type MapKernel } from "../../compiler/kernel/index.ts";
import { parseDuration } from "../../tools/terminal/units.ts";
import { isRounding, largestDifference } from "../../tools/tuning/compare-results.ts";
import { drawElements, fillingsOf } from "../../tools/tuning/draw-tensors.ts";
import { Duel } from "../../tools/tuning/duel.ts";

/** A duel with the given ratios, until it is decided. */
function duelOf(ratios: readonly number[]): { readonly verdict: string; readonly pairs: number } {
  const duel = new Duel();
  for (const ratio of ratios) {
    if (duel.verdict !== "open") break;
    duel.add(10, 10 * ratio);
  }
  return { verdict: duel.verdict, pairs: duel.pairs };
}

describe("who wins", () => {
  test("three pairs that agree decide for a clear win", () => {
    expect(duelOf([0.7, 0.71, 0.69, 1])).toEqual({ verdict: "faster", pairs: 3 });
  });

  test("noise as large as the gain takes more pairs, and is decided either way", () => {
    expect(duelOf([0.6, 1.1, 0.7, 0.9])).toEqual({ verdict: "open", pairs: 4 });
    const noisy = duelOf([0.6, 1.1, 0.7, 0.9, 0.7, 0.8, 0.75, 0.7, 0.8, 0.7, 0.75]);
    expect(noisy.verdict).toBe("faster");
    expect(noisy.pairs).toBeGreaterThan(4);
  });

  test("what stays open after all pairs does not win", () => {
    const even = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 0.5 : 1.6));
    expect(duelOf(even)).toEqual({ verdict: "beaten", pairs: 40 });
    const noWin = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 0.7 : 1.5));
    expect(duelOf(noWin)).toEqual({ verdict: "beaten", pairs: 8 });
  });

  test("two per cent are no clear win, however sure they are", () => {
    expect(duelOf([0.98, 0.9801, 0.9799])).toEqual({ verdict: "beaten", pairs: 3 });
  });

  test("a challenger that is slower is dropped, one that is twice as slow at first sight", () => {
    expect(duelOf([1.2, 1.21, 1.19])).toEqual({ verdict: "beaten", pairs: 3 });
    expect(duelOf([2.1, 0.5, 0.5])).toEqual({ verdict: "beaten", pairs: 1 });
    expect(duelOf([1.9, 0.5])).toEqual({ verdict: "open", pairs: 2 });
  });

  test("the interval is Student's on logarithms", () => {
    const duel = new Duel();
    for (const ratio of [0.5, 1, 2]) duel.add(1, ratio);
    const { mean, low, high } = duel.ratio;
    expect(mean).toBeCloseTo(1, 12);
    // t of 2 degrees at 99 % is 9.925; the standard deviation is ln 2.
    const margin = (9.925 * Math.LN2) / Math.sqrt(3);
    expect(low).toBeCloseTo(Math.exp(-margin), 12);
    expect(high).toBeCloseTo(Math.exp(margin), 12);
  });
});

describe("equal results", () => {
  const f32 = (...values: number[]): Float32Array<ArrayBuffer> => Float32Array.from(values);

  test("rounding passes, a wrong element does not, near zero the size of the others counts", () => {
    expect(isRounding("f32", largestDifference("f32", f32(1, 2, 3), f32(1, 2.00001, 3)))).toBe(true);
    expect(isRounding("f32", largestDifference("f32", f32(1, 2, 3), f32(1, 2.001, 3)))).toBe(false);
    expect(isRounding("f32", largestDifference("f32", f32(1e-7, 2, 3), f32(2e-7, 2, 3)))).toBe(true);
    expect(isRounding("f32", largestDifference("f32", f32(1, 2, 3), f32(1, 3, 2)))).toBe(false);
  });

  test("NaN equals NaN and nothing else; so do infinities", () => {
    const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
    expect(largestDifference("f32", f32(nan, inf, 1), f32(nan, inf, 1))).toBe(0);
    expect(largestDifference("f32", f32(nan, 1), f32(1, 1))).toBe(inf);
    expect(largestDifference("f32", f32(1, 1), f32(nan, 1))).toBe(inf);
    expect(largestDifference("f32", f32(inf, 1), f32(-inf, 1))).toBe(inf);
    expect(largestDifference("f32", f32(nan, nan), f32(nan, 1))).toBe(inf);
  });

  test("whole numbers are equal or not", () => {
    expect(largestDifference("i32", Int32Array.of(1000000, 2), Int32Array.of(1000000, 2))).toBe(0);
    expect(isRounding("i32", largestDifference("i32", Int32Array.of(1000000), Int32Array.of(1000001)))).toBe(
      false,
    );
  });
});

describe("what kernels are tried on", () => {
  const COUNT = 8;

  /** y[i] = value(i) over tensors of which each is named by its dtype. */
  function mapKernel(value: (b: KernelBuilder, i: Expr) => Expr): MapKernel {
    const b = new KernelBuilder();
    const axis = b.axis("i", COUNT);
    const dtypes = ["f32", "f32", "f32", "i32", "i32", "bool"] as const;
    return {
      kind: "map",
      name: "map",
      comments: [],
      rules: [],
      flops: 0,
      axis,
      width: 1,
      vectorsPerInvocation: 1,
      workgroupSize: 1,
      stores: [{ tensor: 0, index: axis, value: value(b, axis) }],
      tensors: dtypes.map((dtype, tensor) => ({
        tensor,
        name: `t_${tensor}`,
        dtype,
        elementCount: 100,
        access: tensor === 0 ? "read_write" : "read",
        comment: "",
      })),
    };
  }

  test("indices within what they index, bits as bits, roots of what is positive", () => {
    const kernel = mapKernel((b, i) => {
      const index = b.load("i32", 3, i);
      const clamped = b.call("min", b.call("max", index, b.constant("i32", 0)), b.constant("i32", 41));
      const gathered = b.load("f32", 1, clamped);
      const root = b.call("sqrt", b.call("mul", b.load("f32", 2, i), b.constant("f32", 0.5)));
      const counter = b.cast("f32", b.load("i32", 4, i));
      return b.select(b.load("bool", 5, i), b.call("add", gathered, root), counter);
    });
    expect(fillingsOf(kernel)).toEqual([
      { kind: "signed" },
      { kind: "signed" },
      { kind: "positive" },
      { kind: "whole", low: 0, high: 41 },
      { kind: "whole", low: 1, high: 16 },
      { kind: "bits" },
    ]);
  });

  const drawn = (...args: Parameters<typeof drawElements>): number[] =>
    [...drawElements(...args)].flatMap((piece) => Array.from(piece));

  test("numbers are in range and irregular, equal for equal seeds", () => {
    const whole = drawn("i32", { kind: "whole", low: 3, high: 6 }, 1000, 1);
    expect([...new Set(whole)].sort()).toEqual([3, 4, 5, 6]);
    const positive = drawn("f32", { kind: "positive" }, 1000, 1);
    expect(Math.min(...positive)).toBeGreaterThan(0);
    expect(Math.max(...positive)).toBeLessThanOrEqual(1);
    const signed = drawn("f32", { kind: "signed" }, 1000, 1);
    expect(Math.min(...signed)).toBeLessThan(-0.9);
    expect(Math.max(...signed)).toBeGreaterThan(0.9);
    expect(drawn("f32", { kind: "signed" }, 1000, 1)).toEqual(signed);
    expect(drawn("f32", { kind: "signed" }, 1000, 2)).not.toEqual(signed);
  });

  test("a tensor longer than what is drawn at once is filled to its end; an order counts on", () => {
    const count = 600_000;
    const order = drawn("u32", { kind: "order" }, count, 0);
    expect(order).toHaveLength(count);
    expect(order.every((value, i) => value === i)).toBe(true);
    expect(drawn("f32", { kind: "signed" }, count, 0)).toHaveLength(count);
  });
});

test("lengths of time", () => {
  const texts = ["60s", "60", "1.5m", "500ms", "2h", "2 min", "", "5x", "-3s", "s"];
  expect(texts.map(parseDuration)).toEqual([
    60_000,
    60_000,
    90_000,
    500,
    7_200_000,
    120_000,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
