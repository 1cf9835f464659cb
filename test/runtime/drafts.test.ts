import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countCalls } from "../../bench/device-counts.ts";
import type { Program } from "../../compiler/program/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/index.ts";
import { compileSpec } from "../compiler/specs.ts";

/** Large enough that matmuls, alone and side by side, and both walks of attention are worth long code. */
const settings = { batch: "8", vocab: "300", layers: "1", dropout: "0.1" };

let kiln: KilnDevice;
let folder: string;
let program: Program;
beforeAll(async () => {
  kiln = await openDevice({ prefer: "software" });
  folder = mkdtempSync(join(tmpdir(), "kiln-drafts-"));
  program = compileSpec("models/bert-small.bert", {
    settings,
    entries: ["train"],
    profile: kiln.profile,
  }).program;
});
afterAll(() => {
  kiln.throwIfFailed();
  kiln.close();
  rmSync(folder, { recursive: true });
});

async function trainerOf(device: KilnDevice, drafts: boolean) {
  const batches = await openBatches(program.data, { split: "train", seed: 5 });
  const trainer = await createTrainer(program, device, { seed: 5, batches, drafts });
  /** SHA-256 of a checkpoint: parameters, moments, counters. */
  const digest = async (name: string) => {
    const path = join(folder, name);
    await trainer.save(path);
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  };
  const close = async () => {
    await trainer.dispose();
    await batches.close();
  };
  return { trainer, digest, close };
}

describe("drafts of kernels", () => {
  test("are what long kernels of a processor have: contractions apart, the rest together", () => {
    const long = program.kernels.filter(({ drafts }) => drafts !== undefined);
    expect(long.length).toBeGreaterThan(8);
    const texts = long.flatMap(({ wgsl, drafts }) =>
      drafts!.map((draft) => [draft.wgsl.length, wgsl.length] as const),
    );
    for (const [draft, whole] of texts) expect(draft).toBeLessThan(whole);
    const partsOf = (wgsl: string): number => [...wgsl.matchAll(/^fn part_/gm)].length;
    for (const { name, wgsl, drafts } of long) {
      const drafted = drafts!.reduce((count, draft) => count + partsOf(draft.wgsl), 0);
      expect(drafted, name).toBe(partsOf(wgsl));
    }
    expect(long.some(({ drafts }) => drafts!.length > 1)).toBe(true);
    expect(long.some(({ name }) => name.includes("softmax"))).toBe(true);
    const gpu = compileSpec("models/bert-small.bert", {
      settings,
      entries: ["train"],
      profile: { ...kiln.profile, deviceClass: "gpu" },
    });
    expect(gpu.program.kernels.filter(({ drafts }) => drafts !== undefined)).toEqual([]);
  });

  test("compute the same bit for bit, and give way to the kernels from the third step on", {
    timeout: 300_000,
  }, async () => {
    const own = await openDevice({ prefer: "software" });
    try {
      const counts = countCalls(own.device);
      const { trainer, digest, close } = await trainerOf(own, true);
      const whole = await trainerOf(kiln, false);
      const drafts = program.kernels.reduce((count, kernel) => count + (kernel.drafts?.length ?? 1), 0);
      const long = program.kernels.filter((kernel) => kernel.drafts !== undefined).length;
      for (let step = 1; step <= 2; step++) {
        await Promise.all([trainer.step(), whole.trainer.step()]);
        expect(await digest("drafts"), `step ${step}`).toEqual(await whole.digest("whole"));
      }
      expect(counts.pipelines).toBe(drafts);
      for (let step = 3; step <= 5; step++) await Promise.all([trainer.step(), whole.trainer.step()]);
      await trainer.executor.settle();
      expect(counts.pipelines).toBe(drafts + long);
      await Promise.all([trainer.step(), whole.trainer.step()]);
      expect(await digest("drafts")).toEqual(await whole.digest("whole"));
      expect(counts.pipelines).toBe(drafts + long);
      const { dispatches } = trainer.executor.counters;
      expect(dispatches).toBe(
        6 * program.entries.train!.steps.filter(({ kind }) => kind === "dispatch").length,
      );
      await close();
      await whole.close();
    } finally {
      own.close();
    }
  });

  test("a run that ends while its kernels are compiled leaves them", { timeout: 60_000 }, async () => {
    const own = await openDevice({ prefer: "software" });
    try {
      const counts = countCalls(own.device);
      const { trainer, close } = await trainerOf(own, true);
      const before = counts.pipelines;
      for (let step = 1; step <= 3; step++) await trainer.step();
      const settled = trainer.executor.settle();
      await close();
      await settled;
      const long = program.kernels.filter((kernel) => kernel.drafts !== undefined).length;
      expect(counts.pipelines).toBeLessThan(before + long);
    } finally {
      own.close();
    }
  });

  test("a kernel that the device refuses shows when it is waited for", { timeout: 60_000 }, async () => {
    const index = program.kernels.findIndex(({ drafts }) => drafts !== undefined);
    const broken: Program = {
      ...program,
      kernels: program.kernels.map((kernel, i) => (i === index ? { ...kernel, wgsl: "fn main( {" } : kernel)),
    };
    const batches = await openBatches(program.data, { split: "train", seed: 5 });
    const trainer = await createTrainer(broken, kiln, { seed: 5, batches });
    for (let step = 1; step <= 4; step++) await trainer.step();
    await expect(trainer.executor.settle()).rejects.toThrow(broken.kernels[index]!.name);
    await trainer.dispose();
    await batches.close();
  });
});
