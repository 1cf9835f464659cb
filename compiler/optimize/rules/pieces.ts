import { type GraphBuilder, type NodeId, sameShape } from "../../graph/index.ts";
import { any, binary, node, type OpNode, splatOf, unary } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

/** Slices, pads and concatenations of each other. */
export const pieceRules: readonly Rule[] = [
  rule({
    name: "slice(pad(x)) = slice(x), where the slice is inside x",
    exactness: "bitwise",
    match: unary("slice", unary("pad", any)),
    rewrite: (b, { node, x }) => {
      const size = b.shape(x.x);
      const start = node.attrs.start.map((first, axis) => first - x.node.attrs.before[axis]!);
      const end = node.attrs.end.map((last, axis) => last - x.node.attrs.before[axis]!);
      const isInside = start.every((first, axis) => first >= 0 && end[axis]! <= size[axis]!);
      return isInside ? b.slice(x.x, start, end) : null;
    },
  }),
  rule({
    name: "slice(concat(.., x, ..)) = slice(x), where the slice is inside x",
    exactness: "bitwise",
    match: unary("slice", node("concat")),
    rewrite: (b, { node, x: joined }) => {
      const { axis } = joined.attrs;
      const { start, end } = node.attrs;
      let before = 0;
      for (const part of joined.inputs) {
        const size = b.shape(part)[axis]!;
        const [first, last] = [start[axis]! - before, end[axis]! - before];
        if (first >= 0 && last <= size) return b.slice(part, start.with(axis, first), end.with(axis, last));
        before += size;
      }
      return null;
    },
  }),
  rule({
    name: "concat(concat(x, y), z) = concat(x, y, z)",
    exactness: "bitwise",
    match: node("concat"),
    rewrite: (b, joined) => {
      const { axis } = joined.attrs;
      const parts = joined.inputs.flatMap((id) => {
        const part = b.node(id);
        return part.op === "concat" && part.attrs.axis === axis ? part.inputs : [id];
      });
      return parts.length === joined.inputs.length ? null : b.concat(parts, axis);
    },
  }),
  rule({
    name: "pad(0) = 0",
    exactness: "bitwise",
    match: unary("pad", any),
    rewrite: (b, { node, x }) => {
      const found = splatOf(b, x);
      return found?.value === 0 ? b.full(found.dtype, 0, node.type.shape) : null;
    },
  }),
  rule({
    name: "pad(x) + pad(y) = concat(x, y), where x and y fill one axis",
    exactness: "bitwise",
    match: binary("add", unary("pad", any), unary("pad", any)),
    rewrite: (b, { lhs, rhs }) => {
      const axis = seam(b, lhs, rhs);
      if (axis !== null) return b.concat([lhs.x, rhs.x], axis);
      const swapped = seam(b, rhs, lhs);
      return swapped === null ? null : b.concat([rhs.x, lhs.x], swapped);
    },
  }),
  rule({
    name: "concat(x[a:b], x[b:c]) = x[a:c]",
    exactness: "bitwise",
    match: node("concat"),
    rewrite: (b, joined) => {
      const { axis } = joined.attrs;
      const slices: OpNode<"slice">[] = [];
      for (const id of joined.inputs) {
        const part = b.node(id);
        if (part.op !== "slice") return null;
        slices.push(part);
      }
      const [first, last] = [slices[0]!, slices.at(-1)!];
      const isNext = (part: OpNode<"slice">, index: number): boolean => {
        const before = slices[index - 1];
        if (before === undefined) return true;
        return (
          part.inputs[0] === before.inputs[0] &&
          sameShape(part.attrs.start, before.attrs.start.with(axis, before.attrs.end[axis]!)) &&
          sameShape(part.attrs.end.with(axis, 0), before.attrs.end.with(axis, 0))
        );
      };
      return slices.every(isNext) ? b.slice(first.inputs[0]!, first.attrs.start, last.attrs.end) : null;
    },
  }),
];

interface Padded {
  readonly node: OpNode<"pad">;
  readonly x: NodeId;
}

/** The axis along which `first` and then `second` lie side by side and leave nothing out; null where there is none. */
function seam(b: GraphBuilder, first: Padded, second: Padded): number | null {
  const padding = ({ node: { attrs } }: Padded, axis: number) => attrs.before[axis]! + attrs.after[axis]!;
  const axes = b
    .shape(first.x)
    .flatMap((_, axis) => (padding(first, axis) + padding(second, axis) > 0 ? [axis] : []));
  const axis = axes[0];
  if (axes.length !== 1 || axis === undefined) return null;
  const fits =
    first.node.attrs.before[axis] === 0 &&
    first.node.attrs.after[axis] === b.shape(second.x)[axis] &&
    second.node.attrs.after[axis] === 0 &&
    second.node.attrs.before[axis] === b.shape(first.x)[axis];
  return fits ? axis : null;
}
