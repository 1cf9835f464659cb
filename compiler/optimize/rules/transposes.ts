import { type GraphBuilder, inversePermutation, type NodeId, sameShape } from "../../graph/index.ts";
import { any, binary, elementwiseOps, node, oneOf, unary } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

/** Transposes go outwards, to where a product or a reduction takes them in. */
export const transposeRules: readonly Rule[] = [
  rule({
    name: "f(transpose(x, p), transpose(y, p)) = transpose(f(x, y), p)",
    exactness: "bitwise",
    match: oneOf(elementwiseOps),
    rewrite: (b, found) => {
      const perm = commonPermutation(b, found.inputs);
      if (perm === null) return null;
      const inner = found.inputs.map((id) => withoutPermutation(b, id, perm));
      const ids = inner.filter((id) => id !== null);
      return ids.length < inner.length ? null : b.transpose(b.make(found.op, ids, found.attrs), perm);
    },
  }),
  rule({
    name: "concat(transpose(x, p), transpose(y, p)) = transpose(concat(x, y), p)",
    exactness: "bitwise",
    match: node("concat"),
    rewrite: (b, { inputs, attrs }) => {
      const perm = commonPermutation(b, inputs);
      const parts = inputs.flatMap((id) => {
        const part = b.node(id);
        return part.op === "transpose" ? [part.inputs[0]!] : [];
      });
      return perm === null || parts.length < inputs.length
        ? null
        : b.transpose(b.concat(parts, perm[attrs.axis]!), perm);
    },
  }),
  rule({
    name: "slice(transpose(x)) = transpose(slice(x))",
    exactness: "bitwise",
    match: unary("slice", unary("transpose", any)),
    rewrite: (b, { node, x }) => {
      const { perm } = x.node.attrs;
      const back = inversePermutation(perm);
      const before = (ends: readonly number[]) => back.map((axis) => ends[axis]!);
      return b.transpose(b.slice(x.x, before(node.attrs.start), before(node.attrs.end)), perm);
    },
  }),
  rule({
    name: "pad(transpose(x)) = transpose(pad(x))",
    exactness: "bitwise",
    match: unary("pad", unary("transpose", any)),
    rewrite: (b, { node, x }) => {
      const { perm } = x.node.attrs;
      const back = inversePermutation(perm);
      const before = (counts: readonly number[]) => back.map((axis) => counts[axis]!);
      return b.transpose(b.pad(x.x, before(node.attrs.before), before(node.attrs.after)), perm);
    },
  }),
];

/**
 * Rules that would compute something twice if what they move had other readers: they ask how many there are, and so
 * run on a graph without dead nodes.
 */
export const singleUseRules: readonly Rule[] = [
  rule({
    name: "transpose(einsum(x, y)) = einsum(x, y)",
    exactness: "bitwise",
    match: unary("transpose", binary("einsum", any, any)),
    rewrite: (b, { node, x: product }) => {
      if (b.uses(product.node.id) > 1) return null;
      const { lhs, rhs, out } = product.node.attrs;
      return b.einsum(product.lhs, product.rhs, {
        lhs,
        rhs,
        out: node.attrs.perm.map((axis) => out[axis]!),
      });
    },
  }),
];

/** The permutation of all operands that are transposes; null where there is none or they differ. */
function commonPermutation(b: GraphBuilder, ids: readonly NodeId[]): readonly number[] | null {
  let perm: readonly number[] | null = null;
  for (const id of ids) {
    const operand = b.node(id);
    if (operand.op !== "transpose") continue;
    if (perm !== null && !sameShape(perm, operand.attrs.perm)) return null;
    perm = operand.attrs.perm;
  }
  return perm;
}

/** What gives the operand when transposed by `perm`, without making a transpose for it; null where that cannot be. */
function withoutPermutation(b: GraphBuilder, id: NodeId, perm: readonly number[]): NodeId | null {
  const operand = b.node(id);
  if (operand.op === "transpose") return operand.inputs[0]!;
  if (operand.op !== "broadcast") return null;
  const axes = operand.attrs.axes.map((axis) => perm[axis]!);
  const inOrder = axes.every((axis, index) => index === 0 || axis > axes[index - 1]!);
  if (!inOrder) return null;
  const shape = inversePermutation(perm).map((axis) => operand.attrs.shape[axis]!);
  return b.broadcast(operand.inputs[0]!, shape, axes);
}
