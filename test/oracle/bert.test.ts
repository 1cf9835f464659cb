import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, renderDiagnostics } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { compareWithOracle } from "./comparison.ts";
import { deviceRun } from "./device-run.ts";
import { readFixture } from "./fixture.ts";
import { need, type Recorded, record } from "./runs.ts";
import { oracleSpec } from "./spec.ts";

/**
 * Whole programs on the software device against JAX: WGSL kernels in float32, fused and one op a kernel. JAX's own float32
 * is within 1.4e-6 (tensors) and 2.2e-5 (losses of ten steps) of the fixture (README.md).
 */
const tolerance = { tensor: 1e-4, loss: 1e-4 };

const fixtures = { d2l: await readFixture("bert-d2l"), original: await readFixture("bert-original") };

let device: KilnDevice | undefined;
beforeAll(async () => {
  device = await openDevice({ prefer: "software" });
});
afterAll(() => device?.close());

function compileSpec(name: "d2l" | "original", kiln: KilnDevice, fuse: boolean): Program {
  const { root, load, library } = oracleSpec(name);
  const result = compile(root, { load, library, profile: kiln.profile, fuse, verify: true });
  if (result.program === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return result.program;
}

describe.each(["d2l", "original"] as const)("%s", (name) => {
  const fixture = fixtures[name];
  const dispatches = new Map<boolean, number>();

  describe.each([true, false])("fused: %s", (fuse) => {
    compareWithOracle(fixture, tolerance, async (): Promise<Recorded> => {
      const kiln = need(device, "device");
      const program = compileSpec(name, kiln, fuse);
      dispatches.set(fuse, program.entries.train?.steps.length ?? 0);
      const { run, executor } = await deviceRun(program, kiln, fixture, ["train", "evaluate"]);
      try {
        return await record(run, fixture);
      } finally {
        executor.destroy();
      }
    });
  });

  test("the two are different programs", () => {
    expect(need(dispatches.get(true), "fused")).toBeLessThan(0.5 * need(dispatches.get(false), "unfused"));
  });
});
