import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Program } from "../../compiler/program/index.ts";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createEncoder, createTrainer, type StepReport, type Trainer } from "../../runtime/train/index.ts";
import { lineBatches, lineProgram } from "./line-program.ts";

let kiln: KilnDevice;
let folder: string;
beforeAll(async () => {
  kiln = await openDevice({ prefer: "software" });
  folder = await mkdtemp(join(tmpdir(), "kiln-train-"));
});
afterAll(async () => {
  kiln.throwIfFailed();
  kiln.close();
  await rm(folder, { recursive: true, force: true });
});

async function failure(work: () => Promise<unknown>): Promise<KilnError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof KilnError) return thrown;
    throw thrown;
  }
  throw new Error("it should have failed");
}

async function take(trainer: Trainer, count: number, signal?: AbortSignal): Promise<readonly StepReport[]> {
  const reports: StepReport[] = [];
  for await (const report of trainer.steps(count, signal)) reports.push(report);
  return reports;
}

const lossesOf = (reports: readonly StepReport[]) => reports.map((report) => report.losses.square);

async function stateOf(trainer: Trainer): Promise<readonly (readonly number[])[]> {
  const { memory } = trainer.executor;
  const reads = ["line.weight", "line.bias"].flatMap((name) => [
    memory.readParameter(name),
    memory.readParameter(name, "momentum"),
  ]);
  // As bits, so that -0 and 0 differ.
  return (await Promise.all(reads)).map((values) => [...new Uint32Array(values.buffer)]);
}

describe("createTrainer", () => {
  it("fits the line", async () => {
    const trainer = await createTrainer(lineProgram({ batch: 16, accumulate: 1 }), kiln, {
      seed: 1,
      batches: lineBatches(16),
    });
    const reports = await take(trainer, 150);
    expect(reports.map((report) => report.step)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
    expect(reports[0]?.losses.square).toBeGreaterThan(0.5);
    expect(reports.at(-1)?.losses.square).toBeLessThan(1e-3);
    const weight = await trainer.executor.memory.readParameter("line.weight");
    // The noise of the program shifts y by 0.0033 on average and the run has nearly converged.
    [1, -2, 3].forEach((value, i) => {
      expect(Math.abs((weight[i] ?? Number.NaN) - value)).toBeLessThan(0.05);
    });
    expect(reports.every((report) => report.examples === 16 && report.seconds >= 0)).toBe(true);
    await trainer.dispose();
  });

  it("gives bitwise the same run for the same seed, step by step or in flight, and another for another", async () => {
    const run = async (seed: number, inFlight: boolean) => {
      const trainer = await createTrainer(lineProgram({ batch: 4, accumulate: 2 }), kiln, {
        seed,
        batches: lineBatches(4),
      });
      const reports: StepReport[] = [];
      if (inFlight) reports.push(...(await take(trainer, 10)));
      else for (let i = 0; i < 10; i++) reports.push(await trainer.step());
      const result = { losses: lossesOf(reports), state: await stateOf(trainer) };
      await trainer.dispose();
      return result;
    };
    const first = await run(5, true);
    expect(await run(5, false)).toEqual(first);
    expect((await run(6, true)).losses).not.toEqual(first.losses);
  });

  it("starts from another model's checkpoint where names are the same, and says what it took", async () => {
    const path = join(folder, "start.safetensors");
    const options = { seed: 3, batches: lineBatches(4) };
    const first = await createTrainer(lineProgram({ batch: 4, accumulate: 1 }), kiln, options);
    await take(first, 5);
    await first.save(path);
    const trained = await first.executor.memory.readParameter("line.weight");
    await first.dispose();

    const saved = await loadCheckpoint(path);
    const tensors = new Map([...saved.tensors].filter(([name]) => name !== "line.bias"));
    tensors.set("other.weight", saved.tensors.get("line.bias")!);
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const init = { ...saved, tensors };
    const second = await createTrainer(program, kiln, { seed: 4, batches: lineBatches(4), init });
    expect(second.stepsBegun).toBe(0);
    expect(second.init).toEqual({ taken: ["line.weight"], fresh: ["line.bias"], unused: ["other.weight"] });
    expect([...(await second.executor.memory.readParameter("line.weight"))]).toEqual([...trained]);
    expect([...(await second.executor.memory.readParameter("line.weight", "momentum"))]).toEqual([0, 0, 0]);
    await second.dispose();

    const none = new Map([["other.weight", saved.tensors.get("line.bias")!]]);
    const start = (from: typeof saved) =>
      failure(() => createTrainer(program, kiln, { seed: 4, batches: lineBatches(4), init: from }));
    expect((await start({ ...saved, tensors: none })).message).toContain("has no parameter of");
    const wrong = new Map([["line.weight", { ...saved.tensors.get("line.weight")!, shape: [1, 3] }]]);
    expect((await start({ ...saved, tensors: wrong })).message).toContain(
      "`line.weight` is F32[3, 1] in the spec and F32[1, 3]",
    );
  });

  it("averages the losses and adds up the examples of micro-batches", async () => {
    // Two micro-batches of 4 are the batches 0 and 1 of the source; one batch of 8 holds the same points.
    const together = await createTrainer(lineProgram({ batch: 8, accumulate: 1 }), kiln, {
      seed: 2,
      batches: lineBatches(8),
    });
    const apart = await createTrainer(lineProgram({ batch: 4, accumulate: 2 }), kiln, {
      seed: 2,
      batches: lineBatches(4),
    });
    const [whole] = await take(together, 1);
    const [parts] = await take(apart, 1);
    expect(parts?.examples).toBe(8);
    // The noise on y differs by up to 0.0066 between the two, on residuals of size about 3.
    expect(Math.abs((parts?.losses.square ?? 0) / (whole?.losses.square ?? 0) - 1)).toBeLessThan(0.01);
    const [weightA, weightB] = await Promise.all(
      [together, apart].map((trainer) => trainer.executor.memory.readParameter("line.weight")),
    );
    weightA?.forEach((value, i) => {
      expect(Math.abs(value - (weightB?.[i] ?? Number.NaN))).toBeLessThan(0.002);
    });
    await together.dispose();
    await apart.dispose();
  });

  for (const accumulate of [1, 3]) {
    it(`resumes bitwise the same run (accumulate ${accumulate})`, async () => {
      const program = lineProgram({ batch: 4, accumulate });
      const path = join(folder, `resume-${accumulate}.safetensors`);
      const whole = await createTrainer(program, kiln, { seed: 9, batches: lineBatches(4) });
      const expected = await take(whole, 12);

      const interrupted = await createTrainer(program, kiln, { seed: 9, batches: lineBatches(4) });
      await take(interrupted, 5);
      await interrupted.save(path);
      await interrupted.dispose();
      const checkpoint = await loadCheckpoint(path);
      expect([checkpoint.step, checkpoint.seed, checkpoint.vocabulary]).toEqual([
        5,
        9,
        ["<unk>", "line", "zeile"],
      ]);
      expect([...checkpoint.tensors.keys()]).toEqual([
        "line.weight",
        "line.bias",
        "line.weight@momentum",
        "line.bias@momentum",
        "@seed",
        "@step",
      ]);

      const resumed = await createTrainer(program, kiln, {
        seed: 9,
        batches: lineBatches(4),
        resume: checkpoint,
      });
      const rest = await take(resumed, 7);
      expect(rest.map((report) => report.step)).toEqual([6, 7, 8, 9, 10, 11, 12]);
      expect(lossesOf(rest)).toEqual(lossesOf(expected.slice(5)));
      expect(await stateOf(resumed)).toEqual(await stateOf(whole));
      await whole.dispose();
      await resumed.dispose();
    });
  }

  it("saves the state after the steps under way, wherever the loop is left", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const path = join(folder, "left.safetensors");
    const trainer = await createTrainer(program, kiln, { seed: 3, batches: lineBatches(4) });
    for await (const report of trainer.steps(10)) {
      if (report.step < 4) continue;
      await trainer.save(path);
      break;
    }
    const left = await loadCheckpoint(path);
    expect(left.step).toBe(trainer.stepsBegun);
    const resumed = await createTrainer(program, kiln, { seed: 3, batches: lineBatches(4), resume: left });
    expect(await stateOf(resumed)).toEqual(await stateOf(trainer));
    await trainer.dispose();
    await resumed.dispose();
  });

  it("reports the steps under way when it is aborted", async () => {
    const trainer = await createTrainer(lineProgram({ batch: 4, accumulate: 1 }), kiln, {
      seed: 3,
      batches: lineBatches(4),
    });
    const abort = new AbortController();
    const steps: number[] = [];
    for await (const report of trainer.steps(1000, abort.signal)) {
      steps.push(report.step);
      if (report.step === 5) abort.abort();
    }
    expect(steps).toEqual(Array.from({ length: trainer.stepsBegun }, (_, i) => i + 1));
    expect(steps.length).toBeLessThan(10);
    await trainer.dispose();
  });

  it("stops at a loss that is not finite, names the step and saves no such state", async () => {
    const path = join(folder, "nan.safetensors");
    for (const [bad, word] of [
      [Number.NaN, "NaN"],
      [3e38, "infinite"],
    ] as const) {
      const batches = lineBatches(4, (batch) => {
        if (batch.index === 6) batch.fields.y?.fill(bad);
      });
      const trainer = await createTrainer(lineProgram({ batch: 4, accumulate: 2 }), kiln, {
        seed: 3,
        batches,
      });
      const error = await failure(() => take(trainer, 10));
      expect(error.kind).toBe("user");
      expect(error.message).toBe(`the loss \`square\` became ${word} in step 4`);
      expect(error.hint).toMatch(/learning rate/);
      expect(await failure(() => trainer.save(path))).toBe(error);
      expect(await failure(() => trainer.step())).toBe(error);
      expect(await readdir(folder)).not.toContain("nan.safetensors");
      await trainer.dispose();
    }
  });

  it("goes on after a reader that failed once, without half a step", async () => {
    const program = lineProgram({ batch: 4, accumulate: 3 });
    const source = lineBatches(4);
    let calls = 0;
    const flaky = {
      ...source,
      next: () => {
        calls += 1;
        if (calls === 5) {
          source.seek(3);
          throw new KilnError("user", "the corpus went away");
        }
        return source.next();
      },
    };
    const steady = await createTrainer(program, kiln, { seed: 4, batches: lineBatches(4) });
    const trainer = await createTrainer(program, kiln, { seed: 4, batches: flaky });
    await trainer.step();
    expect((await failure(() => trainer.step())).message).toBe("the corpus went away");
    await trainer.step();
    await take(steady, 2);
    expect(await stateOf(trainer)).toEqual(await stateOf(steady));
    await trainer.dispose();
    await steady.dispose();
  });

  it("evaluates without changing the run", async () => {
    const trainer = await createTrainer(lineProgram({ batch: 4, accumulate: 1 }), kiln, {
      seed: 8,
      batches: lineBatches(4),
    });
    await take(trainer, 3);
    const before = await stateOf(trainer);
    const report = await trainer.evaluate(lineBatches(4), 5);
    expect(report).toMatchObject({ batches: 5, examples: 20 });
    expect(report.losses.square).toBeGreaterThan(0);
    expect(await trainer.evaluate(lineBatches(4), 5)).toEqual(report);
    expect(await stateOf(trainer)).toEqual(before);
    await trainer.dispose();
  });

  it("refuses checkpoints of another model, optimizer or seed, and says what differs", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const path = join(folder, "other.safetensors");
    const trainer = await createTrainer(program, kiln, { seed: 8, batches: lineBatches(4) });
    await trainer.save(path);
    await trainer.dispose();
    const resume = await loadCheckpoint(path);
    const message = async (other: Program, seed = 8, from = resume) => {
      const error = await failure(() =>
        createTrainer(other, kiln, { seed, batches: lineBatches(4), resume: from }),
      );
      return error.message.replaceAll(path, "F");
    };
    const parameters = (
      change: (parameter: Program["parameters"][number]) => Partial<Program["parameters"][number]>,
    ) => ({
      ...program,
      parameters: program.parameters.map((parameter) => ({ ...parameter, ...change(parameter) })),
    });
    expect(await message(parameters(({ name }) => ({ name: name.replace("weight", "kernel") })))).toBe(
      "F is a checkpoint of another model than `Line`: it has no `line.kernel`; the spec has no `line.weight`",
    );
    expect(await message(parameters(({ shape }) => ({ shape: shape.length === 2 ? [1, 3] : shape })))).toBe(
      "`line.weight` is F32[1, 3] in the spec and F32[3, 1] in F",
    );
    expect(await message(parameters(() => ({ slots: { "adam.m": "momentum" } })))).toBe(
      "F was trained with another optimizer: `line.weight@adam.m` is missing from it",
    );
    expect(await message(parameters(() => ({ slots: {} })))).toBe(
      "F was trained with another optimizer: `line.weight@momentum` is unknown to the spec",
    );
    // As an import leaves it.
    const tensors = new Map([...resume.tensors].filter(([name]) => !name.includes("@")));
    expect(await message(program, 8, { ...resume, tensors })).toBe(
      "F holds parameters alone, no state of an optimizer: there is no run to go on with",
    );
    expect(await message(program, 7)).toBe("F was trained with the seed 8, not 7");
    const { train, ...entries } = program.entries;
    expect(train).toBeDefined();
    expect(await message({ ...program, entries })).toBe("`Line` was compiled without a training step");
  });
});

describe("createEncoder", () => {
  it("gives what the trained model gives, from parameters alone", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const path = join(folder, "encode.safetensors");
    const trainer = await createTrainer(program, kiln, { seed: 8, batches: lineBatches(4) });
    await take(trainer, 20);
    await trainer.save(path);
    const { fields } = await lineBatches(4).next();
    const expected = await trainer.executor.run("evaluate", fields, { outputs: ["output.predicted"] });
    await trainer.dispose();
    const encoder = await createEncoder(program, kiln, await loadCheckpoint(path));
    const { predicted } = await encoder.encode({ x: fields.x ?? new Float32Array() });
    expect(predicted?.shape).toEqual([4]);
    expect(predicted?.data).toEqual(expected["output.predicted"]?.data);
    expect(encoder.executor.memory.has("momentum")).toBe(false);
    encoder.dispose();
  });
});
