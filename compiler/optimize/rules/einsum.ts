import {
  type AttrsOf,
  type GraphBuilder,
  inversePermutation,
  type NodeId,
  otherAxes,
  range,
} from "../../graph/index.ts";
import { any, binary, float, type OpNode, unary } from "../pattern.ts";
import { type Rewriter, type Rule, rule } from "../rule.ts";

type Labels = AttrsOf<"einsum">;

/** An einsum seen from one operand, so that a rule is written once for both sides. */
interface Side {
  readonly mine: readonly number[];
  readonly other: readonly number[];
  readonly out: readonly number[];
  /** Puts the operands back in their places. */
  readonly build: (
    mine: { readonly id: NodeId; readonly labels: readonly number[] },
    other: { readonly id: NodeId; readonly labels: readonly number[] },
    out: readonly number[],
  ) => NodeId;
}

function leftSide(b: GraphBuilder, { lhs, rhs, out }: Labels): Side {
  return {
    mine: lhs,
    other: rhs,
    out,
    build: (m, o, labels) => b.einsum(m.id, o.id, { lhs: m.labels, rhs: o.labels, out: labels }),
  };
}

function rightSide(b: GraphBuilder, { lhs, rhs, out }: Labels): Side {
  return {
    mine: rhs,
    other: lhs,
    out,
    build: (m, o, labels) => b.einsum(o.id, m.id, { lhs: o.labels, rhs: m.labels, out: labels }),
  };
}

export const einsumRules: readonly Rule[] = [
  rule({
    name: "einsum(transpose(x), y) = einsum(x, y)",
    // Where several axes are summed, the left operand says in which order.
    exactness: "reassociates",
    match: binary("einsum", unary("transpose", any), any),
    rewrite: (b, { node, lhs, rhs }) => dropTranspose(leftSide(b, node.attrs), lhs, rhs),
  }),
  rule({
    name: "einsum(x, transpose(y)) = einsum(x, y)",
    exactness: "bitwise",
    match: binary("einsum", any, unary("transpose", any)),
    rewrite: (b, { node, lhs, rhs }) => dropTranspose(rightSide(b, node.attrs), rhs, lhs),
  }),
  rule({
    name: "einsum(broadcast(x), y) = broadcast(einsum(x, sum(y)))",
    exactness: "reassociates",
    match: binary("einsum", unary("broadcast", any), any),
    rewrite: (b, { node, lhs, rhs }) => dropBroadcast(b, node, leftSide(b, node.attrs), lhs, rhs),
  }),
  rule({
    name: "einsum(x, broadcast(y)) = broadcast(einsum(sum(x), y))",
    exactness: "reassociates",
    match: binary("einsum", any, unary("broadcast", any)),
    rewrite: (b, { node, lhs, rhs }) => dropBroadcast(b, node, rightSide(b, node.attrs), rhs, lhs),
  }),
  rule({
    name: "einsum(-x, y) = -einsum(x, y)",
    exactness: "bitwise",
    match: binary("einsum", unary("neg", float), any),
    rewrite: (b, { node, lhs, rhs }) => b.neg(b.einsum(lhs.x, rhs, node.attrs)),
  }),
  rule({
    name: "einsum(x, -y) = -einsum(x, y)",
    exactness: "bitwise",
    match: binary("einsum", any, unary("neg", float)),
    rewrite: (b, { node, lhs, rhs }) => b.neg(b.einsum(lhs, rhs.x, node.attrs)),
  }),
  rule({
    name: "einsum(x, y) = reshape(einsum(squeeze(x), squeeze(y)))",
    exactness: "bitwise",
    match: binary("einsum", any, any),
    rewrite: (b, { node, lhs, rhs }) => {
      const { attrs } = node;
      const left = squeeze(b, lhs, attrs.lhs);
      const right = squeeze(b, rhs, attrs.rhs);
      if (left.id === lhs && right.id === rhs) return null;
      const out = attrs.out.filter((label) => left.labels.includes(label) || right.labels.includes(label));
      const inner = b.einsum(left.id, right.id, { lhs: left.labels, rhs: right.labels, out });
      return b.reshape(inner, node.type.shape);
    },
  }),
  rule({
    name: "einsum(x, y) = x * y, where nothing is summed",
    exactness: "bitwise",
    match: binary("einsum", any, any),
    rewrite: (b, { node, lhs, rhs }) => {
      const { attrs } = node;
      if (attrs.lhs.some((label) => !attrs.out.includes(label))) return null;
      const spread = (id: NodeId, labels: readonly number[]): NodeId => {
        const present = attrs.out.filter((label) => labels.includes(label));
        const ordered = b.transpose(
          id,
          present.map((label) => labels.indexOf(label)),
        );
        return b.broadcast(
          ordered,
          node.type.shape,
          present.map((label) => attrs.out.indexOf(label)),
        );
      };
      return b.mul(spread(lhs, attrs.lhs), spread(rhs, attrs.rhs));
    },
  }),
];

function dropTranspose(
  side: Side,
  mine: { readonly node: OpNode<"transpose">; readonly x: NodeId },
  other: NodeId,
): NodeId {
  const { perm } = mine.node.attrs;
  const labels = inversePermutation(perm).map((axis) => side.mine[axis]!);
  return side.build({ id: mine.x, labels }, { id: other, labels: side.other }, side.out);
}

/**
 * A repeated axis of one operand: where the other has it too and it is summed, the other is summed first; where the
 * other has it and it stays, it comes from the other alone; where the other lacks it, the result repeats.
 */
function dropBroadcast(
  b: Rewriter,
  product: OpNode<"einsum">,
  side: Side,
  mine: { readonly node: OpNode<"broadcast">; readonly x: NodeId },
  other: NodeId,
): NodeId | null {
  const { axes } = mine.node.attrs;
  const labels = axes.map((axis) => side.mine[axis]!);
  const repeated = otherAxes(axes, side.mine.length).map((axis) => side.mine[axis]!);
  if (repeated.length === 0) return null;
  const summedFirst = range(side.other.length).filter((axis) => {
    const label = side.other[axis]!;
    return repeated.includes(label) && !side.out.includes(label);
  });
  const otherLabels = side.other.filter((_, axis) => !summedFirst.includes(axis));
  const out = side.out.filter((label) => labels.includes(label) || otherLabels.includes(label));
  const inner = side.build(
    { id: mine.x, labels },
    { id: b.sum(other, summedFirst), labels: otherLabels },
    out,
  );
  return b.broadcast(
    inner,
    product.type.shape,
    out.map((label) => side.out.indexOf(label)),
  );
}

/** The operand without its axes of size 1. */
function squeeze(
  b: GraphBuilder,
  id: NodeId,
  labels: readonly number[],
): { readonly id: NodeId; readonly labels: readonly number[] } {
  const shape = b.shape(id);
  const kept = range(shape.length).filter((axis) => shape[axis] !== 1);
  return {
    id: b.reshape(
      id,
      kept.map((axis) => shape[axis]!),
    ),
    labels: kept.map((axis) => labels[axis]!),
  };
}
