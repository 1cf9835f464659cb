import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AxisExpr,
  alignmentOf,
  type Expr,
  KernelBuilder,
  laneStride,
} from "../../compiler/kernel/index.ts";

/** The value of an index expression, with the axes at given positions. */
function evaluateAt(e: Expr, at: ReadonlyMap<Expr, number>): number {
  switch (e.kind) {
    case "constant":
      return e.value;
    case "axis":
      return at.get(e)!;
    case "sum":
      return e.terms.reduce((total, t) => total + t.coefficient * evaluateAt(t.atom, at), e.constant);
    case "div":
      return Math.floor(evaluateAt(e.of, at) / e.by);
    case "mod":
      return evaluateAt(e.of, at) - Math.floor(evaluateAt(e.of, at) / e.by) * e.by;
    default:
      throw new Error(`no index: ${e.kind}`);
  }
}

interface Step {
  readonly kind: "add" | "sub" | "scale" | "div" | "mod";
  /** Which earlier value is added or subtracted. */
  readonly other: number;
  readonly by: number;
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("add", "sub", "scale", "div", "mod"),
    other: fc.nat(5),
    by: fc.constantFrom(1, 2, 3, 4, 8, 12, 64),
  }),
  { maxLength: 8 },
);

/** Runs drawn steps in the builder and in plain numbers at once. */
function build(
  b: KernelBuilder,
  axes: readonly AxisExpr[],
  drawn: readonly Step[],
  at: ReadonlyMap<Expr, number>,
) {
  const floorMod = (x: number, by: number) => x - Math.floor(x / by) * by;
  const values: { readonly e: Expr; readonly value: number }[] = axes.map((axis) => ({
    e: axis,
    value: at.get(axis)!,
  }));
  for (const step of drawn) {
    const x = values.at(-1)!;
    if (step.kind === "add" || step.kind === "sub") {
      const y = values[step.other % values.length]!;
      const sign = step.kind === "add" ? 1 : -1;
      values.push({ e: b.addIndex(x.e, b.scaleIndex(y.e, sign)), value: x.value + sign * y.value });
    } else if (step.kind === "scale") {
      values.push({ e: b.scaleIndex(x.e, step.by), value: x.value * step.by });
    } else if (step.kind === "div") {
      values.push({ e: b.floorDiv(x.e, step.by), value: Math.floor(x.value / step.by) });
    } else {
      values.push({ e: b.modulo(x.e, step.by), value: floorMod(x.value, step.by) });
    }
  }
  return values.at(-1)!;
}

describe("index arithmetic in normal form", () => {
  test("has the value of the plain arithmetic, and stays within its bounds", () => {
    fc.assert(
      fc.property(steps, fc.nat(6), fc.nat(15), fc.nat(31), (drawn, i, j, k) => {
        const b = new KernelBuilder();
        const axes = [b.axis("i", 7), b.axis("j", 16), b.axis("k", 32)];
        const at = new Map<Expr, number>([i, j, k].map((value, n) => [axes[n]!, value]));
        const { e, value } = build(b, axes, drawn, at);
        // Plain numbers know a zero with a sign, integers do not.
        expect(evaluateAt(e, at) + 0).toBe(value + 0);
        expect(value).toBeGreaterThanOrEqual(e.min);
        expect(value).toBeLessThanOrEqual(e.max);
      }),
      { numRuns: 2000 },
    );
  });

  test("alignment divides every value, and a lane stride is the growth within a block of four", () => {
    fc.assert(
      fc.property(steps, fc.nat(6), fc.nat(3), (drawn, i, block) => {
        const b = new KernelBuilder();
        const lane = b.axis("lane", 16, 4);
        const axes = [b.axis("i", 7), lane];
        const valueAt = (step: number) => {
          const at = new Map<Expr, number>([
            [axes[0]!, i],
            [lane, 4 * block + step],
          ]);
          return { ...build(b, axes, drawn, at) };
        };
        const base = valueAt(0);
        expect(Math.abs(base.value) % alignmentOf(base.e)).toBe(0);
        const stride = laneStride(base.e, lane, 4);
        if (stride !== undefined) {
          for (const step of [1, 2, 3]) expect(valueAt(step).value).toBe(base.value + step * stride);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["a reshape there and back is nothing", [2, 3, 4], [6, 4]],
    ["heads split and merged", [8, 64, 128], [8, 64, 2, 64]],
    ["sizes of one", [1, 5, 1], [5]],
  ])("%s", (_name, shape, other) => {
    const b = new KernelBuilder();
    const index = b.axis(
      "i",
      shape.reduce((a, size) => a * size, 1),
    );
    const there = b.linearize(b.delinearize(index, shape), shape);
    expect(there).toBe(index);
    expect(b.linearize(b.delinearize(there, other), other)).toBe(index);
  });

  test("a row's index is found again in the index of its elements", () => {
    const b = new KernelBuilder();
    const [row, i] = [b.axis("row", 2048), b.axis("i", 32)];
    const full = b.addIndex(b.scaleIndex(row, 32), i);
    const at = b.delinearize(full, [32, 2, 32, 32]);
    expect(b.linearize(at.slice(0, 3), [32, 2, 32])).toBe(row);
    expect(at[3]).toBe(i);
  });
});
