import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CompileOptions, compile, renderDiagnostics } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import { libraryText } from "../../models/index.ts";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice, softwareProfile } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/train/index.ts";
import { compileSpec, readText } from "./specs.ts";

const spec = "models/bert-base.bert";
/** The shape of BERT-Base, with dropout, clipping and a tied decoder. */
const small = {
  ...{ vocab: "200", hidden: "32", layers: "3", heads: "2", ffn: "128", max_positions: "32", max_len: "32" },
  ...{ batch: "8", accumulate: "1", predictions: "4", steps: "100", warmup: "2", learning_rate: "1e-3" },
};

function bytesOf(program: Program, role?: string): number {
  const buffers = program.buffers.filter((buffer) => role === undefined || buffer.role === role);
  return buffers.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

/** Everything a program allocates if its scratch buffers may take `share` of what they take without a limit. */
function limitFor(program: Program, share: number): number {
  const scratch = bytesOf(program, "scratch");
  return bytesOf(program) - scratch + Math.floor(share * scratch);
}

function errorOf(options: Partial<CompileOptions>): string {
  const { program, diagnostics, sources } = compile(spec, {
    load: readText,
    library: libraryText,
    profile: softwareProfile,
    settings: small,
    ...options,
  });
  expect(program).toBeUndefined();
  const text = renderDiagnostics(diagnostics, sources);
  return [...text.matchAll(/(?:error|hint): .*/g)].join("\n");
}

describe("a memory limit", () => {
  const unlimited = compileSpec(spec, { settings: small, verify: true });

  test.each([0.8, 0.65, 0.5])("of %d of the scratch memory holds to the byte", (share) => {
    const memoryBytes = limitFor(unlimited.program, share);
    const { program, memory } = compileSpec(spec, { settings: small, memoryBytes, verify: true });
    expect(bytesOf(program)).toBeLessThanOrEqual(memoryBytes);
    expect(memory).toMatchObject({
      peakBytes: bytesOf(program),
      unlimitedBytes: bytesOf(unlimited.program),
      fixedBytes: bytesOf(program, "state") + bytesOf(program, "input"),
    });
    expect(memory!.recomputed).toBeGreaterThan(0);
    expect(memory!.flops).toBeGreaterThan(memory!.unlimitedFlops);
    // A backward pass takes twice the forward's: with all of that once more, a step takes a third more.
    expect(memory!.flops).toBeLessThan((4 / 3) * memory!.unlimitedFlops);
    expect(program.memoryBytes).toBe(memoryBytes);
  });

  test("that everything fits changes nothing", () => {
    const memoryBytes = bytesOf(unlimited.program);
    const { program, memory } = compileSpec(spec, { settings: small, memoryBytes });
    const { hash, ...rest } = unlimited.program;
    const { hash: other, ...limited } = program;
    expect(limited).toEqual({ ...rest, memoryBytes });
    expect(other).not.toBe(hash);
    expect(memory!.recomputed).toBe(0);
  });

  test("holds for all entries together, whatever order they are planned in", () => {
    const settings = { ...small, accumulate: "3" };
    const { program } = compileSpec(spec, { settings });
    const memoryBytes = limitFor(program, 0.6);
    const limited = compileSpec(spec, { settings, memoryBytes, verify: true });
    expect(Object.keys(limited.program.entries)).toEqual(Object.keys(program.entries));
    expect(bytesOf(limited.program)).toBeLessThanOrEqual(memoryBytes);
  });

  test("is met by ops that run one by one, too", () => {
    const { program } = compileSpec(spec, { settings: small, fuse: false });
    const memoryBytes = limitFor(program, 0.6);
    const limited = compileSpec(spec, { settings: small, fuse: false, memoryBytes, verify: true });
    expect(bytesOf(limited.program)).toBeLessThanOrEqual(memoryBytes);
  });

  test("says what was decided", () => {
    const memoryBytes = limitFor(unlimited.program, 0.8);
    const { stages } = compileSpec(spec, { settings: small, memoryBytes, entries: ["train"] });
    const lines = stages!.schedule().split("\n");
    const first = lines.findIndex((line) => line.startsWith("after dispatch"));
    expect(lines.slice(first, first + 4)).toMatchInlineSnapshot(`
      [
        "after dispatch 39, where 2.8 MiB were alive, 11 values are computed again: they cost less to make than their 448.0 KiB to keep; then 2.4 MiB are alive at most, by estimate",
        "   128.0 KiB  erf f32[8, 32, 128] (encoder.blocks.0.feed_forward, models/lib/math.bert:6:53)",
        "   128.0 KiB  erf f32[8, 32, 128] (encoder.blocks.1.feed_forward, models/lib/math.bert:6:53)",
        "    32.0 KiB  words f32[8, 32, 32] (encoder, models/lib/bert.bert:18:17)",
      ]
    `);
  });
});

describe("a limit that cannot be met", () => {
  const unlimited = compileSpec(spec, { settings: small });
  test("says the smallest plan, which then compiles, and the batch that fits", () => {
    const memoryBytes = limitFor(unlimited.program, 0.3);
    const text = errorOf({ memoryBytes });
    expect(text).toMatchInlineSnapshot(`
      "error: the smallest plan that was found takes 2.0 MiB (3.8 MiB without recomputation), the limit is 1.5 MiB; parameters and optimizer alone take 577.5 KiB
      hint: \`--set batch=4 --set accumulate=2\` takes 1.5 MiB, with as many examples a step; as it is, it fits into \`--memory 2048496\`"
    `);
    const fits = Number(/--memory (\d+)/.exec(text)?.[1]);
    const { program } = compileSpec(spec, { settings: small, memoryBytes: fits, verify: true });
    expect(bytesOf(program)).toBeLessThanOrEqual(fits);
  });

  test("names a batch that the spec has no setting for", () => {
    const load = (path: string): string | undefined =>
      path === spec ? readText(spec)?.replaceAll(/batch: batch/g, "batch: 8") : readText(path);
    const text = errorOf({ load, memoryBytes: limitFor(unlimited.program, 0.3) });
    expect(text.split("\n")[1]).toMatchInlineSnapshot(
      `"hint: a batch of 4, accumulated 2 times, takes 1.5 MiB, with as many examples a step; as it is, it fits into \`--memory 2048496\`"`,
    );
  });

  test("says so where parameters alone take more", () => {
    expect(errorOf({ memoryBytes: 100_000 })).toMatchInlineSnapshot(`
      "error: the smallest plan that was found takes 2.0 MiB (3.8 MiB without recomputation), the limit is 97.7 KiB; parameters and optimizer alone take 577.5 KiB
      hint: no smaller batch fits either; as it is, it fits into \`--memory 2048496\`"
    `);
  });
});

describe("a training run", () => {
  let kiln: KilnDevice;
  let folder: string;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
    folder = await mkdtemp(join(tmpdir(), "kiln-memory-"));
  });
  afterAll(async () => {
    kiln.throwIfFailed();
    kiln.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function train(program: Program, steps: number, path?: string) {
    const batches = await openBatches(program.data, { split: "train", seed: 3 });
    const trainer = await createTrainer(program, kiln, { seed: 3, batches });
    try {
      const losses: (readonly [number, number])[] = [];
      for (let i = 0; i < steps; i++) {
        const report = await trainer.step();
        losses.push([report.objective ?? Number.NaN, report.gradientNorm ?? Number.NaN]);
      }
      if (path !== undefined) await trainer.save(path);
      return losses;
    } finally {
      await trainer.dispose();
      await batches.close();
    }
  }

  test("in half the scratch memory has the losses of one without a limit", { timeout: 240_000 }, async () => {
    const { profile } = kiln;
    const { program } = compileSpec(spec, { settings: small, profile, entries: ["train"] });
    const memoryBytes = limitFor(program, 0.5);
    const options = { settings: small, profile, entries: ["train"] as const, memoryBytes, verify: true };
    const limited = compileSpec(spec, options);
    expect(bytesOf(limited.program)).toBeLessThanOrEqual(memoryBytes);
    expect(limited.memory!.recomputed).toBeGreaterThan(0);
    const path = join(folder, "limited.safetensors");
    const kept = await train(program, 4);
    const again = await train(limited.program, 4, path);
    // Fused anew, sums may add in another order: a few ULP of f32, which a few steps of Adam may spread.
    kept.forEach(([loss, norm], step) => {
      expect(Math.abs(again[step]![0] - loss) / loss).toBeLessThan(1e-6);
      expect(Math.abs(again[step]![1] - norm) / norm).toBeLessThan(1e-5);
    });
    expect((await loadCheckpoint(path)).memoryBytes).toBe(memoryBytes);
  });
});
