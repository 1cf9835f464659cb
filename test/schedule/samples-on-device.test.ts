import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { allSamples } from "../ops/sample-graph.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** WGSL grants 2^-11 relative to sin and cos near zero crossings, and a few ULP to the rest; sums here are short. */
const TOLERANCE = 2e-6;
const LOOSE: Partial<Record<string, number>> = {
  sin: 5e-4,
  cos: 5e-4,
  pow: 2e-5,
  exp: 5e-6,
  tanh: 1e-5,
  erf: 5e-6,
};

describe("every op's kernel gives what the float64 reference gives", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  // A random key is made by `training` from states; on its own no kernel computes it.
  // `training` packs at multiples of 64 elements, where bindings can begin; the sample packs anywhere.
  // Casts of floats beyond an integer's range end at its greatest f32 on a device, at its greatest value in float64.
  const excluded = new Set(["cast 0", "cast 1"]);
  const runnable = allSamples.filter(
    (s) => s.op !== "random_key" && s.op !== "pack" && !excluded.has(s.title),
  );
  for (const fuse of [true, false]) {
    test.each(runnable.map((s) => [s.title, s] as const))(
      `%s, ${fuse ? "fused" : "unfused"}`,
      async (_title, s) => {
        const expected = evaluate(s.graph, s.leaves);
        const actual = await runOnDevice(s.graph, s.leaves, kiln, fuse);
        for (const [name, value] of expected.outputs) {
          expect(relativeError(actual.outputs.get(name)!, value)).toBeLessThanOrEqual(
            LOOSE[s.op] ?? TOLERANCE,
          );
        }
      },
    );
  }
});
