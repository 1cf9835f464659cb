import {
  evaluate,
  evaluateNode,
  type Graph,
  type Leaves,
  type OpName,
  type Tensor,
} from "../../compiler/graph/index.ts";
import { randomNumbers } from "../ops/draw.ts";

/** WGSL, "Floating Point Accuracy": sin and cos err by 2^-11 absolutely; exp, pow, tanh by a few ULP more than the rest. */
function errorOf(op: OpName): { readonly relative: number; readonly absolute: number } {
  switch (op) {
    case "sin":
    case "cos":
      return { relative: 0, absolute: 2 ** -11 };
    case "exp":
    case "log":
    case "pow":
    case "tanh":
    case "erf":
      return { relative: 2 ** -18, absolute: 2 ** -21 };
    default:
      return { relative: 2 ** -22, absolute: 0 };
  }
}

/**
 * By how much f32 arithmetic may move each output: the greatest change over a few evaluations in which every node's value is
 * disturbed by as much as its op may err, times eight (few draws, longer sums), and a few ULP of the output itself.
 * So cancellation, which makes small errors large, is allowed for where it happens and nowhere else.
 */
export function roundingBounds(graph: Graph, leaves: Leaves): ReadonlyMap<string, number> {
  const exact = evaluate(graph, leaves).outputs;
  const bounds = new Map<string, number>();
  for (const [name, value] of exact) bounds.set(name, 1e-6 * Math.max(1e-3, greatest(value)));
  for (let draw = 1; draw <= 4; draw++) {
    const disturbed = evaluateDisturbed(graph, leaves, randomNumbers(draw));
    for (const { name, node } of graph.outputs) {
      const change = greatestDifference(disturbed[node]!, exact.get(name)!);
      bounds.set(name, Math.max(bounds.get(name)!, 8 * change));
    }
  }
  return bounds;
}

function evaluateDisturbed(graph: Graph, leaves: Leaves, random: () => number): readonly Tensor[] {
  const values: Tensor[] = [];
  for (const node of graph.nodes) {
    const value = evaluateNode(
      node,
      node.inputs.map((id) => values[id]!),
      leaves,
    );
    if (value.data instanceof Float64Array) {
      const { relative, absolute } = errorOf(node.op);
      const data = value.data.map((x) => x + (2 * random() - 1) * (Math.abs(x) * relative + absolute));
      values.push({ ...value, data });
    } else values.push(value);
  }
  return values;
}

/** The largest magnitude among the elements. */
export function greatest(value: Tensor): number {
  let most = 0;
  for (const x of value.data) most = Math.max(most, Math.abs(x));
  return most;
}

export function greatestDifference(a: Tensor, b: Tensor): number {
  let most = 0;
  for (let i = 0; i < b.data.length; i++) {
    const difference = Math.abs(a.data[i]! - b.data[i]!);
    if (!(difference <= most)) most = difference;
  }
  return most;
}
