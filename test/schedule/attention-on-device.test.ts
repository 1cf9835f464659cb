import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { evaluate, type Graph, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { partsOf } from "../../compiler/kernel/index.ts";
import { optimize, simplifyForward } from "../../compiler/optimize/index.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { greatest, greatestDifference, roundingBounds } from "./rounding.ts";
import { runOnDevice } from "./run-graph.ts";

/** Dot products of up to 64 terms, an exponential, sums over up to 50 keys, and for gradients once more of each. */
const TOLERANCE = 3e-5;

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly size: number;
}

/** What a person may do to the scores [B, A, I, J] before and to the weights after the softmax. */
interface Variant {
  readonly scores?: (b: GraphBuilder, scores: NodeId) => NodeId;
  readonly weights?: (b: GraphBuilder, weights: NodeId) => NodeId;
  /** Kernels that the gradients of further parameters take. */
  readonly more?: number;
}

const full = (b: GraphBuilder, like: NodeId, value: number) => b.fullLike(like, value);
const position = (b: GraphBuilder, like: NodeId, axis: number) => b.iota(b.shape(like), axis);
const distance = (b: GraphBuilder, s: NodeId) => b.sub(position(b, s, 2), position(b, s, 3));
const integer = (b: GraphBuilder, like: NodeId, value: number) => b.full("i32", value, b.shape(like));
const scaled = (b: GraphBuilder, s: NodeId) => b.mul(s, full(b, s, 0.25));

const variants: Readonly<Record<string, Variant>> = {
  plain: {},
  "a length for each example": {
    scores: (b, s) => {
      const valid = b.broadcast(b.input("valid", "i32", [b.shape(s)[0]!]), b.shape(s), [0]);
      return b.select(b.lt(position(b, s, 3), valid), scaled(b, s), full(b, s, -1e6));
    },
  },
  causal: {
    scores: (b, s) => b.select(b.le(position(b, s, 3), position(b, s, 2)), scaled(b, s), full(b, s, -1e6)),
  },
  "a window": {
    scores: (b, s) => {
      const d = distance(b, s);
      const near = b.and(b.le(integer(b, s, -2), d), b.le(d, integer(b, s, 2)));
      return b.select(near, s, full(b, s, -1e6));
    },
  },
  "ALiBi: a slope for each head": {
    scores: (b, s) => {
      const slope = b.exp(b.mul(b.cast(position(b, s, 1), "f32"), full(b, s, -0.7)));
      return b.sub(s, b.mul(slope, b.abs(b.cast(distance(b, s), "f32"))));
    },
  },
  "soft cap": { scores: (b, s) => b.mul(b.tanh(b.div(s, full(b, s, 3))), full(b, s, 3)) },
  "a bias that is given": {
    scores: (b, s) =>
      b.add(s, b.broadcast(b.input("given", "f32", b.shape(s).slice(1)), b.shape(s), [1, 2, 3])),
  },
  "a learned bias for each head and pair of positions": {
    scores: (b, s) => b.add(s, b.broadcast(b.parameter("bias", b.shape(s).slice(1)), b.shape(s), [1, 2, 3])),
    more: 1,
  },
  // The walk over the keys sums over half of the axes, a kernel of its own over the rest.
  "a learned bias for each key and a learned temperature": {
    scores: (b, s) => {
      const bias = b.parameter("key_bias", [b.shape(s)[3]!]);
      const temperature = b.parameter("temperature", []);
      return b.add(b.mul(s, b.broadcast(temperature, b.shape(s), [])), b.broadcast(bias, b.shape(s), [3]));
    },
    more: 2,
  },
  dropout: {
    scores: scaled,
    weights: (b, w) => {
      const kept = b.lt(b.uniform(b.constant("u32", 12345), b.shape(w)), full(b, w, 0.75));
      return b.select(kept, b.mul(w, full(b, w, 1 / 0.75)), full(b, w, 0));
    },
  },
};

/** Attention, with sum(y * weight) as the objective. */
function attention({ batch: B, heads: A, queries: I, keys: J, size: D }: Sizes, variant: Variant): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const q = b.parameter("q", [B, I, A, D]);
  const k = b.parameter("k", [B, J, A, D]);
  const v = b.parameter("v", [B, J, A, D]);
  const raw = b.einsum(q, k, { lhs: [0, 2, 1, 4], rhs: [0, 3, 1, 4], out: [0, 1, 2, 3] });
  const scores = variant.scores?.(b, raw) ?? raw;
  const top = b.stopGradient(b.reduceMax(scores, [3]));
  const raised = b.exp(b.sub(scores, b.broadcastOver(top, b.shape(scores), [3])));
  const softmax = b.div(raised, b.broadcastOver(b.sum(raised, [3]), b.shape(scores), [3]));
  const weights = variant.weights?.(b, softmax) ?? softmax;
  const y = b.einsum(weights, v, { lhs: [0, 1, 2, 3], rhs: [0, 3, 1, 4], out: [0, 2, 1, 4] });
  b.output("y", y);
  const weight = b.parameter("weight", [B, I, A, D]);
  b.output("objective", b.sum(b.mul(y, weight), [0, 1, 2, 3]));
  return b.build();
}

function withGradients(forward: Graph): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const ids = b.import(forward, new Map());
  const at = (name: string) => ids[forward.outputs.find((output) => output.name === name)!.node]!;
  b.output("y", at("y"));
  const names: string[] = [];
  const parameters: NodeId[] = [];
  for (const node of forward.nodes) {
    if (node.op !== "parameter" || node.attrs.name === "weight") continue;
    names.push(node.attrs.name);
    parameters.push(ids[node.id]!);
  }
  gradients(b, at("objective"), parameters).forEach((id, i) => {
    b.output(`d${names[i]}`, id);
  });
  return b.build();
}

function leavesOf(graph: Graph) {
  const random = randomNumbers(graph.nodes.length);
  const inputs = new Map<string, ReturnType<typeof tensor>>();
  const parameters = new Map<string, ReturnType<typeof tensor>>();
  for (const node of graph.nodes) {
    if (node.op !== "input" && node.op !== "parameter") continue;
    const count = node.type.shape.reduce((n, size) => n * size, 1);
    // Lengths of two keys and more: of a single key's weight, always 1, the gradient is nothing but rounding.
    const draw = () => (node.type.dtype === "i32" ? 2 + Math.floor(3 * random()) : 2 * random() - 1);
    const value = tensor(node.type, Array.from({ length: count }, draw));
    (node.op === "input" ? inputs : parameters).set(node.attrs.name, value);
  }
  return { inputs, parameters };
}

const shapes: readonly Sizes[] = [
  { batch: 2, heads: 2, queries: 4, keys: 4, size: 4 },
  { batch: 1, heads: 3, queries: 8, keys: 16, size: 8 },
  { batch: 2, heads: 1, queries: 21, keys: 50, size: 20 },
  { batch: 1, heads: 2, queries: 5, keys: 7, size: 64 },
];

/** Fused and unfused, on both classes of device, against the float64 reference of the graph as it was written. */
async function expectEqualOnDevices(
  sizes: Sizes,
  variant: Variant,
  devices: readonly KilnDevice[],
  fusions: readonly boolean[],
): Promise<void> {
  const forward = attention(sizes, variant);
  const reference = withGradients(forward);
  const leaves = leavesOf(reference);
  const expected = evaluate(reference, leaves);
  // Where terms cancel, as in the gradient of a temperature, the result is small and what rounding leaves is not.
  let bounds: ReturnType<typeof roundingBounds> | undefined;
  const boundOf = (name: string): number => {
    bounds ??= roundingBounds(reference, leaves);
    return bounds.get(name)!;
  };
  const graph = optimize(withGradients(simplifyForward(forward)));
  for (const kiln of devices) {
    for (const fuse of fusions) {
      const actual = await runOnDevice(graph, leaves, kiln, fuse);
      for (const [name, value] of expected.outputs) {
        const difference = greatestDifference(actual.outputs.get(name)!, value);
        const usual = TOLERANCE * greatest(value);
        const allowed = difference < usual ? usual : boundOf(name);
        expect(difference, `${name}, ${kiln.profile.deviceClass}, fused: ${fuse}`).toBeLessThan(allowed);
      }
    }
  }
}

describe("attention with any changes of its scores, one after the other", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());

  const changes = Object.entries(variants).flatMap(([name, { scores }]) =>
    scores === undefined ? [] : [{ name, scores, hides: /length|causal|window/.test(name) }],
  );
  const size = fc.integer({ min: 4, max: 24 });
  const drawn = fc.record({
    sizes: fc.record({
      batch: fc.integer({ min: 1, max: 3 }),
      heads: fc.integer({ min: 1, max: 3 }),
      queries: size,
      keys: size,
      size: fc.constantFrom(4, 8, 12, 32),
    }),
    // No change twice: an input has one name.
    chosen: fc.subarray(changes, { minLength: 1, maxLength: 4 }),
    drops: fc.boolean(),
    isGpu: fc.boolean(),
  });
  test("gives what the float64 reference gives", async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ sizes, chosen, drops, isGpu }) => {
        const profile = { ...software.profile, deviceClass: isGpu ? "gpu" : "software" } as const;
        const variant: Variant = {
          // Hidden scores stay what they are set to, and every row sees a key: at -1e6 an f32 has one digit left, so
          // neither what is added to a score there nor a row's logsumexp would keep theirs.
          scores: (b, s) => {
            const adding = chosen.filter(({ hides }) => !hides);
            const hiding = chosen.find(({ hides }) => hides);
            return [...adding, ...(hiding === undefined ? [] : [hiding])].reduce((x, c) => c.scores(b, x), s);
          },
          ...(drops && { weights: variants.dropout!.weights! }),
        };
        const seen = { ...sizes, keys: Math.max(sizes.keys, sizes.queries) };
        await expectEqualOnDevices(seen, variant, [{ ...software, profile }], [true]);
      }),
      { numRuns: Number(process.env.KILN_RANDOM_GRAPHS ?? 8), endOnFailure: true },
    );
  });
});

describe.each(Object.entries(variants))("attention, %s", (_name, variant) => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    gpu = { ...software, profile: { ...software.profile, deviceClass: "gpu" } };
  });
  afterAll(() => software.close());

  test("is one kernel forward and three or more back, and stores nothing of the size of the scores", () => {
    const sizes = { batch: 2, heads: 2, queries: 16, keys: 24, size: 8 };
    const forward = attention(sizes, variant);
    const count = (graph: Graph) => {
      const { steps, scratch } = schedule(optimize(graph), software.profile, { fuse: true });
      expect(scratch.every(({ sizeBytes }) => sizeBytes < 4 * 2 * 2 * 16 * 24 * 4)).toBe(true);
      for (const step of steps)
        for (const { elementCount } of step.kind === "dispatch" ? step.kernel.tensors : [])
          expect(elementCount).toBeLessThan(2 * 2 * 16 * 24);
      return steps.reduce((n, step) => n + (step.kind === "dispatch" ? partsOf(step.kernel).length : 1), 0);
    };
    const onlyY = { ...forward, outputs: forward.outputs.filter(({ name }) => name === "y") };
    expect(count(simplifyForward(onlyY))).toBe(1);
    // The forward pass; the row sum of the result with its cotangent; dq; dk and dv.
    expect(count(withGradients(simplifyForward(forward)))).toBe(4 + (variant.more ?? 0));
  });

  test.each(shapes)("$batch x $heads x $queries x $keys x $size", async (sizes) => {
    await expectEqualOnDevices(sizes, variant, [software, gpu], [true, false]);
  });
});
