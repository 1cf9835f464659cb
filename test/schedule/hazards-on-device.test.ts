import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

const TOLERANCE = 5e-6;
/** The least that has two views which bindings can point at; smaller updates share kernels. */
const N = 128;
const SMALL = 32;

type Build = (b: GraphBuilder, state: (name: string) => NodeId, input: (name: string) => NodeId) => void;

function graphOf(build: Build, count: number): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  build(
    b,
    (name) => b.withOrigin({ label: name }, () => b.state(name, "f32", [count])),
    (name) => b.withOrigin({ label: name }, () => b.input(name, "f32", [count])),
  );
  return b.build();
}

/** What stands in each leaf differs, so that no mistaken read goes unseen. */
function leavesOf(graph: Graph) {
  const random = randomNumbers(7);
  const leaves = { inputs: new Map(), states: new Map(), parameters: new Map() };
  for (const node of graph.nodes) {
    if (node.op !== "input" && node.op !== "state") continue;
    const count = node.attrs.shape.reduce((n, size) => n * size, 1);
    const values = Array.from({ length: count }, () => 2 * random() - 1);
    const { dtype, shape } = node.type;
    (node.op === "input" ? leaves.inputs : leaves.states).set(
      node.attrs.name,
      tensor({ dtype, shape }, values),
    );
  }
  return leaves;
}

const cases: readonly (readonly [string, Build])[] = [
  [
    "two states exchange their values",
    (b, state) => {
      b.update("p", state("q"));
      b.update("q", state("p"));
    },
  ],
  [
    "three states go round",
    (b, state) => {
      b.update("p", state("q"));
      b.update("q", state("r"));
      b.update("r", state("p"));
    },
  ],
  [
    "an average of a state's value before its update",
    (b, state, input) => {
      const g = input("g");
      b.update("p", b.neg(g));
      b.update("average", b.add(b.mul(state("average"), g), state("p")));
    },
  ],
  [
    "an output of a state's value before its update",
    (b, state, input) => {
      const p = state("p");
      b.output("before", p);
      b.update("p", b.add(p, input("g")));
    },
  ],
  [
    "an output of a view of a state before its update",
    (b, state, input) => {
      const p = state("p");
      b.output("before", b.view(p, 64, [4, 8]));
      b.update("p", b.add(p, input("g")));
    },
  ],
  [
    "an output before an update by a copy",
    (b, state) => {
      const p = state("p");
      b.output("before", p);
      const total = b.sum(p, [0]);
      b.update("p", b.mul(p, b.broadcast(total, [N], [])));
    },
  ],
  [
    "one value is two updates and two outputs",
    (b, state, input) => {
      const next = b.add(state("p"), b.mul(state("q"), input("g")));
      b.update("p", next);
      b.update("q", next);
      b.output("y", next);
      b.output("z", b.reshape(next, [2, N / 2]));
    },
  ],
  [
    "a kernel reads a tensor and a view of it",
    (b, _state, input) => {
      const x = b.exp(input("x"));
      const half = b.view(x, 64, [64]);
      b.output("y", b.mul(half, b.slice(x, [0], [64])));
    },
  ],
  [
    "a kernel reads two views that overlap",
    (b, _state, input) => {
      const x = b.exp(input("x"));
      b.output("y", b.exp(b.mul(b.view(x, 0, [128]), b.pad(b.view(x, 64, [64]), [64], [0]))));
    },
  ],
  [
    "an update reads a view of the state",
    (b, state, input) => {
      const p = state("p");
      const half = b.view(p, 64, [64]);
      b.update("p", b.add(b.mul(p, b.concat([half, half], 0)), input("g")));
    },
  ],
  [
    "a view of a state's old value times one of its new value, both",
    (b, state, input) => {
      const p = state("p");
      const next = b.add(p, input("g"));
      b.update("p", next);
      b.output("y", b.sum(b.mul(b.view(p, 64, [64]), b.view(next, 0, [64])), [0]));
    },
  ],
  [
    "a scatter whose rows are not all hit, next to living tensors",
    (b, _state, input) => {
      const x = input("x");
      const keep = b.exp(x);
      const index = b.cast(b.floor(b.mul(b.mul(x, x), b.fullLike(x, 5))), "i32");
      const sums = b.scatterAdd(b.broadcast(keep, [N, 8], [0]), index, 16);
      b.output("y", b.sum(b.mul(sums, sums), [0]));
      b.output("keep", b.sum(b.mul(b.sum(b.broadcast(keep, [N, 8], [0]), [1]), x), [0]));
    },
  ],
];

describe("no kernel reads what another has overwritten", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());

  const compare = async (graph: Graph, fuse: boolean): Promise<void> => {
    const leaves = leavesOf(graph);
    const expected = evaluate(graph, leaves);
    const actual = await runOnDevice(graph, leaves, software, fuse);
    for (const [name, value] of expected.outputs)
      expect(relativeError(actual.outputs.get(name)!, value), `output ${name}`).toBeLessThanOrEqual(
        TOLERANCE,
      );
    for (const [name, value] of expected.updates)
      expect(relativeError(actual.updates.get(name)!, value), `state ${name}`).toBeLessThanOrEqual(TOLERANCE);
  };
  const exchanges: readonly (readonly [string, Build])[] = cases.slice(0, 3);
  test.each(exchanges)("%s, in one kernel", async (_title, build) => {
    await compare(graphOf(build, SMALL), true);
  });
  for (const fuse of [true, false]) {
    test.each(cases)(`%s, ${fuse ? "fused" : "unfused"}`, async (_title, build) => {
      await compare(graphOf(build, N), fuse);
    });
  }
});
