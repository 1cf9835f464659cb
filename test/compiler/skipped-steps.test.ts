import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, type Program } from "../../compiler/index.ts";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createTrainer, type StepReport, type Trainer } from "../../runtime/train/index.ts";
import { numbers } from "../training/linear-model.ts";

const [BATCH, SIZE] = [4, 96];

const spec = (optimizer: string, more: string) => `
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
  optimizer ${optimizer}
  ${more}
  steps     50
}
`;

type Spoil = ReadonlyMap<number, number>;

/** Batch i is a function of i alone; those in `spoiled` hold one target of that value. `leftOut` are not there at all. */
function batchesOf(spoiled: Spoil, leftOut: ReadonlySet<number> = new Set()): BatchSource {
  let index = 0;
  return {
    vocabulary: [],
    summary: "numbers",
    async next() {
      while (leftOut.has(index)) index += 1;
      const draw = (seed: number) => Float32Array.from(numbers(BATCH * SIZE, seed));
      const fields = { x: draw(2 * index), target: draw(2 * index + 1) };
      const value = spoiled.get(index);
      if (value !== undefined) fields.target[5] = value;
      index += 1;
      return { index: index - 1, fields, examples: BATCH, validTokens: BATCH };
    },
    seek(to) {
      index = to;
    },
    async close() {},
  };
}

describe("steps whose gradient is not finite", () => {
  let kiln: KilnDevice;
  let folder: string;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
    folder = await mkdtemp(join(tmpdir(), "kiln-skipped-"));
  });
  afterAll(async () => {
    kiln.throwIfFailed();
    kiln.close();
    await rm(folder, { recursive: true, force: true });
  });

  const programOf = (optimizer: string, more: string, fuse = true): Program => {
    const { program, diagnostics } = compile("example.bert", {
      load: () => spec(optimizer, more),
      profile: kiln.profile,
      fuse,
      verify: true,
      entries: more.includes("accumulate") ? ["accumulate", "train"] : ["train"],
    });
    if (program === undefined) throw new Error(JSON.stringify(diagnostics));
    return program;
  };
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
  const failure = async (work: () => Promise<unknown>): Promise<KilnError> => {
    const thrown = await work().catch((error: unknown) => error);
    if (thrown instanceof KilnError) return thrown;
    throw new Error("it should have failed");
  };

  const adam = "adam(lr: warmup_cosine(peak: 1e-2, warmup: 3, total: 50))";
  const cases = [
    ["adam, clipped", adam, "clip global_norm(1.0)", true],
    ["adam, clipped, unfused", adam, "clip global_norm(1.0)", false],
    ["adamw", "adamw(lr: 1e-2)", "", true],
    ["momentum", "momentum(lr: 1e-2)", "clip global_norm(1.0)", true],
    ["sgd", "sgd(lr: 1e-2)", "", true],
  ] as const;

  test.each(cases)("change nothing, bit by bit: %s", async (_name, optimizer, more, fuse) => {
    const program = programOf(optimizer, more, fuse);
    const spoil: Spoil = new Map([
      [1, Number.NaN],
      [2, Number.POSITIVE_INFINITY],
      // Finite, but its square is beyond an f32.
      [5, 3e38],
    ]);
    const trainer = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(spoil) });
    const steady = await createTrainer(program, kiln, {
      seed: 3,
      batches: batchesOf(new Map(), new Set(spoil.keys())),
    });
    const reports = await take(trainer, 8);
    const expected = await take(steady, 5);
    expect(reports.map((report) => report.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(reports.map((report) => report.skipped)).toEqual(
      [0, 1, 1, 0, 0, 1, 0, 0].map((skipped) => skipped === 1),
    );
    expect(reports.map((report) => report.skippedSteps)).toEqual([0, 1, 2, 2, 2, 3, 3, 3]);
    expect(reports.filter((r) => !r.skipped).map((r) => [r.losses, r.gradientNorm, r.learningRate])).toEqual(
      expected.map((r) => [r.losses, r.gradientNorm, r.learningRate]),
    );
    expect(reports[1]!.losses.error).toBeNaN();
    const { skipped, ...state } = await stateOf(trainer);
    const { skipped: none, ...steadyState } = await stateOf(steady);
    expect([skipped![0], none![0]]).toEqual([3, 0]);
    expect(state).toEqual(steadyState);
    await trainer.dispose();
    await steady.dispose();
  });

  test("are counted in checkpoints, and a resumed run goes on bitwise", async () => {
    const program = programOf(adam, "clip global_norm(1.0)");
    const spoil: Spoil = new Map([
      [0, Number.NaN],
      [3, Number.NaN],
      [6, Number.NaN],
    ]);
    for (const saved of [1, 5]) {
      const path = join(folder, `counted-${saved}.safetensors`);
      const whole = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(spoil) });
      const expected = await take(whole, 8);
      const first = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(spoil) });
      await take(first, saved);
      await first.save(path);
      const checkpoint = await loadCheckpoint(path);
      expect(checkpoint.step).toBe(saved);
      const resumed = await createTrainer(program, kiln, {
        seed: 3,
        batches: batchesOf(spoil),
        resume: checkpoint,
      });
      const rest = await take(resumed, 8 - saved);
      const tell = (r: StepReport) => [r.step, r.losses, r.skipped, r.skippedSteps, r.learningRate];
      expect(rest.map(tell)).toEqual(expected.slice(saved).map(tell));
      expect(await stateOf(resumed)).toEqual(await stateOf(whole));
      for (const trainer of [whole, first, resumed]) await trainer.dispose();
    }
  });

  test("a checkpoint that does not count them loads as one without any", async () => {
    const program = programOf(adam, "");
    const path = join(folder, "uncounted.safetensors");
    const first = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(new Map()) });
    await take(first, 4);
    await first.save(path);
    const checkpoint = await loadCheckpoint(path);
    expect(checkpoint.tensors.has("@skipped")).toBe(false);
    const resumed = await createTrainer(program, kiln, {
      seed: 3,
      batches: batchesOf(new Map()),
      resume: checkpoint,
    });
    expect(await take(resumed, 1)).toMatchObject([{ step: 5, skipped: false, skippedSteps: 0 }]);
    await first.dispose();
    await resumed.dispose();
  });

  test("a bad micro-batch, first or last, costs its step alone", async () => {
    const program = programOf(adam, "clip global_norm(1.0)\n  accumulate 2");
    const spoil: Spoil = new Map([
      [2, Number.NaN],
      [7, Number.NaN],
    ]);
    const trainer = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(spoil) });
    const steady = await createTrainer(program, kiln, {
      seed: 3,
      batches: batchesOf(new Map(), new Set([2, 3, 6, 7])),
    });
    const reports = await take(trainer, 5);
    await take(steady, 3);
    expect(reports.map((report) => report.skipped)).toEqual([false, true, false, true, false]);
    const { skipped, ...state } = await stateOf(trainer);
    const { skipped: none, ...steadyState } = await stateOf(steady);
    expect([skipped![0], none![0]]).toEqual([2, 0]);
    expect(state).toEqual(steadyState);
    await trainer.dispose();
    await steady.dispose();
  });

  test("ten in a row end the run, and what was saved before stays", async () => {
    const program = programOf(adam, "");
    const path = join(folder, "ended.safetensors");
    // Nine in a row do not, whatever came before.
    const bad = [1, 2, 3, 4, 5, 6, 7, 8, 9, ...Array.from({ length: 40 }, (_, i) => 11 + i)];
    const spoil: Spoil = new Map(bad.map((index) => [index, Number.NaN]));
    const trainer = await createTrainer(program, kiln, { seed: 3, batches: batchesOf(spoil) });
    const before = await take(trainer, 11);
    expect(before.at(-1)).toMatchObject({ step: 11, skipped: false, skippedSteps: 9 });
    await trainer.save(path);
    const error = await failure(() => take(trainer, 30));
    expect(error.kind).toBe("user");
    expect(error.message).toBe(
      "the gradient was not finite in 10 steps in a row, 12 to 21; the loss `error` is NaN",
    );
    expect(error.hint).toMatch(/go on from a checkpoint before them: lower the learning rate/);
    expect(await failure(() => trainer.save(join(folder, "later.safetensors")))).toBe(error);
    expect(await readdir(folder)).not.toContain("later.safetensors");
    expect((await loadCheckpoint(path)).step).toBe(11);
    await trainer.dispose();
  });
});
