import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Program } from "../../compiler/program/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createExecutor } from "../../runtime/execute/index.ts";
import { drawInitial } from "../../runtime/memory/index.ts";
import { lineBatches, lineProgram } from "./line-program.ts";

let kiln: KilnDevice;
beforeAll(async () => {
  kiln = await openDevice({ prefer: "software" });
});
afterAll(() => {
  kiln.throwIfFailed();
  kiln.close();
});

async function failure(work: () => unknown): Promise<KilnError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof KilnError) return thrown;
    throw thrown;
  }
  throw new Error("it should have failed");
}

/** The program with one kernel's text or bindings changed. */
function withKernel(program: Program, index: number, change: Partial<Program["kernels"][number]>): Program {
  return {
    ...program,
    kernels: program.kernels.map((kernel, i) => (i === index ? { ...kernel, ...change } : kernel)),
  };
}

describe("openDevice", () => {
  it("describes the software device", () => {
    expect(kiln.isSoftware).toBe(true);
    expect(kiln.profile.deviceClass).toBe("software");
    expect(kiln.profile.maxStorageBuffersPerShaderStage).toBeGreaterThanOrEqual(8);
    expect(kiln.notice).toMatch(/slow.*driver/);
    expect(JSON.parse(JSON.stringify(kiln.profile))).toEqual(kiln.profile);
  });

  it("allocates a buffer of the size that its profile promises", async () => {
    const buffer = await kiln.checked("a large buffer", () =>
      kiln.device.createBuffer({ size: kiln.profile.maxBufferSize, usage: 0x80 }),
    );
    buffer.destroy();
  });

  it("reports what the device refuses", async () => {
    const error = await failure(() =>
      kiln.checked("a bad buffer", () => kiln.device.createBuffer({ size: 4, usage: 0x81 })),
    );
    expect(error.kind).toBe("machine");
    expect(error.message).toMatch(/refused a bad buffer: .*MapRead/);
  });
});

describe("createExecutor", () => {
  it("runs an entry in one submit and gives the values that arithmetic gives", async () => {
    const batch = 4;
    const program = lineProgram({ batch, accumulate: 1 });
    const executor = await createExecutor(program, kiln);
    await executor.memory.initialize(7);
    const { fields } = await lineBatches(batch).next();
    const outputs = await executor.run("encode", fields);
    const weight = drawInitial({ kind: "normal", mean: 0, std: 1 }, 7, "line.weight", 0, 3);
    const x = fields.x ?? [];
    const expected = Array.from({ length: batch }, (_, b) =>
      [0, 1, 2].reduce((sum, k) => sum + (weight[k] ?? 0) * (x[3 * b + k] ?? 0), 0.5),
    );
    const { data, shape, dtype } = outputs["output.predicted"] ?? { data: [], shape: [], dtype: undefined };
    expect([dtype, shape]).toEqual(["f32", [batch]]);
    // Four summands of size about 1, each rounded once to f32.
    expected.forEach((value, b) => {
      expect(Math.abs((data[b] ?? Number.NaN) - value)).toBeLessThan(1e-6);
    });
    expect(executor.counters).toMatchObject({ submits: 1, dispatches: 1, pipelines: 5 });
    executor.destroy();
  });

  it("does overlapping runs in order", async () => {
    const program = lineProgram({ batch: 8, accumulate: 1 });
    const losses = async (overlap: boolean) => {
      const executor = await createExecutor(program, kiln, { entries: ["train"] });
      await executor.memory.initialize(1);
      const batches = lineBatches(8);
      const results: Promise<number>[] = [];
      for (let step = 0; step < 12; step++) {
        const { fields } = await batches.next();
        const result = executor
          .run("train", fields)
          .then((outputs) => outputs["loss.square"]?.data[0] ?? Number.NaN);
        if (!overlap) await result;
        results.push(result);
      }
      const values = await Promise.all(results);
      executor.destroy();
      return values;
    };
    const overlapped = await losses(true);
    expect(overlapped).toEqual(await losses(false));
    expect(overlapped.at(-1)).toBeLessThan((overlapped[0] ?? 0) / 2);
  });

  it("repeats an entry within one submit", async () => {
    const program = lineProgram({ batch: 8, accumulate: 1 });
    const { fields } = await lineBatches(8).next();
    const lossAfter = async (runs: readonly number[]) => {
      const executor = await createExecutor(program, kiln, { entries: ["train"] });
      await executor.memory.initialize(1);
      let loss = Number.NaN;
      for (const repeat of runs)
        loss = (await executor.run("train", fields, { repeat }))["loss.square"]?.data[0] ?? Number.NaN;
      const { submits, dispatches } = executor.counters;
      executor.destroy();
      return { loss, submits, dispatches };
    };
    const once = await lossAfter([1, 1, 1, 1, 1]);
    const together = await lossAfter([2, 3]);
    expect(together).toEqual({ ...once, submits: 2 });
    expect(once.submits).toBe(5);
    expect((await lossAfter([1, 0])).dispatches).toBe(once.dispatches / 5);
  });

  it("makes only what the chosen entries need", async () => {
    const executor = await createExecutor(lineProgram({ batch: 4, accumulate: 1 }), kiln, {
      entries: ["encode"],
    });
    expect(executor.counters.pipelines).toBe(1);
    expect(executor.memory.has("momentum")).toBe(false);
    expect(executor.memory.sizeBytes).toBe(272 + 48 + 16 + 272);
    const error = await failure(() => executor.run("train", {}));
    expect(error.message).toBe("the program `Line` has no entry `train`");
    executor.destroy();
  });

  it("times every dispatch", async () => {
    const executor = await createExecutor(lineProgram({ batch: 4, accumulate: 1 }), kiln);
    const { fields } = await lineBatches(4).next();
    const times = await executor.profile("train", fields);
    expect(times.map((time) => time.kernel)).toEqual([
      "line_residual",
      "mean_square",
      "line_gradient",
      "momentum_update",
    ]);
    expect(times.every((time) => time.milliseconds >= 0)).toBe(true);
    expect(times.some((time) => time.milliseconds > 0)).toBe(true);
    executor.destroy();
  });

  it("shows the line of a kernel that does not compile", async () => {
    const program = withKernel(lineProgram({ batch: 4, accumulate: 1 }), 1, {
      wgsl: "@group(0) @binding(0) var<storage, read> a: array<f32>;\nfn main() { let x: i32 = a[0]; }",
    });
    const error = await failure(() => createExecutor(program, kiln));
    expect(error.kind).toBe("machine");
    expect(error.message).toBe(
      [
        "the device refused the WGSL of the kernel `mean_square`:",
        "2 | fn main() { let x: i32 = a[0]; }",
        "                    ^ cannot initialize 'let' of type 'i32' with value of type 'f32'",
      ].join("\n"),
    );
  });

  it("names the kernel whose bindings do not fit", async () => {
    const program = withKernel(lineProgram({ batch: 4, accumulate: 1 }), 1, {
      bindings: [{ name: "residual", access: "read" }],
    });
    const error = await failure(() => createExecutor(program, kiln));
    expect(error.message).toMatch(/the device refused the kernel `mean_square`: .*binding/s);
  });

  it("names the entry whose dispatch breaks a rule that is only checked when it is encoded", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const encode = program.entries.encode ?? { steps: [], outputs: [], inputs: [], peakBytes: 0 };
    // x is read and, as `predicted`, written.
    const steps = encode.steps.map((step) =>
      step.kind === "dispatch"
        ? {
            ...step,
            bindings: step.bindings.map((range, i) => (i === 2 ? { ...range, buffer: "x" } : range)),
          }
        : step,
    );
    const executor = await createExecutor(
      { ...program, entries: { encode: { ...encode, steps } } },
      kiln,
      {},
    );
    const error = await failure(() => executor.run("encode", { x: new Float32Array(12) }));
    expect(error.message).toMatch(/the device refused the entry `encode`: .*usage/s);
    executor.destroy();
  });

  it("says which input is missing or of the wrong shape", async () => {
    const executor = await createExecutor(lineProgram({ batch: 4, accumulate: 1 }), kiln, {
      entries: ["encode"],
    });
    const texts = await Promise.all(
      [{}, { x: new Float32Array(11) }, { x: new Int32Array(12) }].map(async (fields) => {
        const error = await failure(() => executor.run("encode", fields));
        expect(error.kind).toBe("usage");
        return error.message;
      }),
    );
    expect(texts).toEqual([
      "the entry `encode` needs the input `x`: f32[4, 3]",
      "the input `x` is f32[4, 3], but 11 values of f32 were given",
      "the input `x` is f32[4, 3], but 12 values of i32 were given",
    ]);
    expect(
      (await failure(() => executor.run("encode", { x: new Float32Array(12) }, { outputs: ["y"] }))).hint,
    ).toBe("it has `output.predicted`");
    executor.destroy();
  });

  it("takes fields in memory shared with a worker", async () => {
    const executor = await createExecutor(lineProgram({ batch: 4, accumulate: 1 }), kiln, {
      entries: ["encode"],
    });
    await executor.memory.initialize(3);
    const plain = Float32Array.from({ length: 12 }, (_, i) => i);
    const shared = new Float32Array(new SharedArrayBuffer(48));
    shared.set(plain);
    const results = await Promise.all([
      executor.run("encode", { x: plain }),
      executor.run("encode", { x: shared }),
    ]);
    expect(results[0]).toEqual(results[1]);
    executor.destroy();
  });

  it("refuses what the device cannot hold, with the buffer's name", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const buffers = program.buffers.map((buffer) =>
      buffer.name === "momentum" ? { ...buffer, sizeBytes: 8 * 2 ** 30 } : buffer,
    );
    const error = await failure(() => createExecutor({ ...program, buffers }, kiln));
    expect(error.kind).toBe("machine");
    expect(error.message).toMatch(
      /^the buffer `momentum` of 8192.0 MiB .* larger than the device allows: 1023\.9 MiB$/,
    );
  });

  it("refuses too many workgroups before anything runs", async () => {
    const program = lineProgram({ batch: 4, accumulate: 1 });
    const change = (count: number): Program => ({
      ...program,
      entries: {
        encode: {
          ...(program.entries.encode ?? { outputs: [], inputs: [], peakBytes: 0 }),
          steps: (program.entries.encode?.steps ?? []).map((step) =>
            step.kind === "dispatch" ? { ...step, workgroups: [1, count, 1] } : step,
          ),
        },
      },
    });
    (await createExecutor(change(65_535), kiln)).destroy();
    const error = await failure(() => createExecutor(change(65_536), kiln));
    expect(error.message).toBe(
      "`line.bert:5` needs 1 x 65536 x 1 workgroups, the device allows 65535 a dimension",
    );
  });
});
