import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  tensor,
} from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { mixedPrecision } from "../../compiler/precision/index.ts";
import { defaultGpuProfile, type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "../schedule/run-graph.ts";

/** Sums of up to 96 exact products in f32. */
const SUM_TOLERANCE = 2e-5;
/** A value between two halves may be rounded to the other one after sums in f32: 2^-11 of it, a few times over on the way. */
const STEP_TOLERANCE = 4e-3;

const ORIGIN = { path: "", at: "", label: "x", pass: "test" };

/** f32 numbers, so that device and reference round the same ones. */
function leavesOf(graph: Graph): Leaves {
  const random = randomNumbers(17);
  const parameters = new Map(
    graph.nodes.flatMap(({ op, attrs, type }) => {
      if (op !== "parameter") return [];
      const count = type.shape.reduce((n, size) => n * size, 1);
      const elements = Array.from({ length: count }, () => Math.fround(2 * random() - 1));
      return [[attrs.name, tensor(type, elements)] as const];
    }),
  );
  return { parameters };
}

/** y = relu(x W + b) V. */
function twoLayers(rows: number, from: number, hidden: number, to: number): Graph {
  const b = new GraphBuilder(ORIGIN);
  const labels = { lhs: [0, 1], rhs: [1, 2], out: [0, 2] };
  const product = b.einsum(b.parameter("x", [rows, from]), b.parameter("w", [from, hidden]), labels);
  const shifted = b.add(product, b.broadcast(b.parameter("bias", [hidden]), [rows, hidden], [1]));
  const activated = b.max(shifted, b.full("f32", 0, [rows, hidden]));
  b.output("y", b.einsum(activated, b.parameter("v", [hidden, to]), labels));
  return b.build();
}

/** Causal self-attention with dropout, between projections; sum(y c) and its gradients by all parameters. */
function attention(batch: number, heads: number, length: number, size: number): Graph {
  const b = new GraphBuilder(ORIGIN);
  const width = heads * size;
  const x = b.parameter("x", [batch, length, width]);
  const names: NodeId[] = [x];
  const project = (name: string, from: NodeId): NodeId => {
    const [weight, bias] = [b.parameter(`${name}.w`, [width, width]), b.parameter(`${name}.b`, [width])];
    // A bias of all keys alike changes no softmax: its gradient is 0, and what is computed of it is all rounding.
    names.push(weight, ...(name === "k" ? [] : [bias]));
    const product = b.einsum(from, weight, { lhs: [0, 1, 2], rhs: [2, 3], out: [0, 1, 3] });
    const scaled = b.mul(product, b.fullLike(product, width ** -0.5));
    return b.add(scaled, b.broadcast(bias, b.shape(product), [2]));
  };
  const [q, k, v] = ["q", "k", "v"].map((name) => b.reshape(project(name, x), [batch, length, heads, size]));
  const raw = b.einsum(q!, k!, { lhs: [0, 2, 1, 4], rhs: [0, 3, 1, 4], out: [0, 1, 2, 3] });
  const shape = b.shape(raw);
  const seen = b.le(b.iota(shape, 3), b.iota(shape, 2));
  const scores = b.select(seen, raw, b.full("f32", -1e6, shape));
  const normalizer = b.broadcastOver(b.logSumExp(scores, [3]), shape, [3]);
  const softmax = b.exp(b.sub(scores, normalizer));
  const isKept = b.lt(b.uniform(b.constant("u32", 7), shape), b.full("f32", 0.75, shape));
  const weights = b.select(isKept, b.mul(softmax, b.full("f32", 4 / 3, shape)), b.full("f32", 0, shape));
  const mixed = b.einsum(weights, v!, { lhs: [0, 1, 2, 3], rhs: [0, 3, 1, 4], out: [0, 2, 1, 4] });
  const y = project("o", b.reshape(mixed, [batch, length, width]));
  const objective = b.sum(b.mul(y, b.parameter("c", b.shape(y))), [0, 1, 2]);
  b.output("y", y);
  gradients(b, objective, names).forEach((gradient, i) => {
    b.output(`gradient.${i}`, gradient);
  });
  return optimize(b.build());
}

describe("kernels of mixed precision, f16 emulated", () => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    expect(software.profile.f16).toBe(false);
    gpu = { ...software, profile: { ...software.profile, deviceClass: defaultGpuProfile.deviceClass } };
  });
  afterAll(() => {
    software.throwIfFailed();
    software.close();
  });

  const worst = async (graph: Graph, kiln: KilnDevice, fuse: boolean) => {
    const leaves = leavesOf(graph);
    const { outputs, program } = await runOnDevice(graph, leaves, kiln, fuse);
    const errorFrom = (reference: Graph) => {
      const expected = evaluate(reference, leaves).outputs;
      return Math.max(...[...expected].map(([name, value]) => relativeError(outputs.get(name)!, value)));
    };
    return { errorFrom, program };
  };
  const ways = [
    ["software, fused", true],
    ["software, one op a kernel", false],
    ["gpu, fused", true],
  ] as const;

  test.each(ways)("a contraction of rounded parameters: %s", async (name, fuse) => {
    const b = new GraphBuilder(ORIGIN);
    const [lhs, rhs] = [b.parameter("lhs", [40, 96]), b.parameter("rhs", [96, 64])];
    b.output("y", b.einsum(lhs, rhs, { lhs: [0, 1], rhs: [1, 2], out: [0, 2] }));
    b.output("column sums", b.sum(rhs, [0]));
    const plain = b.build();
    const mixed = mixedPrecision(plain);
    const { errorFrom } = await worst(mixed, name.startsWith("gpu") ? gpu : software, fuse);
    expect(errorFrom(mixed)).toBeLessThan(SUM_TOLERANCE);
    // It is the rounded operands that are multiplied.
    expect(errorFrom(plain)).toBeGreaterThan(5 * SUM_TOLERANCE);
  });

  test.each(ways)("what one contraction leaves to the next: %s", async (name, fuse) => {
    const plain = twoLayers(48, 96, 64, 32);
    const mixed = mixedPrecision(plain);
    const { errorFrom } = await worst(mixed, name.startsWith("gpu") ? gpu : software, fuse);
    expect(errorFrom(mixed)).toBeLessThan(STEP_TOLERANCE);
  });

  test.each(ways)("attention, forward and backward: %s", async (name, fuse) => {
    const plain = attention(2, 2, 24, 16);
    const mixed = mixedPrecision(plain);
    const { errorFrom, program } = await worst(mixed, name.startsWith("gpu") ? gpu : software, fuse);
    expect(errorFrom(mixed)).toBeLessThan(STEP_TOLERANCE);
    expect(errorFrom(plain)).toBeGreaterThan(2e-4);
    // Its scores are stored in no precision.
    const stored = program.kernels.flatMap(({ wgsl }) => wgsl.match(/f32\[2, 2, 24, 24\]/g) ?? []);
    if (fuse) expect(stored).toEqual([]);
    else expect(stored.length).toBeGreaterThan(0);
  });

  test("rounding is that of IEEE 754, bit by bit", async () => {
    const values = [
      0,
      -0,
      1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      2047.5,
      65504,
      65519.99609375,
      65520,
      -65520,
      3e38,
      2 ** -14,
      2 ** -14 - 2 ** -25,
      2 ** -24,
      2 ** -25,
      -(2 ** -25) * 1.5,
      2 ** -26,
      1e-30,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ];
    const random = randomNumbers(3);
    while (values.length < 4096) values.push(Math.fround((random() - 0.5) * 2 ** (40 * random() - 24)));
    const b = new GraphBuilder(ORIGIN);
    const x = b.parameter("x", [values.length]);
    b.output("half", b.cast(b.cast(x, "f16"), "f32"));
    const graph = b.build();
    const leaves = { parameters: new Map([["x", tensor({ dtype: "f32", shape: [values.length] }, values)]]) };
    const expected = [...evaluate(graph, leaves).outputs.get("half")!.data];
    const { outputs } = await runOnDevice(graph, leaves, software, true);
    const bits = (list: Iterable<number>) => [...new Uint32Array(Float32Array.from(list).buffer)];
    expect(bits(outputs.get("half")!.data)).toEqual(bits(expected));
  });
});
