import {
  elementCount,
  type GraphBuilder,
  type NodeId,
  otherAxes,
  range,
  type Shape,
} from "../../graph/index.ts";
import { any, binary, float, floatSplat, type OpNode, type Pattern, unary } from "../pattern.ts";
import { type Exactness, type Rule, rule } from "../rule.ts";
import { axesOverOne, differInUnitAxes } from "../shape-segments.ts";

type Reduction = "sum" | "reduce_max";

/** What holds of both reductions. The order in which a sum adds may change; a maximum has none. */
function rulesOf(op: Reduction, exactness: Exactness): readonly Rule[] {
  const reduce = (b: GraphBuilder, x: NodeId, axes: readonly number[]): NodeId =>
    op === "sum" ? b.sum(x, axes) : b.reduceMax(x, axes);
  const over = <X>(x: Pattern<X>) => unary(op, x);
  return [
    rule({
      name: `${op}(${op}(x)) = ${op}(x)`,
      exactness,
      match: over(unary(op, any)),
      rewrite: (b, { node, x }) => {
        const inner = x.node.attrs.axes;
        const kept = otherAxes(inner, b.shape(x.x).length);
        const axes = [...inner, ...node.attrs.axes.map((axis) => kept[axis]!)];
        return reduce(
          b,
          x.x,
          axes.sort((a, c) => a - c),
        );
      },
    }),
    rule({
      name: `${op}(x) = ${op}(squeeze(x)), where an axis of size 1 is reduced`,
      exactness: "bitwise",
      match: over(any),
      rewrite: (b, { node, x }) => {
        const shape = b.shape(x);
        const wide = node.attrs.axes.filter((axis) => shape[axis] !== 1);
        if (wide.length === node.attrs.axes.length) return null;
        const kept = range(shape.length).filter(
          (axis) => wide.includes(axis) || !node.attrs.axes.includes(axis),
        );
        const squeezed = b.reshape(
          x,
          kept.map((axis) => shape[axis]!),
        );
        return reduce(
          b,
          squeezed,
          wide.map((axis) => kept.indexOf(axis)),
        );
      },
    }),
    rule({
      name: `${op}(transpose(x)) = transpose(${op}(x))`,
      exactness,
      match: over(unary("transpose", any)),
      rewrite: (b, { node, x }) => {
        const { perm } = x.node.attrs;
        const axes = node.attrs.axes.map((axis) => perm[axis]!).sort((a, c) => a - c);
        const inner = otherAxes(axes, perm.length);
        const outer = otherAxes(node.attrs.axes, perm.length).map((axis) => perm[axis]!);
        return b.transpose(
          reduce(b, x.x, axes),
          outer.map((axis) => inner.indexOf(axis)),
        );
      },
    }),
    rule({
      name: `${op}(reshape(x)) = reshape(${op}(x)), where the reshape inserts or drops axes of size 1`,
      exactness: "bitwise",
      match: over(unary("reshape", any)),
      rewrite: (b, { node, x }) => {
        const [from, through] = [b.shape(x.x), x.node.attrs.shape];
        if (!differInUnitAxes(from, through)) return null;
        // Axes over 1 keep their order, so the n-th of one shape is the n-th of the other.
        const outer = axesOverOne(through);
        const inner = axesOverOne(from);
        const axes = inner.filter((_, index) => node.attrs.axes.includes(outer[index]!));
        return b.reshape(reduce(b, x.x, axes), node.type.shape);
      },
    }),
    rule({
      name: `${op}(reshape(x)) = ${op}(x), over all axes`,
      exactness,
      match: over(unary("reshape", any)),
      rewrite: (b, { node, x }) =>
        node.type.shape.length === 0 ? reduce(b, x.x, range(b.shape(x.x).length)) : null,
    }),
  ];
}

export const reductionRules: readonly Rule[] = [
  ...rulesOf("sum", "reassociates"),
  ...rulesOf("reduce_max", "bitwise"),
  rule({
    name: "sum(broadcast(x)) = n * sum(x)",
    exactness: "reassociates",
    match: unary("sum", unary("broadcast", any)),
    rewrite: (b, { node, x }) => {
      const rest = reduceBelowBroadcast(x.node, node);
      if (rest === null) return null;
      const inner = b.sum(x.x, rest.axes);
      return b.broadcast(b.mul(inner, b.fullLike(inner, rest.repeats)), node.type.shape, rest.keptAxes);
    },
  }),
  rule({
    name: "reduce_max(broadcast(x)) = reduce_max(x)",
    exactness: "bitwise",
    match: unary("reduce_max", unary("broadcast", any)),
    rewrite: (b, { node, x }) => {
      const rest = reduceBelowBroadcast(x.node, node);
      return rest === null ? null : b.broadcast(b.reduceMax(x.x, rest.axes), node.type.shape, rest.keptAxes);
    },
  }),
  rule({
    name: "sum(-x) = -sum(x)",
    exactness: "bitwise",
    match: unary("sum", unary("neg", float)),
    rewrite: (b, { node, x }) => b.neg(b.sum(x.x, node.attrs.axes)),
  }),
  rule({
    name: "sum(x * c) = sum(x) * c",
    exactness: "reassociates",
    match: unary("sum", binary("mul", any, floatSplat)),
    rewrite: (b, { node, x }) => {
      const inner = b.sum(x.lhs, node.attrs.axes);
      return b.mul(inner, b.fullLike(inner, x.rhs.value));
    },
  }),
  rule({
    name: "scatter_add(x, broadcast(i)) = scatter_add(sum(x), i)",
    exactness: "reassociates",
    match: binary("scatter_add", any, unary("broadcast", any)),
    rewrite: (b, { node, lhs, rhs }) => {
      const repeated = otherAxes(rhs.node.attrs.axes, rhs.node.attrs.shape.length);
      return b.scatterAdd(b.sum(lhs, repeated), rhs.x, node.attrs.rows);
    },
  }),
];

/** How a reduction of a broadcast is one of what is broadcast; null where no repeated axis is reduced. */
function reduceBelowBroadcast(
  broadcast: OpNode<"broadcast">,
  reduction: OpNode<Reduction>,
): {
  readonly axes: readonly number[];
  readonly keptAxes: readonly number[];
  readonly repeats: number;
} | null {
  const { axes: placed, shape } = broadcast.attrs;
  const { axes: reduced } = reduction.attrs;
  const repeated = reduced.filter((axis) => !placed.includes(axis));
  if (repeated.length === 0) return null;
  const left = otherAxes(reduced, shape.length);
  const sizes: Shape = repeated.map((axis) => shape[axis]!);
  return {
    axes: range(placed.length).filter((index) => reduced.includes(placed[index]!)),
    keptAxes: placed.filter((axis) => !reduced.includes(axis)).map((axis) => left.indexOf(axis)),
    repeats: elementCount(sizes),
  };
}
