import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, type Program } from "../../compiler/index.ts";
import type { LossScaling } from "../../compiler/program/index.ts";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createTrainer, type StepReport, type Trainer } from "../../runtime/train/index.ts";
import { numbers } from "../training/linear-model.ts";

const [BATCH, SIZE] = [8, 32];

const spec = (more: string) => `
data Pairs(batch: dim, size: dim) {
  x:      f32[batch, size]
  target: f32[batch, size]
}
model Example(size: dim) {
  param gain: f32[size, size] = normal(std: 0.1)
  forward(x: f32[B, size], target: f32[B, size]) {
    loss error = mean((x @ gain - target) ** 2)
  }
}
model Small = Example(size: ${SIZE})
train Small {
  data      Pairs(batch: ${BATCH}, size: ${SIZE})
  minimize  error
  optimizer adam(lr: 1e-2)
  ${more}
  steps     50
}
`;

/** Batch i is a function of i alone; targets of those in `large` are that much greater. */
function batchesOf(large: ReadonlyMap<number, number> = new Map()): BatchSource {
  let index = 0;
  return {
    vocabulary: [],
    summary: "numbers",
    async next() {
      const draw = (seed: number) => Float32Array.from(numbers(BATCH * SIZE, seed));
      const by = large.get(index) ?? 1;
      const fields = { x: draw(2 * index), target: draw(2 * index + 1).map((value) => value * by) };
      index += 1;
      return { index: index - 1, fields, examples: BATCH, validTokens: BATCH };
    },
    seek(to) {
      index = to;
    },
    async close() {},
  };
}

describe("loss scaling", () => {
  let kiln: KilnDevice;
  let folder: string;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
    folder = await mkdtemp(join(tmpdir(), "kiln-loss-scale-"));
  });
  afterAll(async () => {
    kiln.throwIfFailed();
    kiln.close();
    await rm(folder, { recursive: true, force: true });
  });

  const programOf = (lossScaling: Partial<LossScaling>, more = "clip global_norm(1.0)"): Program => {
    const { program, diagnostics } = compile("example.bert", {
      load: () => spec(more),
      profile: kiln.profile,
      precision: "mixed",
      lossScaling,
      verify: true,
      entries: more.includes("accumulate") ? ["accumulate", "train"] : ["train"],
    });
    if (program === undefined) throw new Error(JSON.stringify(diagnostics));
    return program;
  };
  const start = (program: Program, batches = batchesOf()) =>
    createTrainer(program, kiln, { seed: 3, batches });
  const take = async (trainer: Trainer, count: number): Promise<readonly StepReport[]> => {
    const reports: StepReport[] = [];
    for await (const report of trainer.steps(count)) reports.push(report);
    return reports;
  };
  const stateOf = async (trainer: Trainer): Promise<Readonly<Record<string, readonly number[]>>> => {
    const { memory, program } = trainer.executor;
    const state: Record<string, number[]> = {};
    for (const { name, sizeBytes, role } of program.buffers) {
      if (role !== "state" || !memory.has(name)) continue;
      state[name] = [];
      for await (const piece of memory.read(name, 0, sizeBytes))
        state[name].push(...new Uint32Array(piece.buffer, piece.byteOffset, piece.byteLength / 4));
    }
    return state;
  };

  test("begins as PyTorch's GradScaler does", () => {
    expect(programOf({}).settings.lossScaling).toEqual({
      initial: 65536,
      growthFactor: 2,
      backoffFactor: 0.5,
      growthInterval: 2000,
    });
  });

  test("a power of two changes no gradient that an f16 can hold", async () => {
    const [small, large] = await Promise.all([
      start(programOf({ initial: 1024 })),
      start(programOf({ initial: 4096 })),
    ]);
    const [of1024, of4096] = [await take(small, 4), await take(large, 4)];
    const tell = (r: StepReport) => [r.losses, r.gradientNorm, r.skipped];
    expect(of1024.map(tell)).toEqual(of4096.map(tell));
    expect(of1024.map((r) => [r.lossScale, r.skipped])).toEqual(Array(4).fill([1024, false]));
    for (const trainer of [small, large]) await trainer.dispose();
  });

  test("what overflows an f16 is skipped, the scale halves, and the run goes on", async () => {
    // The cotangent of the product is 2 (y - target) / (8 * 32) times the scale: beyond 65504 where y - target is above 128.
    const large = new Map([[2, 200]]);
    const trainer = await start(programOf({}), batchesOf(large));
    const reports = await take(trainer, 5);
    expect(reports.map((r) => r.skipped)).toEqual([false, false, true, false, false]);
    expect(reports.map((r) => r.lossScale)).toEqual([65536, 65536, 32768, 32768, 32768]);
    // The loss itself is finite: it was the scale that was too much.
    expect(Number.isFinite(reports[2]!.losses.error)).toBe(true);
    expect(reports[4]!.losses.error).toBeLessThan(reports[0]!.losses.error!);
    await trainer.dispose();
  });

  test("several overflows halve it as often, and a step that was skipped changed nothing", async () => {
    const large = new Map([
      [0, 1000],
      [1, 1000],
    ]);
    const trainer = await start(programOf({}), batchesOf(large));
    const before = await stateOf(trainer);
    const reports = await take(trainer, 2);
    expect(reports.map((r) => [r.skipped, r.lossScale])).toEqual([
      [true, 32768],
      [true, 16384],
    ]);
    const { loss_scale: _scale, skipped, ...after } = await stateOf(trainer);
    const { loss_scale: _old, skipped: none, ...start0 } = before;
    expect([none![0], skipped![0]]).toEqual([0, 2]);
    expect(after).toEqual(start0);
    await trainer.dispose();
  });

  test("it grows after so many good steps in a row, and counts anew after each change", async () => {
    const large = new Map([[4, 1e6]]);
    const trainer = await start(programOf({ initial: 16, growthInterval: 3 }), batchesOf(large));
    const reports = await take(trainer, 9);
    expect(reports.map((r) => r.skipped)).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0].map((bit) => bit === 1));
    expect(reports.map((r) => r.lossScale)).toEqual([16, 16, 32, 32, 16, 16, 16, 32, 32]);
    await trainer.dispose();
  });

  test("a resumed run is bitwise the run that was not interrupted", async () => {
    const program = programOf({ initial: 64, growthInterval: 3 });
    const large = new Map([[3, 1e6]]);
    for (const saved of [2, 5]) {
      const path = join(folder, `at-${saved}.safetensors`);
      const whole = await start(program, batchesOf(large));
      const expected = await take(whole, 8);
      const first = await start(program, batchesOf(large));
      await take(first, saved);
      await first.save(path);
      const checkpoint = await loadCheckpoint(path);
      expect(checkpoint.precision).toBe("mixed");
      const resumed = await createTrainer(program, kiln, {
        seed: 3,
        batches: batchesOf(large),
        resume: checkpoint,
      });
      const rest = await take(resumed, 8 - saved);
      const tell = (r: StepReport) => [r.step, r.losses, r.skipped, r.lossScale, r.gradientNorm];
      expect(rest.map(tell)).toEqual(expected.slice(saved).map(tell));
      expect(await stateOf(resumed)).toEqual(await stateOf(whole));
      for (const trainer of [whole, first, resumed]) await trainer.dispose();
    }
  });

  test("micro-batches share a scale, whatever one of them overflows", async () => {
    const large = new Map([[2, 1000]]);
    const trainer = await start(programOf({}, "clip global_norm(1.0)\n  accumulate 2"), batchesOf(large));
    const reports = await take(trainer, 3);
    expect(reports.map((r) => [r.skipped, r.lossScale])).toEqual([
      [false, 65536],
      [true, 32768],
      [false, 32768],
    ]);
    await trainer.dispose();
  });
});
