import { afterAll, beforeAll, expect, test } from "vitest";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { compile, renderDiagnostics } from "../../compiler/index.ts";
import { analyze } from "../../compiler/semantics/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { deviceRun } from "./device-run.ts";
import { readFixture } from "./fixture.ts";
import { referenceRun } from "./reference-run.ts";
import { need, type Run } from "./runs.ts";
import { oracleSpec } from "./spec.ts";

/**
 * Random numbers are counted, not drawn in an order: fused kernels (which draw a mask again in the backward pass), one op a
 * kernel (which store it) and the float64 reference drop the same elements. One other element would move the losses by
 * far more than the 1e-4 that float32 and three steps of Adam are given.
 */
const tolerance = 1e-4;
const settings = { dropout: "0.2" };
const seed = 0x9e3779b9;

const fixture = await readFixture("bert-d2l");
const { root, load, library } = oracleSpec("d2l");
const { model, diagnostics, sources } = analyze(root, { loadFile: load, library, settings });
if (model === undefined) throw new Error(renderDiagnostics(diagnostics, sources));
const models = { training: elaborate(model, "train"), evaluation: elaborate(model, "evaluate") };
const reference = () =>
  referenceRun(models, model.recipe, fixture, { maxBufferBytes: 2 ** 27, rewrite: (graph) => graph });

let device: KilnDevice | undefined;
beforeAll(async () => {
  device = await openDevice({ prefer: "software" });
});
afterAll(() => device?.close());

async function threeSteps(run: Run, value: number): Promise<readonly number[]> {
  run.seed(value);
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { mlm, nsp } = await run.step();
    losses.push(mlm, nsp);
  }
  return losses;
}

test.each([true, false])(
  "dropout drops what the reference drops, fused: %s",
  async (fuse) => {
    const kiln = need(device, "device");
    const { program } = compile(root, {
      load,
      library,
      settings,
      profile: kiln.profile,
      fuse,
      entries: ["train"],
    });
    const { run, executor } = await deviceRun(need(program, "program"), kiln, fixture, ["train"]);
    try {
      const losses = await threeSteps(run, seed);
      const expected = await threeSteps(reference(), seed);
      losses.forEach((loss, i) => {
        expect(Math.abs(loss / need(expected[i], "loss") - 1)).toBeLessThan(tolerance);
      });
    } finally {
      executor.destroy();
    }
  },
  300_000,
);

test("masks depend on the seed; evaluation has none", async () => {
  const losses = await threeSteps(reference(), seed);
  const others = await threeSteps(reference(), seed + 1);
  const first = need(fixture.steps[0], "first step");
  expect(Math.abs(need(losses[0], "loss") / first.mlm - 1)).toBeGreaterThan(100 * tolerance);
  expect(Math.abs(need(losses[0], "loss") / need(others[0], "loss") - 1)).toBeGreaterThan(100 * tolerance);
  const { mlm } = await reference().evaluate();
  expect(Math.abs(mlm / first.mlm - 1)).toBeLessThan(1e-8);
});
