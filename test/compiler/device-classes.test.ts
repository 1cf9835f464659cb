import { expect, test } from "vitest";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/index.ts";
import { compileSpec } from "./specs.ts";

async function lossesOf(kiln: KilnDevice, deviceClass: "software" | "gpu"): Promise<readonly number[]> {
  const { program } = compileSpec("models/bert-tiny.bert", {
    profile: { ...kiln.profile, deviceClass },
    settings: { batch: "4", layers: "1" },
    entries: ["train"],
    verify: true,
  });
  const batches = await openBatches(program.data, { split: "train", seed: 3 });
  const trainer = await createTrainer(program, kiln, { seed: 3, batches });
  const losses: number[] = [];
  for await (const report of trainer.steps(3)) losses.push(...Object.values(report.losses));
  await trainer.dispose();
  await batches.close();
  return losses;
}

test("the kernels of both device classes train alike", { timeout: 120_000 }, async () => {
  const kiln = await openDevice({ prefer: "software" });
  try {
    const software = await lossesOf(kiln, "software");
    const gpu = await lossesOf(kiln, "gpu");
    expect(software.length).toBe(6);
    // Sums run in another order: a few ULP a step, which three steps of Adam hardly widen.
    gpu.forEach((loss, i) => {
      expect(Math.abs(loss - software[i]!) / software[i]!).toBeLessThan(1e-5);
    });
  } finally {
    kiln.close();
  }
});
