import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, verify } from "../../compiler/graph/index.ts";
import { type Fitted, FLOPS_PER_BYTE, fitMemory, type Measured } from "../../compiler/recompute/index.ts";
import { prepare, type Schedule, schedulePrepared } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { expectNoHazards, relativeError, runOnDevice } from "../schedule/run-graph.ts";
import { randomLayers } from "./layers.ts";

/** Sums of 32 products in a row of up to 13 layers and back, and the squares of their results. */
const TOLERANCE = 3e-5;

describe("as much as possible computed again", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  function fitted(graph: Graph): { readonly kept: Measured<Schedule>; readonly fit: Fitted<Schedule> } {
    const measure = (prepared: Graph, savesMemory: boolean): Measured<Schedule> => {
      verify(prepared);
      const planned = schedulePrepared(prepared, kiln.profile, { fuse: true, savesMemory });
      expectNoHazards(planned.schedule);
      const scratchBytes = planned.schedule.scratch.reduce((n, { sizeBytes }) => n + sizeBytes, 0);
      return { graph: prepared, ...planned, scratchBytes };
    };
    const kept = measure(prepare(graph, kiln.profile, { fuse: true }), false);
    return { kept, fit: fitMemory(kept, (next) => measure(next, true), 0, FLOPS_PER_BYTE.software) };
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])("random layers %i", async (seed) => {
    const { graph, leaves } = randomLayers(seed, 12);
    const { kept, fit } = fitted(graph);
    expect(fit.fits).toBe(false);
    expect(fit.recomputed).toBeGreaterThan(0);
    expect(fit.scratchBytes).toBeLessThan(kept.scratchBytes);
    const expected = evaluate(graph, leaves).outputs;
    // The same ops on the same values, in float64: bitwise.
    const again = evaluate(fit.graph, leaves).outputs;
    const same = evaluate(kept.graph, leaves).outputs;
    for (const [name, value] of same) expect(again.get(name)!.data).toEqual(value.data);
    const { outputs } = await runOnDevice(fit.graph, leaves, kiln, true);
    for (const [name, value] of expected)
      expect(relativeError(outputs.get(name)!, value), name).toBeLessThan(TOLERANCE);
  });
});
