import { elementCount, type GraphBuilder, type NodeId, range, type Shape } from "../../graph/index.ts";
import { any, binary, elementwiseOps, node, oneOf, splatOf, unary } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";
import { alignShapes, axesOverOne, differInUnitAxes } from "../shape-segments.ts";

const broadcast = unary("broadcast", any);

export const movementRules: readonly Rule[] = [
  // --- a chain of movements is one -----------------------------------------------------------------------
  rule({
    name: "reshape(reshape(x)) = reshape(x)",
    exactness: "bitwise",
    match: unary("reshape", unary("reshape", any)),
    rewrite: (b, { node, x }) => b.reshape(x.x, node.attrs.shape),
  }),
  rule({
    name: "transpose(transpose(x, p), q) = transpose(x, p[q])",
    exactness: "bitwise",
    match: unary("transpose", unary("transpose", any)),
    rewrite: (b, { node, x }) =>
      b.transpose(
        x.x,
        node.attrs.perm.map((axis) => x.node.attrs.perm[axis]!),
      ),
  }),
  rule({
    name: "broadcast(broadcast(x, a), b) = broadcast(x, b[a])",
    exactness: "bitwise",
    match: unary("broadcast", broadcast),
    rewrite: (b, { node, x }) =>
      b.broadcast(
        x.x,
        node.attrs.shape,
        x.node.attrs.axes.map((axis) => node.attrs.axes[axis]!),
      ),
  }),
  rule({
    name: "slice(slice(x)) = slice(x)",
    exactness: "bitwise",
    match: unary("slice", unary("slice", any)),
    rewrite: (b, { node, x }) => {
      const shift = (ends: readonly number[]) => ends.map((end, axis) => end + x.node.attrs.start[axis]!);
      return b.slice(x.x, shift(node.attrs.start), shift(node.attrs.end));
    },
  }),
  rule({
    name: "pad(pad(x)) = pad(x)",
    exactness: "bitwise",
    match: unary("pad", unary("pad", any)),
    rewrite: (b, { node, x }) => {
      const add = (outer: readonly number[], inner: readonly number[]) =>
        outer.map((count, axis) => count + inner[axis]!);
      const { before, after } = x.node.attrs;
      return b.pad(x.x, add(node.attrs.before, before), add(node.attrs.after, after));
    },
  }),
  rule({
    name: "transpose(x) = reshape(x), where only axes of size 1 move",
    exactness: "bitwise",
    match: unary("transpose", any),
    rewrite: (b, { node, x }) => {
      const shape = b.shape(x);
      const moved = node.attrs.perm.filter((axis) => shape[axis] !== 1);
      const inOrder = moved.every((axis, index) => index === 0 || axis > moved[index - 1]!);
      return inOrder ? b.reshape(x, node.type.shape) : null;
    },
  }),

  // --- broadcasts go outwards, so that what is below them works on the small shape --------------------------
  rule({
    name: "broadcast(x) = broadcast(squeeze(x))",
    exactness: "bitwise",
    match: broadcast,
    rewrite: (b, { node, x }) => {
      const shape = b.shape(x);
      const kept = axesOverOne(shape);
      if (kept.length === shape.length) return null;
      const squeezed = b.reshape(
        x,
        kept.map((axis) => shape[axis]!),
      );
      return b.broadcast(
        squeezed,
        node.attrs.shape,
        kept.map((axis) => node.attrs.axes[axis]!),
      );
    },
  }),
  rule({
    name: "broadcast(x) = reshape(x), where only axes of size 1 are new",
    exactness: "bitwise",
    match: broadcast,
    rewrite: (b, { node, x }) =>
      elementCount(b.shape(x)) === elementCount(node.attrs.shape) ? b.reshape(x, node.attrs.shape) : null,
  }),
  rule({
    name: "transpose(broadcast(x)) = broadcast(transpose(x))",
    exactness: "bitwise",
    match: unary("transpose", broadcast),
    rewrite: (b, { node, x }) => {
      const { axes } = x.node.attrs;
      const { perm } = node.attrs;
      const kept = range(perm.length).filter((axis) => axes.includes(perm[axis]!));
      const inner = b.transpose(
        x.x,
        kept.map((axis) => axes.indexOf(perm[axis]!)),
      );
      return b.broadcast(inner, node.type.shape, kept);
    },
  }),
  rule({
    name: "reshape(broadcast(x)) = broadcast(reshape(x)), where no run of axes mixes kept and repeated",
    exactness: "bitwise",
    match: unary("reshape", broadcast),
    rewrite: (b, { node, x }) => {
      const from = x.node.attrs.shape;
      const to = node.attrs.shape;
      const keptAxes: number[] = [];
      for (const segment of alignShapes(from, to)) {
        const axes = range(from.length).slice(...segment.from);
        const isKept = (axis: number) => x.node.attrs.axes.includes(axis);
        const wide = axes.filter((axis) => from[axis] !== 1);
        if (!wide.some(isKept)) continue;
        if (!wide.every(isKept)) return null;
        keptAxes.push(...range(to.length).slice(...segment.to));
      }
      const inner = b.reshape(
        x.x,
        keptAxes.map((axis) => to[axis]!),
      );
      return b.broadcast(inner, to, keptAxes);
    },
  }),
  rule({
    name: "slice(broadcast(x)) = broadcast(slice(x))",
    exactness: "bitwise",
    match: unary("slice", broadcast),
    rewrite: (b, { node, x }) => {
      const { axes } = x.node.attrs;
      const inner = b.slice(
        x.x,
        axes.map((axis) => node.attrs.start[axis]!),
        axes.map((axis) => node.attrs.end[axis]!),
      );
      return b.broadcast(inner, node.type.shape, axes);
    },
  }),
  rule({
    name: "take(table, broadcast(i)) = broadcast(take(table, i))",
    exactness: "bitwise",
    match: binary("take", any, broadcast),
    rewrite: (b, { node, lhs, rhs }) => {
      const rank = rhs.node.attrs.shape.length;
      const rest = range(node.type.shape.length - rank).map((axis) => axis + rank);
      return b.broadcast(b.take(lhs, rhs.x), node.type.shape, [...rhs.node.attrs.axes, ...rest]);
    },
  }),
  rule({
    name: "iota(shape) = broadcast(iota([n]))",
    exactness: "bitwise",
    match: node("iota"),
    rewrite: (b, { attrs: { shape, axis } }) =>
      shape.length === 1 ? null : b.broadcast(b.iota([shape[axis]!], 0), shape, [axis]),
  }),
  rule({
    name: "f(broadcast(x), broadcast(y)) = broadcast(f(x, y))",
    exactness: "bitwise",
    match: oneOf(elementwiseOps),
    rewrite: (b, found) => {
      const { shape } = found.type;
      const operands = found.inputs.map((id) => b.node(id));
      const broadcasts = operands.filter((operand) => operand.op === "broadcast");
      if (broadcasts.length < operands.length || broadcasts.length === 0) return null;
      const kept = range(shape.length).filter((axis) =>
        broadcasts.some(({ attrs }) => attrs.axes.includes(axis)),
      );
      if (kept.length === shape.length) return null;
      const innerShape = kept.map((axis) => shape[axis]!);
      const inner = broadcasts.map(({ inputs, attrs }) =>
        b.broadcast(
          inputs[0]!,
          innerShape,
          attrs.axes.map((axis) => kept.indexOf(axis)),
        ),
      );
      return b.broadcast(b.make(found.op, inner, found.attrs), shape, kept);
    },
  }),
  rule({
    name: "f(reshape(x), reshape(y)) = reshape(f(x, y)), where the reshapes insert or drop axes of size 1",
    exactness: "bitwise",
    match: oneOf(elementwiseOps),
    rewrite: (b, found) => {
      const innerShape = renamedShape(b, found.inputs);
      if (innerShape === null) return null;
      const inner = found.inputs.map((id) => {
        const operand = b.node(id);
        return operand.op === "reshape" ? operand.inputs[0]! : splatWithShape(b, id, innerShape);
      });
      return b.reshape(b.make(found.op, inner, found.attrs), found.type.shape);
    },
  }),
];

/** The shape below reshapes that only rename axes, common to all operands but splats; null where there is none. */
function renamedShape(b: GraphBuilder, ids: readonly NodeId[]): Shape | null {
  let shape: Shape | null = null;
  for (const id of ids) {
    const operand = b.node(id);
    if (operand.op === "reshape") {
      const inner = b.shape(operand.inputs[0]!);
      if (!differInUnitAxes(inner, operand.type.shape)) return null;
      if (
        shape !== null &&
        (shape.length !== inner.length || shape.some((size, axis) => size !== inner[axis]))
      )
        return null;
      shape = inner;
    } else if (splatOf(b, id) === null) return null;
  }
  return shape;
}

function splatWithShape(b: GraphBuilder, id: NodeId, shape: Shape): NodeId {
  const found = splatOf(b, id)!;
  return b.full(found.dtype, found.value, shape);
}
