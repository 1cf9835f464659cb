import {
  type ForwardGraph,
  GraphBuilder,
  type NodeId,
  range,
  type Shape,
} from "../../compiler/graph/index.ts";

export interface TransformerSize {
  readonly layers: number;
  readonly batch: number;
  readonly length: number;
  readonly hidden: number;
  readonly heads: number;
  readonly ffn: number;
  readonly vocabulary: number;
  readonly dropout: number;
}

/**
 * An encoder with a tied language-model head, built as the language's library spells it: layer norm, attention with
 * split heads, GELU and dropout out of primitives, nothing simplified. Its size and shape are what the optimizer meets.
 */
export function transformer(size: TransformerSize): ForwardGraph {
  const { layers, batch: B, length: T, hidden: H, heads, ffn, vocabulary: V, dropout } = size;
  const D = H / heads;
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "elaborate" });
  const parameters: { name: string; shape: Shape; init: { kind: "constant"; value: number } }[] = [];
  let streams = 0;

  const param = (name: string, shape: Shape): NodeId => {
    parameters.push({ name, shape, init: { kind: "constant", value: 0 } });
    return b.withOrigin({ label: name }, () => b.parameter(name, shape));
  };
  const withTogether = (op: "add" | "sub" | "mul" | "div" | "lt", x: NodeId, y: NodeId): NodeId => {
    const [one, two] = b.broadcastTogether(x, y);
    return b.make(op, [one, two], {});
  };
  const float = (value: number): NodeId => b.constant("f32", value);
  const keepDims = (x: NodeId, op: "sum" | "max"): NodeId => {
    const shape = b.shape(x);
    const axis = shape.length - 1;
    const reduced = op === "sum" ? b.sum(x, [axis]) : b.reduceMax(x, [axis]);
    return b.reshape(reduced, [...shape.slice(0, -1), 1]);
  };
  const mean = (x: NodeId): NodeId => withTogether("div", keepDims(x, "sum"), float(b.shape(x).at(-1)!));
  const drop = (x: NodeId): NodeId => {
    if (dropout === 0) return x;
    const kept = withTogether("lt", b.uniform(b.randomKey(streams++), b.shape(x)), float(1 - dropout));
    return b.select(kept, withTogether("mul", x, float(1 / (1 - dropout))), b.fullLike(x, 0));
  };
  const linear = (name: string, x: NodeId, from: number, to: number): NodeId => {
    const shape = b.shape(x);
    const labels = range(shape.length);
    const product = b.einsum(x, param(`${name}.weight`, [from, to]), {
      lhs: labels,
      rhs: [shape.length - 1, shape.length],
      out: [...labels.slice(0, -1), shape.length],
    });
    return withTogether("add", product, param(`${name}.bias`, [to]));
  };
  const layerNorm = (name: string, x: NodeId): NodeId => {
    const centered = withTogether("sub", x, mean(x));
    const variance = mean(b.mul(centered, centered));
    const scaled = withTogether("mul", centered, b.rsqrt(withTogether("add", variance, float(1e-12))));
    return withTogether(
      "add",
      withTogether("mul", scaled, param(`${name}.gamma`, [H])),
      param(`${name}.beta`, [H]),
    );
  };
  const gelu = (x: NodeId): NodeId =>
    b.mul(
      withTogether("mul", float(0.5), x),
      withTogether("add", float(1), b.erf(withTogether("div", x, float(Math.SQRT2)))),
    );
  const softmax = (x: NodeId): NodeId => {
    const exps = b.exp(withTogether("sub", x, b.stopGradient(keepDims(x, "max"))));
    return withTogether("div", exps, keepDims(exps, "sum"));
  };
  const split = (x: NodeId): NodeId => b.transpose(b.reshape(x, [B, T, heads, D]), [0, 2, 1, 3]);

  const tokens = b.input("tokens", "i32", [B, T]);
  const valid = b.input("valid", "i32", [B]);
  const labels = b.input("labels", "i32", [B, T]);
  const table = param("embedding.weight", [V, H]);
  const positions = b.slice(param("positions.weight", [2 * T, H]), [0, 0], [T, H]);
  let x = drop(layerNorm("embedding.norm", withTogether("add", b.take(table, tokens), positions)));
  for (let layer = 0; layer < layers; layer++) {
    const path = `encoder.blocks.${layer}`;
    x = b.withOrigin({ path }, () => {
      const q = split(linear(`${path}.query`, x, H, H));
      const k = split(linear(`${path}.key`, x, H, H));
      const v = split(linear(`${path}.value`, x, H, H));
      const products = b.einsum(q, k, { lhs: [0, 1, 2, 4], rhs: [0, 1, 3, 4], out: [0, 1, 2, 3] });
      const scores = withTogether("div", products, float(Math.sqrt(D)));
      const visible = withTogether("lt", b.iota([T], 0), b.reshape(valid, [B, 1, 1, 1]));
      const masked = b.select(b.broadcastTo(visible, b.shape(scores)), scores, b.fullLike(scores, -1e6));
      const mixed = b.einsum(drop(softmax(masked)), v, {
        lhs: [0, 1, 2, 3],
        rhs: [0, 1, 3, 4],
        out: [0, 1, 2, 4],
      });
      const merged = b.reshape(b.transpose(mixed, [0, 2, 1, 3]), [B, T, H]);
      const attended = layerNorm(`${path}.norm1`, b.add(x, drop(linear(`${path}.output`, merged, H, H))));
      const inner = gelu(linear(`${path}.inner`, attended, H, ffn));
      return layerNorm(`${path}.norm2`, b.add(attended, drop(linear(`${path}.outer`, inner, ffn, H))));
    });
  }
  const logits = withTogether(
    "add",
    b.einsum(x, b.transpose(table, [1, 0]), { lhs: [0, 1, 2], rhs: [2, 3], out: [0, 1, 3] }),
    param("decoder.bias", [V]),
  );
  const shifted = withTogether("sub", logits, b.stopGradient(keepDims(logits, "max")));
  const normalizer = b.log(keepDims(b.exp(shifted), "sum"));
  const isLabel = b.eq(
    b.broadcastTo(b.iota([V], 0), [B, T, V]),
    b.broadcastTo(b.reshape(labels, [B, T, 1]), [B, T, V]),
  );
  const atLabel = b.sum(b.select(isLabel, shifted, b.fullLike(shifted, 0)), [2]);
  const losses = b.sub(b.reshape(normalizer, [B, T]), atLabel);
  const loss = withTogether("div", b.sum(losses, [0, 1]), float(B * T));
  b.output("loss.mlm", loss);
  b.output("output.encoded", x);
  b.output("objective", loss);
  return { graph: b.build(), parameters, randomStreams: streams };
}
