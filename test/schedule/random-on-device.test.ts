import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { evaluate } from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { buildRandomGraph, graphNumbers } from "../graph/random-graph.ts";
import { greatest, greatestDifference, roundingBounds } from "./rounding.ts";
import { runOnDevice } from "./run-graph.ts";

const RUNS = Number(process.env.KILN_RANDOM_GRAPHS ?? 60);

describe("random graphs with their gradients, on a device, against the float64 reference", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  test.each([
    ["fused", true],
    ["unfused", false],
  ] as const)("%s", { timeout: 4000 * RUNS }, async (_name, fuse) => {
    await fc.assert(
      fc.asyncProperty(graphNumbers, async (numbers) => {
        const { graph, leaves } = buildRandomGraph(numbers, (b, objective, parameters) => {
          gradients(b, objective, parameters).forEach((id, i) => {
            b.output(`d${i}`, id);
          });
        });
        const expected = evaluate(graph, leaves);
        const actual = await runOnDevice(optimize(graph), leaves, kiln, fuse);
        const bounds = roundingBounds(graph, leaves);
        for (const [name, value] of expected.outputs) {
          const difference = greatestDifference(actual.outputs.get(name)!, value);
          expect(difference, name).toBeLessThanOrEqual(bounds.get(name)!);
        }
      }),
      { numRuns: RUNS, seed: 7, endOnFailure: true },
    );
  });

  test("the bounds are narrow enough to fail: most objectives may move by less than a thousandth", () => {
    const shares = fc.sample(graphNumbers, { seed: 7, numRuns: 100 }).map((numbers) => {
      const { graph, leaves } = buildRandomGraph(numbers);
      const objective = evaluate(graph, leaves).outputs.get("objective")!;
      return roundingBounds(graph, leaves).get("objective")! / Math.max(1e-3, greatest(objective));
    });
    expect(shares.filter((share) => share < 1e-3).length).toBeGreaterThan(50);
  });
});
