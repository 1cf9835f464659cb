import { type ForwardGraph, GraphBuilder, type Tensor, tensor } from "../../compiler/graph/index.ts";

/**
 * `objective = mean((x w + b - y)^2)` over a batch, small enough that its gradient is written by hand below.
 * `unused` is a parameter that no loss depends on. With `dropout` the input x is masked by random stream 0 and the
 * output `masked` shows it.
 */
export function linearModel(batch: number, features: number, dropout = 0): ForwardGraph {
  const b = new GraphBuilder({ path: "", at: "", label: "linear", pass: "elaborate" });
  const x = b.input("x", "f32", [batch, features]);
  const y = b.input("y", "f32", [batch]);
  const weight = b.parameter("layer.weight", [features]);
  const bias = b.parameter("layer.bias", []);
  b.parameter("unused.weight", [3]);
  let fed = x;
  if (dropout > 0) {
    const uniform = b.uniform(b.randomKey(0), [batch, features]);
    fed = b.select(b.lt(uniform, b.fullLike(uniform, dropout)), b.fullLike(x, 0), x);
  }
  const product = b.einsum(fed, weight, { lhs: [0, 1], rhs: [1], out: [0] });
  const predicted = b.add(product, b.broadcast(bias, [batch], []));
  const difference = b.sub(predicted, y);
  const mean = b.mul(b.sum(b.mul(difference, difference), [0]), b.constant("f32", 1 / batch));
  b.output("loss.squares", mean);
  b.output("output.predicted", predicted);
  b.output("objective", mean);
  return {
    graph: b.build(),
    parameters: [
      { name: "layer.weight", shape: [features], init: { kind: "constant", value: 0 } },
      { name: "layer.bias", shape: [], init: { kind: "constant", value: 0 } },
      { name: "unused.weight", shape: [3], init: { kind: "constant", value: 0 } },
    ],
    randomStreams: dropout > 0 ? 1 : 0,
  };
}

export interface Batch {
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
}

export type Values = Readonly<Record<"layer.weight" | "layer.bias" | "unused.weight", readonly number[]>>;

/** The loss and its gradient by hand: d/dw = 2/n Σ (x w + b - y) x. */
export function lossAndGradient(values: Values, { x, y }: Batch): { loss: number; gradient: Values } {
  const weight = values["layer.weight"];
  const bias = values["layer.bias"][0]!;
  const n = y.length;
  const errors = x.map((row, i) => row.reduce((sum, v, j) => sum + v * weight[j]!, bias) - y[i]!);
  return {
    loss: errors.reduce((sum, e) => sum + e * e, 0) / n,
    gradient: {
      "layer.weight": weight.map((_, j) => (2 / n) * errors.reduce((sum, e, i) => sum + e * x[i]![j]!, 0)),
      "layer.bias": [(2 / n) * errors.reduce((sum, e) => sum + e, 0)],
      "unused.weight": [0, 0, 0],
    },
  };
}

export function batchTensors({ x, y }: Batch): ReadonlyMap<string, Tensor> {
  return new Map([
    ["x", tensor({ dtype: "f32", shape: [x.length, x[0]!.length] }, x.flat())],
    ["y", tensor({ dtype: "f32", shape: [y.length] }, y)],
  ]);
}

/** Numbers in [-1, 1) that look random and are the same every time. */
export function numbers(count: number, seed: number): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  });
}

export function drawBatch(size: number, features: number, seed: number): Batch {
  return {
    x: Array.from({ length: size }, (_, i) => numbers(features, seed * 1000 + i)),
    y: numbers(size, seed * 77 + 5),
  };
}
