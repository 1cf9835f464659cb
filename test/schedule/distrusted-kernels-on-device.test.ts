import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type Leaves, tensor } from "../../compiler/graph/index.ts";
import { optimize, simplifyForward } from "../../compiler/optimize/index.ts";
import { ONE_OP_A_KERNEL, problemsOf, type Schedule, schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of at most 64 products of numbers in [-1, 1], and an exponential. */
const TOLERANCE = 2e-5;

const builder = () => new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
const [B, M, N, K] = [0, 1, 2, 3];

function leavesOf(graph: Graph): Leaves {
  const random = randomNumbers(graph.nodes.length);
  const parameters = new Map(
    graph.nodes.flatMap((node) => {
      if (node.op !== "parameter") return [];
      const { shape } = node.type;
      const count = shape.reduce((a, size) => a * size, 1);
      const elements = Array.from({ length: count }, () => 2 * random() - 1);
      return [[node.attrs.name, tensor({ dtype: "f32", shape }, elements)] as const];
    }),
  );
  return { parameters };
}

/** relu(exp(x) @ w + b), and beside it the mean of each row. */
function matmulGraph(): Graph {
  const b = builder();
  const x = b.parameter("x", [40, 64]);
  const product = b.einsum(b.exp(x), b.parameter("w", [64, 24]), { lhs: [M, K], rhs: [K, N], out: [M, N] });
  const shifted = b.add(product, b.broadcast(b.parameter("b", [24]), [40, 24], [1]));
  b.output("y", b.max(shifted, b.fullLike(shifted, 0)));
  b.output("mean", b.mul(b.sum(x, [1]), b.full("f32", 1 / 64, [40])));
  return b.build();
}

function attentionGraph(): Graph {
  const b = builder();
  const [q, k, v] = ["q", "k", "v"].map((name) => b.parameter(name, [2, 16, 8])) as [number, number, number];
  const scores = b.einsum(q, k, { lhs: [B, M, K], rhs: [B, N, K], out: [B, M, N] });
  const top = b.stopGradient(b.reduceMax(scores, [2]));
  const raised = b.exp(b.sub(scores, b.broadcastOver(top, b.shape(scores), [2])));
  const weights = b.div(raised, b.broadcastOver(b.sum(raised, [2]), b.shape(scores), [2]));
  b.output("y", b.einsum(weights, v, { lhs: [B, M, N], rhs: [B, N, K], out: [B, M, K] }));
  return optimize(simplifyForward(b.build()));
}

describe("a kernel that was wrong on the device", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const dispatchesOf = ({ steps }: Schedule) => steps.filter((step) => step.kind === "dispatch");
  const keysOf = (planned: Schedule) =>
    dispatchesOf(planned).flatMap(({ kernel }) => problemsOf(kernel, kiln.profile).map(({ key }) => key));

  const oneOpDispatches = (planned: Schedule): number =>
    dispatchesOf(planned).filter(({ nodes }) => {
      const ops = nodes.map((id) => planned.nodes[id]!.op);
      return (
        ops.filter((op) => !["constant", "broadcast", "reshape", "stop_gradient"].includes(op)).length === 1
      );
    }).length;

  test.each([
    ["matmul with prologue and epilogue, others beside it", matmulGraph()],
    ["walk over scores", attentionGraph()],
  ])("is planned again as one kernel an op, and computes the same: %s", async (_, graph) => {
    const leaves = leavesOf(graph);
    const expected = evaluate(graph, leaves);
    const fused = schedule(graph, kiln.profile, { fuse: true });
    for (const key of keysOf(fused)) {
      const tuning = { [key]: ONE_OP_A_KERNEL };
      const planned = schedule(graph, kiln.profile, { fuse: true, tuning });
      expect(keysOf(planned)).not.toContain(key);
      expect(planned.tuned).toEqual(tuning);
      expect(planned.ignored).toEqual({});
      expect(oneOpDispatches(planned)).toBeGreaterThan(oneOpDispatches(fused));
      const actual = await runOnDevice(graph, leaves, kiln, true, [], tuning);
      expect(actual.program.tuning).toEqual(tuning);
      for (const [name, value] of expected.outputs)
        expect(relativeError(actual.outputs.get(name)!, value), `${name} without ${key}`).toBeLessThanOrEqual(
          TOLERANCE,
        );
    }
  });

  test("keeps apart what it joined alone: other kernels are fused as before", () => {
    const b = builder();
    const [x, w, u] = [b.parameter("x", [64, 64]), b.parameter("w", [64, 32]), b.parameter("u", [64, 64])];
    const first = b.einsum(b.exp(x), w, { lhs: [M, K], rhs: [K, N], out: [M, N] });
    b.output("y", b.exp(first));
    b.output("z", b.sum(b.mul(b.exp(u), u), [1]));
    const graph = b.build();
    const fused = schedule(graph, kiln.profile, { fuse: true });
    const row = keysOf(fused).find((key) => key.startsWith("row"))!;
    const planned = schedule(graph, kiln.profile, { fuse: true, tuning: { [row]: ONE_OP_A_KERNEL } });
    const kinds = dispatchesOf(planned).map(({ kernel }) => kernel.kind);
    // The matmul keeps its epilogue; exp, mul and sum take a kernel each.
    expect(kinds.filter((kind) => kind === "matmul")).toHaveLength(1);
    const matmul = dispatchesOf(planned).find(({ kernel }) => kernel.kind === "matmul")!;
    const before = dispatchesOf(fused).find(({ nodes }) => nodes.includes(matmul.nodes.at(-1)!))!;
    expect(before.nodes).toEqual(expect.arrayContaining([...matmul.nodes]));
    const others = dispatchesOf(planned).filter(
      ({ kernel, nodes }) =>
        kernel !== matmul.kernel && nodes.some((id) => ["mul", "sum"].includes(planned.nodes[id]!.op)),
    );
    expect(
      others.map(
        ({ nodes }) => nodes.filter((id) => ["exp", "mul", "sum"].includes(planned.nodes[id]!.op)).length,
      ),
    ).toEqual([1, 1]);
  });

  test("which no graph has changes nothing", () => {
    const graph = matmulGraph();
    const plain = schedule(graph, kiln.profile, { fuse: true });
    const tuning = { "row 1 rows of 1 #0000000000000000": ONE_OP_A_KERNEL };
    const { tuned, ignored, ...planned } = schedule(graph, kiln.profile, { fuse: true, tuning });
    expect([tuned, ignored]).toEqual([{}, {}]);
    expect(keysOf({ ...plain, ...planned })).toEqual(keysOf(plain));
  });
});
