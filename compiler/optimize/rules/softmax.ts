import { type GraphBuilder, type NodeId, otherAxes, sameShape } from "../../graph/index.ts";
import { any, binary, type OpNode, unary } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

/**
 * Normalizers of softmax, however they are written. Each side has the same derivative too, whether or not the shift `m` stands
 * under a `stop_gradient`: a shift changes neither value. So they run before gradients are taken, and the backward pass is
 * written with the softmax itself.
 */
export const softmaxRules: readonly Rule[] = [
  rule({
    name: "log(sum(exp(x))) = logsumexp(x)",
    exactness: "reassociates",
    match: unary("log", any),
    rewrite: (b, { node, x }) => {
      const sum = sumOfExp(b, x);
      return sum === null ? null : b.reshape(b.logSumExp(sum.x, sum.axes), node.type.shape);
    },
  }),
  rule({
    name: "logsumexp(x - m) + m = logsumexp(x), where m is the same along the axes",
    exactness: "reassociates",
    match: binary("add", any, any),
    rewrite: (b, { lhs, rhs }) => dropShift(b, lhs, rhs) ?? dropShift(b, rhs, lhs),
  }),
  rule({
    name: "exp(x) / sum(exp(x)) = exp(x - logsumexp(x))",
    exactness: "reassociates",
    match: binary("div", unary("exp", any), unary("broadcast", any)),
    rewrite: (b, { node, lhs, rhs }) => {
      const sum = sumOfExp(b, rhs.x);
      const shape = node.type.shape;
      if (sum === null || sum.x !== lhs.x || !isAlong(rhs.node, sum.axes)) return null;
      const x = withoutShift(b, lhs.x, sum.axes)?.x ?? lhs.x;
      return b.exp(b.sub(x, b.broadcastOver(b.logSumExp(x, sum.axes), shape, sum.axes)));
    },
  }),
  rule({
    name: "(x - m) - logsumexp(x - m) = x - logsumexp(x), where m is the same along the axes",
    exactness: "reassociates",
    match: binary("sub", binary("sub", any, any), unary("broadcast", any)),
    rewrite: (b, { node, lhs, rhs }) => {
      const normalizer = stripReshapes(b, rhs.x);
      if (normalizer.op !== "logsumexp" || normalizer.inputs[0] !== lhs.node.id) return null;
      const { axes } = normalizer.attrs;
      const shifted = withoutShift(b, lhs.node.id, axes);
      if (shifted === null || !isAlong(rhs.node, axes)) return null;
      return b.sub(shifted.x, b.broadcastOver(b.logSumExp(shifted.x, axes), node.type.shape, axes));
    },
  }),
];

/** `id` as sum(exp(x)) over axes, reshapes aside. */
function sumOfExp(
  b: GraphBuilder,
  id: NodeId,
): { readonly x: NodeId; readonly axes: readonly number[] } | null {
  const sum = stripReshapes(b, id);
  if (sum.op !== "sum") return null;
  const exp = b.node(sum.inputs[0]!);
  return exp.op === "exp" ? { x: exp.inputs[0]!, axes: sum.attrs.axes } : null;
}

/** `id` as x - m, where m does not change along `axes`. */
function withoutShift(
  b: GraphBuilder,
  id: NodeId,
  axes: readonly number[],
): { readonly x: NodeId; readonly shift: NodeId } | null {
  const node = b.node(id);
  if (node.op !== "sub") return null;
  const shift = b.node(node.inputs[1]!);
  if (shift.op !== "broadcast" || !isAlong(shift, axes)) return null;
  return { x: node.inputs[0]!, shift: shift.inputs[0]! };
}

function dropShift(b: GraphBuilder, normalizer: NodeId, shift: NodeId): NodeId | null {
  const found = stripReshapes(b, normalizer);
  if (found.op !== "logsumexp") return null;
  const { axes } = found.attrs;
  const shifted = withoutShift(b, found.inputs[0]!, axes);
  if (shifted === null || stripReshapes(b, shifted.shift).id !== stripReshapes(b, shift).id) return null;
  return b.reshape(b.logSumExp(shifted.x, axes), b.shape(normalizer));
}

/** Whether a broadcast repeats a value of each row along exactly `axes`, axes of size 1 aside. */
function isAlong(spread: OpNode<"broadcast">, axes: readonly number[]): boolean {
  const { shape } = spread.type;
  const wide = (list: readonly number[]): readonly number[] => list.filter((axis) => shape[axis] !== 1);
  return sameShape(wide(spread.attrs.axes), wide(otherAxes(axes, shape.length)));
}

function stripReshapes(b: GraphBuilder, id: NodeId) {
  let node = b.node(id);
  while (node.op === "reshape" || node.op === "stop_gradient") node = b.node(node.inputs[0]!);
  return node;
}
