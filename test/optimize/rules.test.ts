import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluate, type Graph, type Tensor, verify } from "../../compiler/graph/index.ts";
import { allRules } from "../../compiler/optimize/passes.ts";
import { rewrite } from "../../compiler/optimize/rewrite.ts";
import { Draw } from "./draw.ts";
import { samples } from "./samples.ts";

test("every rule has a sample and every sample a rule", () => {
  expect(Object.keys(samples).sort()).toEqual(allRules.map(({ name }) => name).sort());
});

describe.each(allRules.map((rule) => [rule.name, rule] as const))("%s", (name, rule) => {
  test(`is ${rule.exactness} on drawn inputs`, () => {
    // A maximum of NaN depends on the order of comparisons, and WGSL leaves it open.
    const numbers = rule.exactness === "bitwise" && !name.startsWith("reduce_max") ? "special" : "finite";
    let fired = 0;
    fc.assert(
      fc.property(fc.gen(), (generate) => {
        const draw = new Draw(generate, numbers);
        draw.b.output("result", samples[name]!(draw));
        const before = draw.b.build();
        const after = rewrite(before, [rule]);
        verify(after, name);
        if (text(before) !== text(after)) fired++;
        const [expected, actual] = [before, after].map(
          (graph) => evaluate(graph, draw.leaves).outputs.get("result")!,
        );
        if (rule.exactness === "bitwise") expectSame(actual!, expected!);
        else expectClose(actual!, expected!);
      }),
      // Samples are small as they are; shrinking one that fails takes longer than reading it.
      { numRuns: 100, endOnFailure: true },
    );
    expect(fired).toBeGreaterThanOrEqual(10);
  });
});

function text(graph: Graph): string {
  return JSON.stringify(graph.nodes.map(({ op, inputs, attrs }) => [op, inputs, attrs]));
}

/** Equal numbers, NaN for NaN; the sign of a zero is open (`Exactness`). */
function expectSame(actual: Tensor, expected: Tensor): void {
  expect(actual.data.length).toBe(expected.data.length);
  actual.data.forEach((value, i) => {
    if (value !== expected.data[i]) expect(value).toBe(expected.data[i]);
  });
}

/**
 * Sums here have at most 100 terms of magnitude 16 and constants of at least 0.1 scale them twice, so float64 errs by
 * less than 100 * 100 * 16 * 100 * 2^-53 = 2e-9 where everything cancels; drawn inputs stay far below.
 */
function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.data.length).toBe(expected.data.length);
  actual.data.forEach((value, i) => {
    const wanted = expected.data[i]!;
    if (value !== wanted && !(Math.abs(value - wanted) <= 1e-11 * (1 + Math.abs(wanted))))
      expect(value).toBe(wanted);
  });
}
