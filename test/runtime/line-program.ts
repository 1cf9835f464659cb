import type { Program, ProgramEntry, ProgramStep, TensorPlace } from "../../compiler/program/index.ts";
import type { Batch, BatchSource } from "../../runtime/data/types.ts";
import { softwareProfile } from "../../runtime/device/index.ts";

/**
 * A program written by hand: y = x · weight + bias by momentum SGD on the squared error, with accumulated
 * gradients, noise on y drawn from seed and step (so a resume that forgets either is seen), a clear step and
 * two state buffers with a slot.
 *
 * Buffers: parameters f32[68] (weight at 0, bias at byte 256 = element 64), momentum the same, gradients f32[4].
 */
export function lineProgram(options: { readonly batch: number; readonly accumulate: number }): Program {
  const { batch, accumulate } = options;
  const floats = (buffer: string, count: number, offsetBytes = 0) => ({
    buffer,
    offsetBytes,
    sizeBytes: 4 * count,
  });
  const residual = `// residual[b] = x[b] · weight + bias - y[b] - noise
@group(0) @binding(0) var<storage, read> parameters: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> seed: array<u32>;
@group(0) @binding(4) var<storage, read> step: array<i32>;
@group(0) @binding(5) var<storage, read_write> residual: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
  let b = id.x;
  let noise = f32(((seed[0] * 747796405u + u32(step[0]) * 2891336453u + b * 277803737u) >> 9u) & 0xffffu) * 1e-7;
  residual[b] = dot(vec3f(parameters[0], parameters[1], parameters[2]), vec3f(x[3u*b], x[3u*b+1u], x[3u*b+2u]))
    + parameters[64] - y[b] - noise;
}`;
  const loss = `@group(0) @binding(0) var<storage, read> residual: array<f32>;
@group(0) @binding(1) var<storage, read_write> losses: array<f32>;
@compute @workgroup_size(1) fn main() {
  for (var b = 0u; b < ${batch}u; b++) { losses[0] += residual[b] * residual[b] / ${batch}.0; }
}`;
  const gradient = `@group(0) @binding(0) var<storage, read> residual: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var b = 0u; b < ${batch}u; b++) {
    gradients[id.x] += 2.0 * residual[b] * select(1.0, x[3u*b + min(id.x, 2u)], id.x < 3u) / ${batch * accumulate}.0;
  }
}`;
  const update = `@group(0) @binding(0) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(1) var<storage, read_write> momentum: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> step: array<i32>;
@compute @workgroup_size(1) fn main() {
  for (var i = 0u; i < 4u; i++) {
    let at = select(i, 64u, i == 3u);
    momentum[at] = 0.9 * momentum[at] + gradients[i];
    parameters[at] -= 0.05 * momentum[at];
  }
  step[0] += 1;
}`;
  const predict = `@group(0) @binding(0) var<storage, read> parameters: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> predicted: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
  predicted[id.x] = dot(vec3f(parameters[0], parameters[1], parameters[2]), vec3f(x[3u*id.x], x[3u*id.x+1u], x[3u*id.x+2u])) + parameters[64];
}`;
  const read = (name: string) => ({ name, access: "read" as const });
  const write = (name: string) => ({ name, access: "read_write" as const });
  const dispatch = (
    kernel: number,
    count: number,
    bindings: readonly ReturnType<typeof floats>[],
  ): ProgramStep => ({
    kind: "dispatch",
    kernel,
    workgroups: [count, 1, 1],
    bindings,
    label: `line.bert:${kernel + 1}`,
    bytesRead: 0,
    bytesWritten: 0,
    flops: 0,
  });
  const parameters = floats("parameters", 68);
  const forward: readonly ProgramStep[] = [
    { kind: "clear", range: floats("losses", 1) },
    dispatch(0, batch, [
      parameters,
      floats("x", 3 * batch),
      floats("y", batch),
      floats("seed", 1),
      floats("step", 1),
      floats("residual", batch),
    ]),
    dispatch(1, 1, [floats("residual", batch), floats("losses", 1)]),
  ];
  const accumulateSteps: readonly ProgramStep[] = [
    ...forward,
    dispatch(2, 4, [floats("residual", batch), floats("x", 3 * batch), floats("gradients", 4)]),
  ];
  const lossPlace: TensorPlace = {
    name: "loss.square",
    dtype: "f32",
    shape: [],
    buffer: "losses",
    offsetBytes: 0,
  };
  const outputPlace: TensorPlace = {
    name: "output.predicted",
    dtype: "f32",
    shape: [batch],
    buffer: "predicted",
    offsetBytes: 0,
  };
  const predictStep = dispatch(4, batch, [parameters, floats("x", 3 * batch), floats("predicted", batch)]);
  const entry = (
    steps: readonly ProgramStep[],
    outputs: readonly TensorPlace[],
    inputs: readonly string[],
  ): ProgramEntry => ({
    steps,
    outputs,
    inputs,
    peakBytes: 0,
  });
  return {
    format: "kiln-program",
    version: 1,
    hash: `hand-written-${batch}-${accumulate}`,
    name: "Line",
    profile: softwareProfile,
    data: { kind: "Line", settings: { batch } },
    settings: { steps: 20, accumulate, losses: ["square"] },
    parameters: [
      {
        name: "line.weight",
        shape: [3, 1],
        init: { kind: "normal", mean: 0, std: 1 },
        buffer: "parameters",
        offsetBytes: 0,
        slots: { momentum: "momentum" },
      },
      {
        name: "line.bias",
        shape: [1],
        init: { kind: "constant", value: 0.5 },
        buffer: "parameters",
        offsetBytes: 256,
        slots: { momentum: "momentum" },
      },
    ],
    inputs: [
      { name: "x", dtype: "f32", shape: [batch, 3], buffer: "x", offsetBytes: 0 },
      { name: "y", dtype: "f32", shape: [batch], buffer: "y", offsetBytes: 0 },
    ],
    buffers: [
      { name: "parameters", sizeBytes: 272, role: "state" },
      { name: "momentum", sizeBytes: 272, role: "state" },
      { name: "gradients", sizeBytes: 16, role: "state" },
      { name: "seed", sizeBytes: 4, role: "state" },
      { name: "step", sizeBytes: 4, role: "state" },
      { name: "x", sizeBytes: 12 * batch, role: "input" },
      { name: "y", sizeBytes: 4 * batch, role: "input" },
      { name: "residual", sizeBytes: 4 * batch, role: "scratch" },
      { name: "losses", sizeBytes: 4, role: "scratch" },
      { name: "predicted", sizeBytes: 4 * batch, role: "scratch" },
      { name: "encoded", sizeBytes: 256 + 4 * batch, role: "scratch" },
    ],
    kernels: [
      {
        name: "line_residual",
        wgsl: residual,
        bindings: [...["parameters", "x", "y", "seed", "step"].map(read), write("residual")],
      },
      { name: "mean_square", wgsl: loss, bindings: [read("residual"), write("losses")] },
      { name: "line_gradient", wgsl: gradient, bindings: [read("residual"), read("x"), write("gradients")] },
      {
        name: "momentum_update",
        wgsl: update,
        bindings: [write("parameters"), write("momentum"), read("gradients"), write("step")],
      },
      { name: "line_predict", wgsl: predict, bindings: [read("parameters"), read("x"), write("predicted")] },
    ],
    entries: {
      train: entry(
        [
          ...accumulateSteps,
          dispatch(3, 1, [parameters, floats("momentum", 68), floats("gradients", 4), floats("step", 1)]),
          { kind: "clear", range: floats("gradients", 4) },
        ],
        [lossPlace],
        ["x", "y"],
      ),
      ...(accumulate > 1 && { accumulate: entry(accumulateSteps, [lossPlace], ["x", "y"]) }),
      evaluate: entry([...forward, predictStep], [lossPlace, outputPlace], ["x", "y"]),
      encode: entry(
        [predictStep, { kind: "copy", from: floats("predicted", batch), to: floats("encoded", batch, 256) }],
        [{ ...outputPlace, buffer: "encoded", offsetBytes: 256 }],
        ["x"],
      ),
    },
    sources: [{ path: "line.bert", text: "model Line = ..." }],
    overrides: { batch: String(batch) },
  };
}

/** Points of y = x · (1, -2, 3) + 0.25; batch i is a function of i alone. */
export function lineBatches(batch: number, spoil?: (batch: Batch) => void): BatchSource {
  let index = 0;
  return {
    vocabulary: ["<unk>", "line", "zeile"],
    summary: "points on a plane",
    async next() {
      const x = Float32Array.from({ length: 3 * batch }, (_, i) =>
        Math.sin(12.9898 * (index * 3 * batch + i) ** 2),
      );
      const at = (i: number) => x[i] ?? 0;
      const y = Float32Array.from(
        { length: batch },
        (_, b) => at(3 * b) - 2 * at(3 * b + 1) + 3 * at(3 * b + 2) + 0.25,
      );
      const made: Batch = {
        index,
        fields: { x, y, unused: new Int32Array(1) },
        examples: batch,
        validTokens: batch,
      };
      index += 1;
      spoil?.(made);
      return made;
    },
    seek(to) {
      index = to;
    },
    async close() {},
  };
}
