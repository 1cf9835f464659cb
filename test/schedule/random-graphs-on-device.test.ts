import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { fusionRuleNames } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Values stay within [-1, 1] or are means, so that a dozen ops in a row lose few digits. */
const TOLERANCE = 3e-5;
/** Few bindings, dispatches over two dimensions, several arenas. */
const narrow = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupsPerDimension: 24,
  maxBufferSize: 128 * 1024,
  maxStorageBufferBindingSize: 128 * 1024,
};
const SIZES = [1, 1, 2, 3, 4, 5, 8, 12, 16];

/** A graph of `length` ops chosen at random among those that move, repeat, join, reduce and overwrite. */
function randomGraph(seed: number, length: number): Graph {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const shape = [pick(SIZES), pick(SIZES), pick(SIZES)];
  const pool: NodeId[] = [];
  const states: NodeId[] = [];
  for (let i = 0; i < 3; i++) {
    pool.push(b.input(`input${i}`, "f32", i === 2 ? [pick(SIZES), pick(SIZES)] : shape));
    const state = b.state(`state${i}`, "f32", shape);
    states.push(state);
    pool.push(state);
  }
  const count = (id: NodeId) => b.shape(id).reduce((n, size) => n * size, 1);
  const mean = (id: NodeId, axes: readonly number[]): NodeId => {
    const sum = b.sum(id, axes);
    return b.div(sum, b.fullLike(sum, count(id) / count(sum)));
  };
  const axesOf = (id: NodeId) => b.shape(id).map((_, axis) => axis);
  const someAxes = (id: NodeId) => axesOf(id).filter(() => random() < 0.5);
  const steps: readonly ((x: NodeId) => NodeId | undefined)[] = [
    (x) => b.tanh(b.mul(x, b.fullLike(x, 1.5))),
    (x) => b.abs(x),
    (x) => {
      const alike = pool.filter((y) => String(b.shape(y)) === String(b.shape(x)));
      return b.mul(b.add(x, pick(alike)), b.fullLike(x, 0.5));
    },
    (x) => {
      const alike = pool.filter((y) => String(b.shape(y)) === String(b.shape(x)));
      return b.select(b.lt(x, pick(alike)), x, pick(alike));
    },
    (x) => mean(x, someAxes(x)),
    (x) => b.reduceMax(x, someAxes(x)),
    (x) => {
      const axes = someAxes(x);
      const like = b.shape(x);
      const kept = axesOf(x).filter((axis) => !axes.includes(axis));
      return b.sub(x, b.broadcast(mean(x, axes), like, kept));
    },
    (x) => {
      const axes = someAxes(x);
      const kept = axesOf(x).filter((axis) => !axes.includes(axis));
      const raised = b.exp(b.sub(x, b.broadcast(b.reduceMax(x, axes), b.shape(x), kept)));
      return b.div(raised, b.broadcast(b.sum(raised, axes), b.shape(x), kept));
    },
    (x) => {
      const order = axesOf(x)
        .map((axis) => [random(), axis] as const)
        .sort(([a], [c]) => a - c);
      return b.transpose(
        x,
        order.map(([, axis]) => axis),
      );
    },
    (x) => {
      const sizes = b.shape(x);
      const at = below(sizes.length);
      if (sizes.length < 2 || at === 0) return b.reshape(x, [count(x)]);
      return b.reshape(x, [...sizes.slice(0, at - 1), sizes[at - 1]! * sizes[at]!, ...sizes.slice(at + 1)]);
    },
    (x) => (b.shape(x).length < 3 ? b.reshape(x, [...b.shape(x), 1]) : undefined),
    (x) => {
      if (b.shape(x).length > 2 || count(x) > 512) return undefined;
      return b.broadcast(
        x,
        [pick(SIZES), ...b.shape(x)],
        axesOf(x).map((axis) => axis + 1),
      );
    },
    (x) => {
      const start = b.shape(x).map((size) => below(size));
      return b.slice(
        x,
        start,
        b.shape(x).map((size, i) => start[i]! + 1 + below(size - start[i]!)),
      );
    },
    (x) =>
      count(x) > 2048
        ? undefined
        : b.pad(
            x,
            axesOf(x).map(() => below(3)),
            axesOf(x).map(() => below(3)),
          ),
    (x) =>
      b.shape(x).length === 0 || count(x) > 2048
        ? undefined
        : b.concat([x, b.neg(x)], below(b.shape(x).length)),
    (x) => {
      const sizes = b.shape(x);
      if (sizes.length < 2) return undefined;
      const last = sizes.length - 1;
      const other = pool.filter((y) => b.shape(y).length === 2 && b.shape(y)[1] === sizes[last]);
      const y = other.length === 0 ? b.reshape(x, [count(x) / sizes[last]!, sizes[last]!]) : pick(other);
      if ((count(x) / sizes[last]!) * b.shape(y)[0]! > 4096) return undefined;
      const lhs = axesOf(x);
      const product = b.einsum(x, y, { lhs, rhs: [9, last], out: [...lhs.slice(0, -1), 9] });
      return b.div(product, b.fullLike(product, sizes[last]!));
    },
    (x) => {
      const sizes = b.shape(x);
      if (sizes.length === 0) return undefined;
      const rows = 1 + below(6);
      const index = b.iota([sizes[0]!], 0);
      const sums = b.scatterAdd(x, b.mod(b.mul(index, index), b.full("i32", rows, [sizes[0]!])), rows);
      return b.div(sums, b.fullLike(sums, sizes[0]!));
    },
    (x) => {
      const sizes = b.shape(x);
      if (sizes.length === 0) return undefined;
      const index = b.iota([pick(SIZES)], 0);
      return b.take(x, b.mod(b.mul(index, index), b.full("i32", sizes[0]!, b.shape(index))));
    },
    (x) => {
      const offset = 64 * below(3) + (random() < 0.3 ? 1 : 0);
      if (offset >= count(x)) return undefined;
      return b.view(b.reshape(x, [count(x)]), offset, [1 + below(count(x) - offset)]);
    },
    (x) => {
      const y = pick(pool);
      const second = Math.ceil(count(x) / 64) * 64;
      if (second + count(y) > 4096) return undefined;
      return b.pack([b.reshape(x, [count(x)]), b.reshape(y, [count(y)])], [0, second], second + count(y));
    },
  ];
  while (pool.length < length) {
    // Late nodes mostly, so that chains are long.
    const x = random() < 0.6 ? pick(pool.slice(-4)) : pick(pool);
    const made = pick(steps)(x);
    if (made !== undefined) pool.push(made);
  }
  const alike = pool.filter((x) => String(b.shape(x)) === String(shape));
  states.forEach((state, i) => {
    b.output(`old${i}`, random() < 0.5 ? state : mean(state, axesOf(state)));
    b.update(`state${i}`, pick(alike));
  });
  for (let i = 0; i < 4; i++) b.output(`y${i}`, i === 0 ? pool.at(-1)! : pick(pool));
  return b.build();
}

function leavesOf(graph: Graph, seed: number) {
  const random = randomNumbers(seed + 1000);
  const inputs = new Map<string, ReturnType<typeof tensor>>();
  const states = new Map<string, ReturnType<typeof tensor>>();
  for (const node of graph.nodes) {
    if (node.op !== "input" && node.op !== "state") continue;
    const count = node.attrs.shape.reduce((n, size) => n * size, 1);
    const values = Array.from({ length: count }, () => 2 * random() - 1);
    (node.op === "input" ? inputs : states).set(node.attrs.name, tensor(node.type, values));
  }
  return { inputs, states };
}

describe("random graphs give on a device what the float64 reference gives", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());

  const seeds = Array.from({ length: 16 }, (_, i) => i + 1);
  test.each(seeds)("graph %i", async (seed) => {
    const graph = randomGraph(seed, 30);
    const leaves = leavesOf(graph, seed);
    const expected = evaluate(graph, leaves);
    for (const deviceClass of ["software", "gpu"] as const) {
      // The rules take turns at being switched off.
      const without = fusionRuleNames[seed % fusionRuleNames.length]!;
      const ways = [
        { told: "fused", fuse: true, off: [] },
        { told: "unfused", fuse: false, off: [] },
        { told: `without ${without}`, fuse: true, off: [without] },
      ];
      for (const way of ways) {
        const profile = { ...software.profile, ...narrow, deviceClass };
        const actual = await runOnDevice(graph, leaves, { ...software, profile }, way.fuse, way.off);
        const told = `${deviceClass}, ${way.told}`;
        for (const [name, value] of expected.outputs)
          expect(relativeError(actual.outputs.get(name)!, value), `output ${name}, ${told}`).toBeLessThan(
            TOLERANCE,
          );
        for (const [name, value] of expected.updates)
          expect(relativeError(actual.updates.get(name)!, value), `${name}, ${told}`).toBeLessThan(TOLERANCE);
      }
    }
  });
});
