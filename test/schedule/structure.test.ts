import { expect, test } from "vitest";
import { GraphBuilder, type NodeId } from "../../compiler/graph/index.ts";
import {
  type Expr,
  KernelBuilder,
  kernelIdentity,
  type MapKernel,
  retargeted,
  walk,
} from "../../compiler/kernel/index.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { NO_STREAMS } from "../../compiler/schedule/streams.ts";
import { placeOf, type Structure, Structures } from "../../compiler/schedule/structure.ts";
import { WorkGraph } from "../../compiler/schedule/work-graph.ts";
import { softwareProfile } from "../../runtime/device/index.ts";

type Result = (g: GraphBuilder, a: NodeId, b: NodeId, c: NodeId) => NodeId;

/** Structures of results, each an expression of the inputs a, b and c, f32[4, 4]. */
function structuresOf(...results: Result[]): readonly Structure[] {
  const g = new GraphBuilder({ path: "", at: "", label: "", pass: "test" });
  const input = (name: string): NodeId => g.input(name, "f32", [4, 4]);
  const [a, b, c] = [input("a"), input("b"), input("c")];
  results.forEach((result, i) => {
    g.output(
      `r${i}`,
      g.withOrigin({ label: `r${i}` }, () => result(g, a, b, c)),
    );
  });
  const work = new WorkGraph(g.build());
  const vertices = work.outputs.map(({ node }) => node);
  const structures = new Structures(work, new Set(vertices), NO_STREAMS);
  return vertices.map((vertex) => structures.of([vertex]));
}

const kindsOf = (...results: Result[]): readonly number[] => structuresOf(...results).map(({ kind }) => kind);

test("computations are equal whichever tensors they read, and say which", () => {
  const [first, second] = structuresOf(
    (g, a, b) => g.exp(g.sub(a, b)),
    (g, _, b, c) => g.exp(g.sub(c, b)),
  );
  expect(second!.kind).toBe(first!.kind);
  expect([first!.tensors, second!.tensors]).toEqual([
    [0, 1],
    [2, 1],
  ]);
  expect(placeOf(second!, 1)).toBe(1);
  expect(() => placeOf(second!, 0)).toThrow("%0 is no tensor");
});

test("one tensor read twice is not two tensors, and the order of operands counts", () => {
  const [twice, two, back] = kindsOf(
    (g, a) => g.mul(g.exp(a), a),
    (g, a, b) => g.mul(g.exp(a), b),
    (g, a, b) => g.mul(a, g.exp(b)),
  );
  expect(new Set([twice, two, back]).size).toBe(3);
});

test("one node read twice is not two equal nodes of other tensors", () => {
  const [shared, apart] = kindsOf(
    (g, a) => g.mul(g.exp(a), g.exp(a)),
    (g, a, b) => g.mul(g.exp(a), g.exp(b)),
  );
  expect(shared).not.toBe(apart);
});

test("constants, axes and dtypes are told apart, -0 and 0 too", () => {
  const kinds = kindsOf(
    (g, a) => g.mul(a, g.full("f32", 0, [4, 4])),
    (g, a) => g.mul(a, g.full("f32", -0, [4, 4])),
    (g, a) => g.mul(a, g.full("f32", 1, [4, 4])),
    (g, a) => g.sum(a, [0]),
    (g, a) => g.sum(a, [1]),
    (g, a) => g.cast(a, "f16"),
    (g, a) => g.cast(a, "i32"),
  );
  expect(new Set(kinds).size).toBe(kinds.length);
});

test("what another kernel computes is read: how it was made is no part of the structure", () => {
  const g = new GraphBuilder({ path: "", at: "", label: "", pass: "test" });
  const x = g.input("x", "f32", [4]);
  const made = g.tanh(x);
  const [ofInput, ofMade] = [g.exp(x), g.exp(made)];
  g.output("i", ofInput);
  g.output("m", ofMade);
  const work = new WorkGraph(g.build());
  const [i, m] = work.outputs.map(({ node }) => node);
  const structures = new Structures(work, new Set([made, i!, m!]), NO_STREAMS);
  expect(structures.of([m!]).kind).toBe(structures.of([i!]).kind);
  // In one kernel it is computed, and no longer read.
  expect(structures.of([made, m!]).kind).not.toBe(structures.of([m!]).kind);
  expect(structures.of([made, m!]).tensors).toEqual([x]);
});

test("a kernel on other tensors is the same kernel, and shares what reads none", () => {
  const b = new KernelBuilder();
  const axis = b.axis("i", 8);
  const index = b.addIndex(b.modulo(axis, 4), b.constant("i32", 2));
  const gathered = b.load("f32", 3, b.load("i32", 1, index));
  const value = b.select(b.call("lt", axis, b.constant("i32", 5)), gathered, b.constant("f32", 0));
  const kernel: MapKernel = {
    kind: "map",
    name: "k",
    comments: [],
    rules: [],
    tensors: [1, 3, 7].map((tensor) => ({
      tensor,
      name: `t_${tensor}`,
      dtype: tensor === 1 ? "i32" : "f32",
      elementCount: 8,
      access: tensor === 7 ? "read_write" : "read",
      comment: "",
    })),
    workgroupSize: 4,
    flops: 8,
    axis,
    width: 1,
    vectorsPerInvocation: 1,
    stores: [{ tensor: 7, index: axis, value }],
  };
  const names = new Map([
    [1, 10],
    [3, 30],
    [7, 70],
  ]);
  const moved = retargeted(kernel, (tensor) => names.get(tensor)!);
  if (moved.kind !== "map") throw new Error("a map stays one");
  const tensors = kernel.tensors.map((t) => ({ ...t, tensor: names.get(t.tensor)! }));
  expect(kernelIdentity({ ...moved, tensors })).toBe(kernelIdentity(kernel));
  expect(moved.stores.map((s) => s.tensor)).toEqual([70]);
  const loads: Extract<Expr, { kind: "load" }>[] = [];
  walk([moved.stores[0]!.value], (e) => {
    if (e.kind === "load") loads.push(e);
  });
  expect(loads.map((load) => load.tensor)).toEqual([10, 30]);
  expect(loads[0]!.index).toBe(index);
  expect(moved.stores[0]!.index).toBe(axis);
});

test("kernels of equal layers bind their own tensors and go by their own lines", () => {
  const g = new GraphBuilder({ path: "", at: "", label: "", pass: "test" });
  let x = g.input("x", "f32", [16, 32]);
  for (const layer of [0, 1, 2]) {
    const weight = g.state(`w${layer}`, "f32", [32, 32]);
    x = g.withOrigin({ path: `layers.${layer}`, label: `h${layer}` }, () =>
      g.tanh(g.einsum(x, weight, { lhs: [0, 1], rhs: [1, 2], out: [0, 2] })),
    );
  }
  g.output("y", x);
  const { steps } = schedule(g.build(), softwareProfile, { fuse: true });
  const kernels = steps.flatMap((step) => (step.kind === "dispatch" ? [step.kernel] : []));
  expect(kernels.map((kernel) => kernel.name)).toEqual(["h0", "h1", "h2"]);
  expect(kernels.map((kernel) => kernel.tensors.map((t) => t.name))).toEqual([
    ["t_x", "t_w0", "t_h0"],
    ["t_h0", "t_w1", "t_h1"],
    ["t_h1", "t_w2", "t_h2"],
  ]);
  // The first reads an input, which is bound otherwise than what kernels write.
  expect(new Set(kernels.slice(1).map(kernelIdentity)).size).toBe(1);
});
