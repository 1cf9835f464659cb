import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Precision } from "../../compiler/program/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createTrainer, type StepReport } from "../../runtime/train/index.ts";
import { compileSpec } from "../compiler/specs.ts";

const STEPS = 20;
/**
 * Halves keep 11 bits: in a step of unchanged parameters losses agree to a few 2^-11 of what the logits are off, 1e-4 of the loss.
 * Adam divides each gradient by its size, so rounding of the small ones moves parameters too: over twenty steps at a
 * learning rate of 3e-3 that adds up to some tenths of a percent (measured: 0.15 %).
 */
const [FIRST, LATER] = [1e-4, 5e-3];

describe("bert-tiny in mixed precision", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => {
    kiln.throwIfFailed();
    kiln.close();
  });

  const run = async (precision: Precision): Promise<readonly StepReport[]> => {
    const { program } = compileSpec("models/bert-tiny.bert", {
      profile: kiln.profile,
      precision,
      settings: { batch: "8" },
      entries: ["train"],
      verify: true,
    });
    const batches = await openBatches(program.data, { split: "train", seed: 0 });
    const trainer = await createTrainer(program, kiln, { seed: 0, batches });
    const reports: StepReport[] = [];
    for await (const report of trainer.steps(STEPS)) reports.push(report);
    await trainer.dispose();
    await batches.close();
    return reports;
  };

  test("learns as it does in f32", async () => {
    const [plain, mixed] = [await run("f32"), await run("mixed")];
    expect(mixed.map((report) => [report.skipped, report.lossScale])).toEqual(
      Array(STEPS).fill([false, 65536]),
    );
    const difference = (i: number) => Math.abs(mixed[i]!.objective! / plain[i]!.objective! - 1);
    const differences = plain.map((_, i) => difference(i));
    expect(differences[0]).toBeLessThan(FIRST);
    expect(Math.max(...differences)).toBeLessThan(LATER);
    // Other numbers, though: the operands are rounded.
    expect(Math.max(...differences)).toBeGreaterThan(1e-6);
    expect(mixed.at(-1)!.objective).toBeLessThan(0.9 * mixed[0]!.objective!);
    // Gradients come out of the scaled objective at their own size.
    const norms = (i: number) => Math.abs(mixed[i]!.gradientNorm! / plain[i]!.gradientNorm! - 1);
    expect(norms(0)).toBeLessThan(5e-3);
    // Two programs to compile, on a processor that others use too.
  }, 300_000);
});
