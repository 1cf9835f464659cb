import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { evaluate, type Graph, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of a few hundred f32 terms, and exp, which WGSL lets err by a few ULP more. */
const TOLERANCE = 2e-5;

type Rows = (b: GraphBuilder, x: NodeId, scale: NodeId) => NodeId;

const over = (b: GraphBuilder, row: NodeId, like: NodeId) => b.broadcast(row, b.shape(like), [0, 1]);

const softmax: Rows = (b, x, scale) => {
  const shifted = b.exp(b.sub(x, over(b, b.stopGradient(b.reduceMax(x, [2])), x)));
  return b.mul(b.div(shifted, over(b, b.sum(shifted, [2]), x)), b.broadcast(scale, b.shape(x), [2]));
};

const layerNorm: Rows = (b, x, scale) => {
  const size = b.shape(x)[2]!;
  const mean = (y: NodeId) => over(b, b.div(b.sum(y, [2]), b.fullLike(b.sum(y, [2]), size)), y);
  const centered = b.sub(x, mean(x));
  const variance = mean(b.mul(centered, centered));
  const normal = b.mul(centered, b.rsqrt(b.add(variance, b.fullLike(variance, 1e-5))));
  return b.mul(normal, b.broadcast(scale, b.shape(x), [2]));
};

/** y and the gradients of sum(y * y * weight) by x and by the scale. */
function graphOf(
  rows: Rows,
  shape: readonly number[],
): { readonly graph: Graph; readonly names: readonly string[] } {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const x = b.parameter("x", shape);
  const scale = b.parameter("scale", [shape[2]!]);
  const weight = b.parameter("weight", shape);
  const y = rows(b, x, scale);
  const objective = b.sum(b.mul(b.mul(y, y), weight), [0, 1, 2]);
  b.output("y", y);
  gradients(b, objective, [x, scale]).forEach((id, i) => {
    b.output(i === 0 ? "dx" : "dscale", id);
  });
  return { graph: b.build(), names: ["y", "dx", "dscale"] };
}

describe("kernels that reduce rows, forward and backward", () => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  let gpuWithoutSubgroups: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    // Rows shared by the invocations of a workgroup, as on a GPU, run on the same device.
    const { subgroupSizes, ...others } = software.profile;
    expect(subgroupSizes).toEqual({ min: 4, max: 4 });
    gpu = { ...software, profile: { ...software.profile, deviceClass: "gpu" } };
    gpuWithoutSubgroups = { ...software, profile: { ...others, deviceClass: "gpu" } };
  });
  afterAll(() => software.close());

  const cases = [
    ["softmax", softmax],
    ["layer norm", layerNorm],
  ] as const;
  test.each(cases)("%s, rows of every kind of length", async (_name, rows) => {
    for (const shape of [
      [2, 3, 1],
      [2, 3, 5],
      [2, 4, 8],
      [3, 5, 64],
      [2, 3, 130],
      [1, 2, 516],
    ]) {
      const { graph, names } = graphOf(rows, shape);
      const random = randomNumbers(shape[2]!);
      const draw = (size: readonly number[]) => {
        const count = size.reduce((a, n) => a * n, 1);
        return tensor(
          { dtype: "f32", shape: size },
          Array.from({ length: count }, () => 4 * random() - 2),
        );
      };
      const parameters = new Map([
        ["x", draw(shape)],
        ["scale", draw([shape[2]!])],
        ["weight", draw(shape)],
      ]);
      const expected = evaluate(graph, { parameters });
      for (const kiln of [software, gpu, gpuWithoutSubgroups]) {
        for (const fuse of [true, false]) {
          const actual = await runOnDevice(optimize(graph), { parameters }, kiln, fuse);
          const joins = actual.program.kernels.some(({ wgsl }) => wgsl.includes("subgroupAdd("));
          expect(joins).toBe(kiln === gpu && shape[2]! >= 32);
          if (fuse) expect(actual.program.entries.evaluate!.steps.length).toBeLessThanOrEqual(3);
          for (const name of names) {
            const error = relativeError(actual.outputs.get(name)!, expected.outputs.get(name)!);
            expect(error, `${name} of [${shape.join(", ")}], ${fuse ? "" : "un"}fused`).toBeLessThanOrEqual(
              TOLERANCE,
            );
          }
        }
      }
    }
  });

  test("maxima, logarithms of sums of exponentials and integers, whatever size the subgroups have", async () => {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const [rows, length] = [5, 300];
    const x = b.parameter("x", [rows, length]);
    const i = b.input("i", "i32", [rows, length]);
    const u = b.input("u", "u32", [rows, length]);
    const least = b.full("f32", -3.4e38, [rows, length]);
    b.output("logsumexp", b.logSumExp(x, [1]));
    b.output("nothing", b.logSumExp(b.select(b.lt(i, b.fullLike(i, 5)), x, least), [1]));
    b.output("max", b.reduceMax(x, [1]));
    b.output("negative", b.reduceMax(b.sub(x, b.fullLike(x, 50)), [1]));
    for (const [name, id] of [
      ["i", i],
      ["u", u],
    ] as const) {
      b.output(`sum ${name}`, b.sum(id, [1]));
      b.output(`max ${name}`, b.reduceMax(id, [1]));
    }
    const graph = b.build();
    const random = randomNumbers(9);
    const elements = (of: () => number) => Array.from({ length: rows * length }, of);
    const type = (dtype: "f32" | "i32" | "u32") => ({ dtype, shape: [rows, length] });
    const leaves = {
      parameters: new Map([
        [
          "x",
          tensor(
            type("f32"),
            elements(() => 60 * random() - 30),
          ),
        ],
      ]),
      inputs: new Map([
        [
          "i",
          tensor(
            type("i32"),
            elements(() => Math.floor(40 * random()) - 20),
          ),
        ],
        [
          "u",
          tensor(
            type("u32"),
            elements(() => Math.floor(90 * random())),
          ),
        ],
      ]),
    };
    const expected = evaluate(graph, leaves);
    // The sizes that a kernel may get are given wider than they are: what it declares holds for all of them.
    for (const subgroupSizes of [
      { min: 4, max: 4 },
      { min: 1, max: 128 },
    ]) {
      const kiln = { ...gpu, profile: { ...gpu.profile, subgroupSizes } };
      const { outputs, program } = await runOnDevice(graph, leaves, kiln, true);
      expect(program.kernels.some(({ wgsl }) => wgsl.includes("subgroupMax("))).toBe(true);
      for (const [name, value] of expected.outputs)
        expect([name, relativeError(outputs.get(name)!, value) <= TOLERANCE]).toEqual([name, true]);
    }
  });
});
