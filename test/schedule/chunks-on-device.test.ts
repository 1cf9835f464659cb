import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  elementCount,
  evaluate,
  type Graph,
  GraphBuilder,
  type NodeId,
  tensor,
} from "../../compiler/graph/index.ts";
import { kernelIdentity, partsOf } from "../../compiler/kernel/index.ts";
import { optimize, simplifyForward } from "../../compiler/optimize/index.ts";
import { chunkLongScores } from "../../compiler/schedule/chunks.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Dot products of 12 terms, exponentials, sums over up to 300 of them, and for gradients once more of each. */
const TOLERANCE = 3e-5;
const CHUNK = 64;

interface Head {
  /** How the weights lie: in the order of the vocabulary, or of the hidden size. */
  readonly isTransposed?: boolean;
  /** The weights are the embedding of the inputs too. */
  readonly isTied?: boolean;
  /** What is done to the logits [B, P, V]. */
  readonly logits?: (b: GraphBuilder, logits: NodeId) => NodeId;
  /** Added to the loss: f32[] from the logits. */
  readonly more?: (b: GraphBuilder, logits: NodeId) => NodeId;
}

const heads: Readonly<Record<string, Head>> = {
  "weights [H, V]": {},
  "weights [V, H]": { isTransposed: true },
  "tied weights": { isTransposed: true, isTied: true },
  "a bias": {
    logits: (b, x) => b.add(x, b.broadcast(b.parameter("bias", [b.shape(x)[2]!]), b.shape(x), [2])),
  },
  "a soft cap": { logits: (b, x) => b.mul(b.tanh(b.div(x, b.fullLike(x, 3))), b.fullLike(x, 3)) },
  dropout: {
    logits: (b, x) => {
      const kept = b.lt(b.uniform(b.constant("u32", 99), b.shape(x)), b.fullLike(x, 0.75));
      return b.select(kept, x, b.fullLike(x, -1));
    },
  },
  "smoothed labels and a small normalizer": {
    more: (b, x) => {
      const normalizer = logSumExp(b, x);
      const smooth = b.sum(b.mul(x, b.fullLike(x, -1e-2)), [0, 1, 2]);
      return b.add(smooth, b.sum(b.mul(normalizer, normalizer), [0, 1]));
    },
  },
};

function logSumExp(b: GraphBuilder, x: NodeId): NodeId {
  const top = b.stopGradient(b.reduceMax(x, [2]));
  const sum = b.sum(b.exp(b.sub(x, b.broadcast(top, b.shape(x), [0, 1]))), [2]);
  return b.add(b.log(sum), top);
}

/** Cross-entropy of `rows` = [B, P] predictions from a vocabulary, its gradients side by side in one tensor. */
function crossEntropy(rows: readonly [number, number], vocabulary: number, head: Head): Graph {
  const H = 12;
  const forward = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const build = (b: GraphBuilder) => {
    const weight = b.parameter("weight", head.isTransposed ? [vocabulary, H] : [H, vocabulary]);
    const hidden = head.isTied
      ? b.take(weight, b.input("tokens", "i32", rows))
      : b.parameter("hidden", [...rows, H]);
    const labels = { lhs: [0, 1, 3], rhs: head.isTransposed ? [2, 3] : [3, 2], out: [0, 1, 2] };
    const raw = b.einsum(hidden, weight, labels);
    const logits = head.logits?.(b, raw) ?? raw;
    const shape = b.shape(logits);
    const isLabel = b.eq(b.iota(shape, 2), b.broadcast(b.input("labels", "i32", rows), shape, [0, 1]));
    const picked = b.sum(b.select(isLabel, logits, b.fullLike(logits, 0)), [2]);
    const loss = b.sum(b.sub(logSumExp(b, logits), picked), [0, 1]);
    b.output("loss", head.more === undefined ? loss : b.add(loss, head.more(b, logits)));
    return b.build();
  };
  return build(forward);
}

function withGradients(forward: Graph): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const ids = b.import(forward, new Map());
  const loss = ids[forward.outputs[0]!.node]!;
  b.output("loss", loss);
  const parameters = forward.nodes.filter((node) => node.op === "parameter").map(({ id }) => ids[id]!);
  const found = gradients(b, loss, parameters);
  const offsets: number[] = [];
  let size = 0;
  for (const id of found) {
    offsets.push(size);
    size += Math.ceil(elementCount(b.shape(id)) / 64) * 64;
  }
  b.output("gradient", b.pack(found, offsets, size));
  return b.build();
}

function leavesOf(graph: Graph, vocabulary: number) {
  const random = randomNumbers(7);
  const inputs = new Map<string, ReturnType<typeof tensor>>();
  const parameters = new Map<string, ReturnType<typeof tensor>>();
  for (const node of graph.nodes) {
    if (node.op !== "input" && node.op !== "parameter") continue;
    const draw = () => (node.type.dtype === "i32" ? Math.floor(vocabulary * random()) : 2 * random() - 1);
    const value = tensor(node.type, Array.from({ length: elementCount(node.type.shape) }, draw));
    (node.op === "input" ? inputs : parameters).set(node.attrs.name, value);
  }
  return { inputs, parameters };
}

function kernelsOf(graph: Graph, kiln: KilnDevice) {
  return schedule(graph, kiln.profile, { fuse: true }).steps.flatMap((step) =>
    step.kind === "dispatch" ? [step.kernel] : [],
  );
}

describe.each(Object.entries(heads))("cross-entropy in chunks of the vocabulary, %s", (_name, head) => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    gpu = { ...software, profile: { ...software.profile, deviceClass: "gpu" } };
  });
  afterAll(() => software.close());

  const cases = [
    { rows: [2, 5], vocabulary: 256 },
    { rows: [1, 16], vocabulary: 300 },
    { rows: [3, 1], vocabulary: 130 },
  ] as const;

  test.each(cases)("$rows rows of $vocabulary", async ({ rows, vocabulary }) => {
    const forward = crossEntropy(rows, vocabulary, head);
    const reference = withGradients(forward);
    const leaves = leavesOf(reference, vocabulary);
    const expected = evaluate(reference, leaves);
    const whole = optimize(withGradients(simplifyForward(forward)));
    const chunked = chunkLongScores(whole, CHUNK);
    expect(chunked).not.toBe(whole);
    // Random numbers, whole for all chunks to take theirs, are never stored.
    for (const { op, type } of chunked.nodes)
      if (type.shape.at(-1) === vocabulary && op !== "uniform" && op !== "barrier")
        expect(elementCount(type.shape), op).toBeLessThanOrEqual(12 * vocabulary);
    for (const kiln of [software, gpu]) {
      const actual = await runOnDevice(chunked, leaves, kiln, true);
      for (const [name, value] of expected.outputs) {
        const error = relativeError(actual.outputs.get(name)!, value);
        expect(error, `${name}, ${kiln.profile.deviceClass}`).toBeLessThan(TOLERANCE);
      }
    }
  });
});

describe("chunks of a vocabulary", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());
  const step = (head: Head) => optimize(withGradients(simplifyForward(crossEntropy([4, 4], 256, head))));

  test("logits are there chunk by chunk, and gradients go where they belong without a copy", () => {
    const graph = chunkLongScores(step(heads["a bias"]!), CHUNK);
    const planned = schedule(graph, software.profile, { fuse: true });
    const kinds = planned.steps.flatMap((s) => (s.kind === "dispatch" ? [s.kernel.kind] : [s.kind]));
    // The table of starts; 4 times logits and their sums; the loss; 4 times the logits' gradient and what is made of it.
    expect(kinds.length).toBe(16);
    // Two chunks of 16 x 64 at most, and what is small.
    const arena = planned.scratch.filter(({ name }) => name.startsWith("arena"));
    expect(arena.reduce((n, { sizeBytes }) => n + sizeBytes, 0)).toBeLessThan(3 * 16 * 64 * 4);
  });

  test("chunks of one size are computed by the same kernels", () => {
    const count = (vocabulary: number): number => {
      const whole = optimize(
        withGradients(simplifyForward(crossEntropy([4, 4], vocabulary, heads["a bias"]!))),
      );
      const kernels = kernelsOf(chunkLongScores(whole, CHUNK), software);
      const withMatmuls = kernels.filter((kernel) => partsOf(kernel).some((part) => part.kind === "matmul"));
      return new Set(withMatmuls.map(kernelIdentity)).size;
    };
    expect(count(6 * CHUNK)).toBe(count(4 * CHUNK));
  });

  test("scores that something else reads stay whole, and so do short ones", () => {
    const read = crossEntropy([4, 4], 256, {
      logits: (b, x) => {
        b.output("logits", x);
        return x;
      },
    });
    expect(chunkLongScores(read, CHUNK)).toBe(read);
    const short = step({});
    expect(chunkLongScores(short, 256)).toBe(short);
  });
});
