import { gradients } from "../../compiler/autodiff/index.ts";
import {
  elementCount,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  tensor,
} from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { randomNumbers } from "../ops/draw.ts";

const [B, T, H] = [2, 16, 32];

/** One layer: [B, T, H] to the same. */
type Layer = (b: GraphBuilder, x: NodeId, index: number) => NodeId;

function matmul(b: GraphBuilder, x: NodeId, name: string): NodeId {
  return b.einsum(x, b.parameter(name, [H, H]), { lhs: [0, 1, 2], rhs: [2, 3], out: [0, 1, 3] });
}

const layers: readonly Layer[] = [
  (b, x, i) =>
    b.tanh(b.add(matmul(b, x, `weight${i}`), b.broadcast(b.parameter(`bias${i}`, [H]), [B, T, H], [2]))),
  (b, x, i) => b.add(x, matmul(b, b.erf(matmul(b, x, `inner${i}`)), `outer${i}`)),
  // Root mean square over the last axis.
  (b, x) => {
    const mean = b.div(b.sum(b.mul(x, x), [2]), b.full("f32", H, [B, T]));
    return b.mul(x, b.broadcast(b.rsqrt(b.add(mean, b.full("f32", 0.1, [B, T]))), [B, T, H], [0, 1]));
  },
  // Dropout.
  (b, x, i) => {
    const key = b.hash(b.add(b.input("key", "u32", []), b.constant("u32", i)));
    const isKept = b.lt(b.uniform(key, [B, T, H]), b.fullLike(x, 0.8));
    return b.select(isKept, b.mul(x, b.fullLike(x, 1.25)), b.fullLike(x, 0));
  },
  // Attention of x to itself.
  (b, x, i) => {
    const keys = matmul(b, x, `keys${i}`);
    const scores = b.tanh(b.einsum(x, keys, { lhs: [0, 1, 3], rhs: [0, 2, 3], out: [0, 1, 2] }));
    const normalizer = b.broadcast(b.logSumExp(scores, [2]), [B, T, T], [0, 1]);
    const weights = b.exp(b.sub(scores, normalizer));
    return b.add(x, b.einsum(weights, x, { lhs: [0, 1, 2], rhs: [0, 2, 3], out: [0, 1, 3] }));
  },
];

/** A loss behind `depth` layers drawn at random, and the gradient of all parameters side by side in one tensor. */
export function randomLayers(
  seed: number,
  depth: number,
): { readonly graph: Graph; readonly leaves: Leaves } {
  const random = randomNumbers(seed);
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  let x = b.input("x", "f32", [B, T, H]);
  for (let i = 0; i < depth; i++) {
    const layer = layers[Math.floor(layers.length * random())]!;
    x = b.withOrigin({ path: `layer.${i}` }, () => layer(b, x, i));
  }
  // Whatever was drawn, there are parameters and a hidden value to keep.
  x = layers[1]!(b, x, depth);
  const loss = b.sum(b.mul(x, x), [0, 1, 2]);
  b.output("loss", loss);
  const forward = b.build();
  const parameters = forward.nodes.filter((node) => node.op === "parameter");
  const offsets: number[] = [];
  let size = 0;
  for (const { type } of parameters) {
    offsets.push(size);
    size += Math.ceil(elementCount(type.shape) / 64) * 64;
  }
  const found = gradients(
    b,
    loss,
    parameters.map(({ id }) => id),
  );
  b.output("gradient", b.pack(found, offsets, size));
  const graph = optimize(b.build());
  const draw = (scale: number) => (node: Graph["nodes"][number]) =>
    tensor(
      node.type,
      Array.from({ length: elementCount(node.type.shape) }, () => scale * (2 * random() - 1)),
    );
  const weights = parameters.flatMap((node) =>
    node.op === "parameter" ? [[node.attrs.name, draw(0.3)(node)] as const] : [],
  );
  const input = graph.nodes.find((node) => node.op === "input" && node.attrs.name === "x")!;
  const inputs = new Map([
    ["x", draw(1)(input)],
    ["key", tensor({ dtype: "u32", shape: [] }, [seed])],
  ]);
  return { graph, leaves: { inputs, parameters: new Map(weights) } };
}
