import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { evaluate } from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { buildRandomGraph, graphNumbers } from "../graph/random-graph.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Up to 60 chained f32 operations, each within a few ULP but for sin, cos, exp and pow, which WGSL lets err by 2^-11. */
const TOLERANCE = 5e-3;

describe("random graphs with their gradients, on a device, against the float64 reference", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  test.each([
    ["fused", true],
    ["unfused", false],
  ] as const)("%s", { timeout: 240_000 }, async (_name, fuse) => {
    await fc.assert(
      fc.asyncProperty(graphNumbers, async (numbers) => {
        const { graph, leaves } = buildRandomGraph(numbers, (b, objective, parameters) => {
          gradients(b, objective, parameters).forEach((id, i) => {
            b.output(`d${i}`, id);
          });
        });
        const expected = evaluate(graph, leaves);
        const actual = await runOnDevice(optimize(graph), leaves, kiln, fuse);
        for (const [name, value] of expected.outputs) {
          expect(relativeError(actual.outputs.get(name)!, value), name).toBeLessThanOrEqual(TOLERANCE);
        }
      }),
      { numRuns: Number(process.env.KILN_RANDOM_GRAPHS ?? 15), seed: 7 },
    );
  });
});
