import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  evaluate,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  tensor,
} from "../../compiler/graph/index.ts";
import { type Kernel, partsOf } from "../../compiler/kernel/index.ts";
import type { DeviceProfile } from "../../compiler/program/index.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of at most 192 products of numbers in [-1, 1], relative to the greatest sum. */
const TOLERANCE = 1e-5;

const builder = () => new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
const times = (b: GraphBuilder, x: NodeId, y: NodeId) =>
  b.einsum(x, y, { lhs: [0, 2], rhs: [2, 1], out: [0, 1] });
const timesTransposed = (b: GraphBuilder, x: NodeId, y: NodeId) =>
  b.einsum(x, y, { lhs: [0, 2], rhs: [1, 2], out: [0, 1] });

function drawn(graph: Graph): Leaves {
  const random = randomNumbers(11);
  const leaves = { inputs: new Map(), parameters: new Map(), states: new Map() };
  for (const node of graph.nodes) {
    if (node.op !== "input" && node.op !== "parameter" && node.op !== "state") continue;
    const { shape, dtype } = node.type;
    const values = Array.from({ length: shape.reduce((n, size) => n * size, 1) }, () =>
      dtype === "f32" ? 2 * random() - 1 : Math.floor(8 * random()),
    );
    const of = node.op === "input" ? leaves.inputs : node.op === "state" ? leaves.states : leaves.parameters;
    of.set(node.attrs.name, tensor({ dtype, shape }, values));
  }
  return leaves;
}

function kernelsOf(graph: Graph, profile: DeviceProfile): readonly Kernel[] {
  return schedule(graph, profile, { fuse: true }).steps.flatMap((step) =>
    step.kind === "dispatch" ? [step.kernel] : [],
  );
}

/** Every kernel in a word: kind and repetitions; `a + b` are side by side. */
function shapeOf(kernels: readonly Kernel[]): readonly string[] {
  return kernels.map((kernel) =>
    partsOf(kernel)
      .map((part) => (part.kind === "matmul" ? `matmul ${part.batch.extent}x${part.k.extent}` : part.kind))
      .sort()
      .join(" + "),
  );
}

describe("kernels that do not wait for each other share a dispatch", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());

  const compare = async (build: (b: GraphBuilder) => void, expected: readonly string[]): Promise<void> => {
    const b = builder();
    build(b);
    const graph = b.build();
    const leaves = drawn(graph);
    const reference = evaluate(graph, leaves);
    for (const deviceClass of ["software", "gpu"] as const) {
      const profile = { ...software.profile, maxStorageBuffersPerShaderStage: 8, deviceClass };
      expect(shapeOf(kernelsOf(graph, profile)), deviceClass).toEqual(expected);
      const actual = await runOnDevice(graph, leaves, { ...software, profile }, true);
      for (const [name, value] of reference.outputs)
        expect(relativeError(actual.outputs.get(name)!, value), `${name}, ${deviceClass}`).toBeLessThan(
          TOLERANCE,
        );
      for (const [name, value] of reference.updates)
        expect(relativeError(actual.updates.get(name)!, value), `${name}, ${deviceClass}`).toBeLessThan(
          TOLERANCE,
        );
    }
  };

  /** `count` matrices of 64 x 64 at equal distances in one state, with a vector of 64 behind each. */
  const weightsOf = (b: GraphBuilder, count: number): readonly NodeId[] => {
    const flat = b.state("flat", "f32", [count * 4160]);
    return Array.from({ length: count }, (_, i) => b.view(flat, i * 4160, [64, 64]));
  };

  test("three products of one operand, weights at equal distances: one matmul of three batches", () =>
    compare(
      (b) => {
        const x = b.input("x", "f32", [48, 64]);
        weightsOf(b, 3).forEach((w, i) => {
          b.output(`y${i}`, b.tanh(times(b, x, w)));
        });
      },
      ["matmul 3x64"],
    ));

  test("weights in an order of their own, and rows that no tile divides", () =>
    compare(
      (b) => {
        const x = b.input("x", "f32", [37, 64]);
        const [w0, w1, w2] = weightsOf(b, 3);
        [w1!, w2!, w0!].forEach((w, i) => {
          b.output(`y${i}`, times(b, x, w));
        });
      },
      ["matmul 3x64"],
    ));

  test("weights in buffers of their own: side by side", () =>
    compare(
      (b) => {
        const x = b.input("x", "f32", [48, 64]);
        for (const name of ["u", "v"]) b.output(name, times(b, x, b.input(`w_${name}`, "f32", [64, 64])));
      },
      ["matmul 1x64 + matmul 1x64"],
    ));

  test("weight and bias gradients that interleave in a flat gradient: one matmul that binds it once", async () => {
    const build = (b: GraphBuilder): void => {
      const x = b.input("x", "f32", [96, 64]);
      const parts: NodeId[] = [];
      const offsets: number[] = [];
      for (let i = 0; i < 3; i++) {
        const dy = b.exp(b.input(`dy${i}`, "f32", [96, 64]));
        const db = b.sum(dy, [0]);
        parts.push(b.einsum(x, dy, { lhs: [2, 0], rhs: [2, 1], out: [0, 1] }), db);
        offsets.push(i * 4160, i * 4160 + 4096);
      }
      const flat = b.pack(
        parts.map((part) => b.reshape(part, [b.shape(part).reduce((n, size) => n * size, 1)])),
        offsets,
        3 * 4160,
      );
      b.output("gradients", flat);
    };
    const b = builder();
    build(b);
    const kernels = kernelsOf(b.build(), software.profile);
    const matmul = kernels.flatMap(partsOf).find((part) => part.kind === "matmul");
    expect(matmul?.tensors.filter((t) => t.access === "read_write").length).toBe(1);
    expect(kernels.flatMap(partsOf).filter((part) => part.kind === "matmul").length).toBe(1);
    const graph = b.build();
    const leaves = drawn(graph);
    for (const deviceClass of ["software", "gpu"] as const) {
      const device = { ...software, profile: { ...software.profile, deviceClass } };
      const actual = await runOnDevice(graph, leaves, device, true);
      const expected = evaluate(graph, leaves).outputs.get("gradients")!;
      expect(relativeError(actual.outputs.get("gradients")!, expected), deviceClass).toBeLessThan(TOLERANCE);
    }
  });

  test("a sum of three products and more: one matmul along all their axes", () =>
    compare(
      (b) => {
        const [u, v, w] = weightsOf(b, 3);
        const [x, y, z] = ["x", "y", "z"].map((name) => b.tanh(b.input(name, "f32", [40, 64])));
        const first = b.add(b.input("residual", "f32", [40, 64]), timesTransposed(b, x!, u!));
        const second = b.add(first, timesTransposed(b, y!, v!));
        const total = b.add(timesTransposed(b, z!, w!), second);
        b.output("total", total);
        b.output("mapped", b.tanh(total));
      },
      ["map + map + map", "matmul 1x192"],
    ));

  test("a product that something else reads too is no summand", () =>
    compare(
      (b) => {
        const [u, v] = weightsOf(b, 2);
        const [x, y] = ["x", "y"].map((name) => b.tanh(b.input(name, "f32", [40, 64])));
        const first = timesTransposed(b, x!, u!);
        b.output("first", first);
        b.output("total", b.add(timesTransposed(b, y!, v!), first));
      },
      ["map + map", "matmul 1x64", "matmul 1x64"],
    ));

  test("the product of a mapped product is no summand", () =>
    compare(
      (b) => {
        const [u, v] = weightsOf(b, 2);
        const [x, y] = ["x", "y"].map((name) => b.tanh(b.input(name, "f32", [40, 64])));
        const first = b.tanh(timesTransposed(b, x!, u!));
        b.output("total", b.add(timesTransposed(b, y!, v!), first));
      },
      ["map + map", "matmul 1x64", "matmul 1x64"],
    ));

  test("a sum in which the products are weighed is none of contractions", () =>
    compare(
      (b) => {
        const [u, v] = weightsOf(b, 2);
        const [x, y] = ["x", "y"].map((name) => b.tanh(b.input(name, "f32", [40, 64])));
        const gate = b.input("gate", "f32", [40, 64]);
        const first = timesTransposed(b, x!, u!);
        b.output("total", b.add(timesTransposed(b, y!, v!), b.mul(first, gate)));
      },
      ["map + map", "matmul 1x64", "matmul 1x64"],
    ));

  test("reductions of different rows, a map and a matmul", () =>
    compare(
      (b) => {
        const x = b.input("x", "f32", [16, 96]);
        b.output("rows", b.sum(b.exp(x), [1]));
        b.output("columns", b.reduceMax(x, [0]));
        b.output("map", b.tanh(b.input("y", "f32", [40])));
        b.output("product", times(b, x, b.input("w", "f32", [96, 8])));
      },
      ["map + matmul 1x96 + row + row"],
    ));

  test("one of a pair reads what the other writes: two dispatches", () =>
    compare(
      (b) => {
        const x = b.input("x", "f32", [16, 96]);
        const sum = b.sum(x, [1]);
        b.output("sum", sum);
        b.output("columns", b.sum(b.mul(x, b.broadcast(sum, [16, 96], [0])), [0]));
      },
      ["row", "row"],
    ));

  test("a state is overwritten after all that read it, though they are small", () =>
    compare(
      (b) => {
        const p = b.state("p", "f32", [128]);
        b.update("p", b.add(p, b.input("g", "f32", [128])));
        b.output("before", b.sum(b.mul(b.view(p, 64, [64]), b.input("h", "f32", [64])), [0]));
      },
      ["row", "map"],
    ));
});
