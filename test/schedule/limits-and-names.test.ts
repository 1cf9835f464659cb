import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { programOf, relativeError, runOnDevice } from "./run-graph.ts";

const builder = () => new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });

function drawn(graph: ReturnType<GraphBuilder["build"]>) {
  const random = randomNumbers(3);
  const inputs = new Map<string, ReturnType<typeof tensor>>();
  for (const node of graph.nodes) {
    if (node.op !== "input") continue;
    const { shape, dtype } = node.type;
    const count = shape.reduce((n, size) => n * size, 1);
    const values = Array.from({ length: count }, () =>
      dtype === "f32" ? 2 * random() - 1 : Math.floor(8 * random()),
    );
    inputs.set(node.attrs.name, tensor({ dtype, shape }, values));
  }
  return { inputs };
}

describe("kernels within the limits of every device", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const inputs = (b: GraphBuilder, count: number, shape: readonly number[]) =>
    Array.from({ length: count }, (_, i) => b.input(`x${i}`, "f32", shape));
  const total = (b: GraphBuilder, ids: readonly NodeId[]): NodeId => {
    const [first, ...rest] = ids;
    if (rest.length === 0) return first!;
    const half = Math.floor(ids.length / 2);
    return b.add(total(b, ids.slice(0, half)), total(b, ids.slice(half)));
  };
  const cases: readonly (readonly [string, (b: GraphBuilder) => void])[] = [
    ["a tree of sums of ten tensors", (b) => b.output("y", total(b, inputs(b, 10, [96])))],
    ["a tree of sums of twenty tensors", (b) => b.output("y", total(b, inputs(b, 20, [96])))],
    ["the sum of a tree of ten tensors", (b) => b.output("y", b.sum(total(b, inputs(b, 10, [12, 16])), [1]))],
    ["twelve tensors end to end", (b) => b.output("y", b.concat(inputs(b, 12, [4, 8]), 1))],
    [
      "a scatter of a sum of five tensors",
      (b) => {
        const updates = total(b, inputs(b, 5, [16, 8]));
        b.output("y", b.scatterAdd(updates, b.input("index", "i32", [16]), 8));
      },
    ],
    [
      "a product of two sums of five, plus a sum of five",
      (b) => {
        const x = inputs(b, 15, [16, 16]);
        const product = b.einsum(total(b, x.slice(0, 5)), total(b, x.slice(5, 10)), {
          lhs: [0, 2],
          rhs: [2, 1],
          out: [0, 1],
        });
        b.output("y", b.add(product, total(b, x.slice(10))));
      },
    ],
  ];
  for (const fuse of [true, false]) {
    test.each(cases)(`%s, ${fuse ? "fused" : "unfused"}`, async (_title, build) => {
      const b = builder();
      build(b);
      const graph = b.build();
      const least = { ...kiln, profile: { ...kiln.profile, maxStorageBuffersPerShaderStage: 8 } };
      for (const { name, bindings } of programOf(graph, least.profile, fuse).kernels)
        expect(bindings.length, name).toBeLessThanOrEqual(8);
      const leaves = drawn(graph);
      const actual = await runOnDevice(graph, leaves, least, fuse);
      expect(relativeError(actual.outputs.get("y")!, evaluate(graph, leaves).outputs.get("y")!)).toBeLessThan(
        5e-6,
      );
    });
  }
});

describe("names of the spec never meet the printer's own", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const product = (b: GraphBuilder, x: NodeId, y: NodeId) =>
    b.einsum(x, y, { lhs: [0, 2], rhs: [2, 1], out: [0, 1] });
  const named = (b: GraphBuilder, name: string, shape: readonly number[]) => b.input(name, "f32", shape);
  const cases: readonly (readonly [string, (b: GraphBuilder) => void])[] = [
    ["erf", (b) => b.output("y", b.erf(named(b, "erf", [7])))],
    [
      "erf, four wide",
      (b) =>
        b.output(
          "y",
          b.erf(
            b.add(
              b.mul(named(b, "a", [8]), named(b, "b", [8])),
              b.mul(named(b, "c", [8]), named(b, "erf", [8])),
            ),
          ),
        ),
    ],
    ["hash", (b) => b.output("y", b.hash(b.cast(named(b, "hash", [7]), "u32")))],
    ["acc_0", (b) => b.output("y", product(b, named(b, "acc_0", [16, 16]), named(b, "acc_1", [16, 16])))],
    ["1", (b) => b.output("y", product(b, named(b, "1", [16, 15]), b.neg(named(b, "2", [15, 16]))))],
    [
      "sum0",
      (b) => {
        const x = named(b, "sum0", [4, 16]);
        b.output("y", b.mul(x, b.broadcast(b.sum(x, [1]), [4, 16], [0])));
      },
    ],
    [
      "part",
      (b) => {
        const x = named(b, "part", [4, 16]);
        b.output("y", b.mul(b.sum(b.exp(x), [1]), b.reduceMax(b.mul(x, named(b, "shared", [4, 16])), [1])));
      },
    ],
  ];
  for (const deviceClass of ["software", "gpu"] as const)
    for (const fuse of [true, false]) {
      test.each(cases)(`%s, ${deviceClass}, ${fuse ? "fused" : "unfused"}`, async (_title, build) => {
        const b = builder();
        build(b);
        const graph = b.build();
        const leaves = drawn(graph);
        const actual = await runOnDevice(
          graph,
          leaves,
          { ...kiln, profile: { ...kiln.profile, deviceClass } },
          fuse,
        );
        expect(
          relativeError(actual.outputs.get("y")!, evaluate(graph, leaves).outputs.get("y")!),
        ).toBeLessThan(5e-6);
      });
    }
});

describe("constants as WGSL literals", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const cases: readonly (readonly [string, (b: GraphBuilder, x: NodeId) => NodeId])[] = [
    ["the negative of a negative", (b, x) => b.add(x, b.neg(b.fullLike(x, -2)))],
    ["the negative of minus zero", (b, x) => b.add(x, b.neg(b.fullLike(x, -0)))],
    ["a difference with a negative", (b, x) => b.sub(x, b.fullLike(x, -2))],
    [
      "the logarithm of nothing, not taken",
      (b, x) => b.select(b.lt(b.fullLike(x, 9), x), b.log(b.fullLike(x, 0)), x),
    ],
    [
      "an exponential beyond f32, not taken",
      (b, x) => b.select(b.lt(b.fullLike(x, 9), x), b.exp(b.fullLike(x, 999)), x),
    ],
    [
      "a quotient by zero, not taken",
      (b, x) => b.select(b.lt(b.fullLike(x, 9), x), b.div(b.fullLike(x, 1), b.fullLike(x, 0)), x),
    ],
    ["x by zero, not taken", (b, x) => b.select(b.lt(b.fullLike(x, 9), x), b.div(x, b.fullLike(x, 0)), x)],
  ];
  test.each(cases)("%s", async (_title, build) => {
    const b = builder();
    b.output("y", build(b, b.input("x", "f32", [8])));
    const graph = b.build();
    const leaves = drawn(graph);
    const actual = await runOnDevice(graph, leaves, kiln, true);
    expect(relativeError(actual.outputs.get("y")!, evaluate(graph, leaves).outputs.get("y")!)).toBeLessThan(
      5e-6,
    );
  });
});
