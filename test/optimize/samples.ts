import type { NodeId, Shape } from "../../compiler/graph/index.ts";
import type { Draw } from "./draw.ts";

/** For every rule, by name, graphs that its left side matches (but for degenerate draws). */
export const samples: Readonly<Record<string, (d: Draw) => NodeId>> = {
  "f(constants) = constant": (d) => {
    const [x, y] = [d.full(d.constant(), []), d.full(d.constant(), [])];
    switch (d.integer(0, 6)) {
      case 0:
        return d.b.exp(x);
      case 1:
        return d.b.div(x, y);
      case 2:
        return d.b.log(x);
      case 3:
        return d.b.lt(x, y);
      case 4:
        return d.b.select(d.b.lt(x, y), x, y);
      case 5:
        return d.b.cast(x, "i32");
      default:
        return d.b.hash(d.b.constant("u32", 7));
    }
  },

  // --- algebra ----------------------------------------------------------------------------------------------
  "c op x = x op c": (d) => {
    const shape = d.shape(2);
    return d.b.make(
      d.oneOf("add", "mul", "max", "min", "eq"),
      [d.full(d.constant(), shape), d.float(shape)],
      {},
    );
  },
  "stop_gradient(x) = x": (d) => d.b.stopGradient(d.float(d.shape(2))),
  "x + 0 = x": (d) => withConstant(d, "add", 0),
  "x - 0 = x": (d) => withConstant(d, "sub", 0),
  "0 - x = -x": (d) => {
    const x = d.float(d.shape(2));
    return d.b.sub(d.b.fullLike(x, 0), x);
  },
  "x * 1 = x": (d) => withConstant(d, "mul", 1),
  "x * -1 = -x": (d) => withConstant(d, "mul", -1),
  "x / 1 = x": (d) => withConstant(d, "div", 1),
  "x ^ 1 = x": (d) => withConstant(d, "pow", 1),
  "x ^ 2 = x * x": (d) => withConstant(d, "pow", 2),
  "--x = x": (d) => d.b.neg(d.b.neg(d.float(d.shape(2)))),
  "x + -y = x - y": (d) => pair(d, (x, y) => d.b.add(x, d.b.neg(y))),
  "-x + y = y - x": (d) => pair(d, (x, y) => d.b.add(d.b.neg(x), y)),
  "x - -y = x + y": (d) => pair(d, (x, y) => d.b.sub(x, d.b.neg(y))),
  "-(x - y) = y - x": (d) => pair(d, (x, y) => d.b.neg(d.b.sub(x, y))),
  "-(x * c) = x * -c": (d) => d.b.neg(withConstant(d, "mul")),
  "-x * c = x * -c": (d) => {
    const x = d.float(d.shape(2));
    return d.b.mul(d.b.neg(x), d.b.fullLike(x, d.constant()));
  },
  "-x * y = -(x * y)": (d) => pair(d, (x, y) => d.b.mul(d.b.neg(x), y)),
  "x * -y = -(x * y)": (d) => pair(d, (x, y) => d.b.mul(x, d.b.neg(y))),
  "-x / y = -(x / y)": (d) => pair(d, (x, y) => d.b.div(d.b.neg(x), y)),
  "x / -y = -(x / y)": (d) => pair(d, (x, y) => d.b.div(x, d.b.neg(y))),
  "|-x| = |x|": (d) => d.b.abs(d.b.neg(d.float(d.shape(2)))),
  "x - c = x + -c": (d) => withConstant(d, "sub"),
  "(x + c) + d = x + (c + d)": (d) => again(d, "add", withConstant(d, "add")),
  "x / 2^n = x * 2^-n": (d) => withConstant(d, "div", d.oneOf(2, 8, -0.25, 3)),
  "(x * c) * d = x * (c * d)": (d) => again(d, "mul", withConstant(d, "mul")),
  "(x * c) / d = x * (c / d)": (d) => again(d, "div", withConstant(d, "mul")),
  "(x / c) * d = x * (d / c)": (d) => again(d, "mul", withConstant(d, "div")),
  "(x / c) / d = x / (c * d)": (d) => again(d, "div", withConstant(d, "div")),
  "1 / sqrt(x) = rsqrt(x)": (d) => {
    const x = d.float(d.shape(2));
    return d.b.div(d.b.fullLike(x, 1), d.b.sqrt(d.b.add(d.b.abs(x), d.b.fullLike(x, 0.1))));
  },
  "x op x = x, op of max, min, and, or": (d) => {
    const isBool = d.integer(0, 1) === 1;
    const x = d.input(isBool ? "bool" : "f32", d.shape(2));
    return d.b.make(isBool ? d.oneOf("and", "or") : d.oneOf("max", "min"), [x, x], {});
  },
  "not not x = x": (d) => d.b.not(d.b.not(d.input("bool", d.shape(2)))),
  "x and c = c ? x : false": (d) => {
    const x = d.input("bool", d.shape(2));
    return d.b.and(x, d.b.fullLike(x, d.integer(0, 1)));
  },
  "x or c = c ? true : x": (d) => {
    const x = d.input("bool", d.shape(2));
    return d.b.or(x, d.b.fullLike(x, d.integer(0, 1)));
  },
  "select(c, x, y) = x or y, c constant": (d) =>
    pair(d, (x, y) => d.b.select(d.b.full("bool", d.integer(0, 1), d.b.shape(x)), x, y)),
  "select(c, x, x) = x": (d) => {
    const shape = d.shape(2);
    const x = d.float(shape);
    return d.b.select(d.input("bool", shape), x, x);
  },
  "select(not c, x, y) = select(c, y, x)": (d) =>
    pair(d, (x, y) => d.b.select(d.b.not(d.input("bool", d.b.shape(x))), x, y)),
  "cast(cast(x)) = cast(x), where the first cast keeps every value": (d) => {
    const from = d.oneOf("bool", "i32", "u32");
    const through = d.oneOf("f32", "i32", "u32", "bool");
    return d.b.cast(d.b.cast(d.input(from, d.shape(2)), through), d.oneOf("f32", "i32", "u32"));
  },

  // --- movement -----------------------------------------------------------------------------------------------
  "reshape(reshape(x)) = reshape(x)": (d) => d.b.reshape(d.b.reshape(d.float([2, 3, 2]), [6, 2]), [4, 3]),
  "transpose(transpose(x, p), q) = transpose(x, p[q])": (d) =>
    d.b.transpose(d.b.transpose(d.float(d.shape(4)), d.permutation(4)), d.permutation(4)),
  "broadcast(broadcast(x, a), b) = broadcast(x, b[a])": (d) => {
    const shape = d.shape(4);
    const axes = d.axes(4);
    const inner = d.spread(axes.map((axis) => shape[axis]!));
    return d.b.broadcast(inner, shape, axes);
  },
  "slice(slice(x)) = slice(x)": (d) => slice(d, slice(d, d.float(d.shape(2)))),
  "pad(pad(x)) = pad(x)": (d) => pad(d, pad(d, d.float(d.shape(2)))),
  "transpose(x) = reshape(x), where only axes of size 1 move": (d) =>
    d.b.transpose(d.float([1, 3, d.size()]), d.permutation(3)),
  "broadcast(x) = broadcast(squeeze(x))": (d) => d.b.broadcast(d.float([1, 3]), [1, d.size(), 3], [0, 2]),
  "broadcast(x) = reshape(x), where only axes of size 1 are new": (d) =>
    d.b.broadcast(d.float([2, 3]), [2, d.size(), 3], [0, 2]),
  "transpose(broadcast(x)) = broadcast(transpose(x))": (d) =>
    d.b.transpose(d.spread(d.shape(4)), d.permutation(4)),
  "reshape(broadcast(x)) = broadcast(reshape(x)), where no run of axes mixes kept and repeated": (d) =>
    d.b.reshape(
      d.spread([2, 1, 3, 4]),
      d.oneOf<Shape>([6, 4], [2, 3, 2, 2], [1, 2, 1, 12], [24], [2, 3, 4, 1], [4, 3, 2]),
    ),
  "slice(broadcast(x)) = broadcast(slice(x))": (d) => slice(d, d.spread(d.shape(3))),
  "take(table, broadcast(i)) = broadcast(take(table, i))": (d) =>
    d.b.take(d.float([4, ...d.shape(d.integer(0, 2))]), d.spread(d.shape(2), "i32", 4)),
  "iota(shape) = broadcast(iota([n]))": (d) => d.b.iota(d.shape(3), d.integer(0, 2)),
  "f(broadcast(x), broadcast(y)) = broadcast(f(x, y))": (d) => {
    const shape = d.shape(3);
    const [x, y] = [d.spread(shape), d.spread(shape)];
    return d.oneOf(
      () => d.b.exp(x),
      () => d.b.sub(x, y),
      () => d.b.select(d.spread(shape, "bool"), x, y),
      () => d.b.cast(d.spread(shape, "i32"), "f32"),
    )();
  },
  "f(reshape(x), reshape(y)) = reshape(f(x, y)), where the reshapes insert or drop axes of size 1": (d) => {
    const shape = d.shape(2);
    return d.b.sub(d.renamed(shape), d.oneOf(d.renamed(shape), d.full(2, shape)));
  },
  "slice(pad(x)) = slice(x), where the slice is inside x": (d) =>
    d.b.slice(
      d.b.pad(d.float([3, 2]), [1, 0], [2, 1]),
      [d.integer(0, 1), 0],
      [d.integer(3, 4), d.integer(1, 3)],
    ),
  "slice(concat(.., x, ..)) = slice(x), where the slice is inside x": (d) => {
    const axis = d.integer(0, 1);
    const part = () => d.float([d.size(), 2].with(1 - axis, 2));
    const joined = d.b.concat([part(), part(), part()], axis);
    return slice(d, joined);
  },
  "concat(concat(x, y), z) = concat(x, y, z)": (d) => {
    const part = () => d.float([2, d.size()]);
    return d.b.concat([d.b.concat([part(), part()], 1), part()], 1);
  },
  "pad(x) + pad(y) = concat(x, y), where x and y fill one axis": (d) => {
    const [first, second, rest] = [d.size(), d.size(), d.integer(0, 1)];
    const left = d.b.pad(d.float([2, first]), [0, 0], [0, second]);
    const right = d.b.pad(
      d.float([2, second - (second > 1 ? rest : 0)]),
      [0, first],
      [0, second > 1 ? rest : 0],
    );
    return d.oneOf(d.b.add(left, right), d.b.add(right, left));
  },
  "concat(x[a:b], x[b:c]) = x[a:c]": (d) => {
    const axis = d.integer(0, 1);
    const x = d.float([6, 6]);
    const cuts = [d.integer(0, 1), d.integer(2, 3), d.integer(4, 6)];
    const part = (from: number, to: number) =>
      d.b.slice(x, [1, 0].with(axis, from), [5, d.oneOf(6, 6, 6)].with(axis, to));
    const gap = d.oneOf(0, 0, 1);
    return d.b.concat(
      [part(cuts[0]!, cuts[1]!), part(cuts[1]! + (cuts[2]! > cuts[1]! + gap ? gap : 0), cuts[2]!)],
      axis,
    );
  },
  "f(transpose(x, p), transpose(y, p)) = transpose(f(x, y), p)": (d) => {
    const perm = d.permutation(3);
    const x = d.b.transpose(d.float(d.shape(3)), perm);
    const shape = d.b.shape(x);
    const like = () => d.b.transpose(d.float(perm.map((_, axis) => shape[perm.indexOf(axis)]!)), perm);
    const y = d.oneOf(
      like,
      () => d.spread(shape),
      () => d.full(2, shape),
    )();
    return d.oneOf(
      () => d.b.exp(x),
      () => d.b.sub(x, y),
      () => d.b.select(d.b.lt(x, y), y, x),
    )();
  },
  "concat(transpose(x, p), transpose(y, p)) = transpose(concat(x, y), p)": (d) => {
    const perm = d.permutation(3);
    const axis = d.integer(0, 2);
    const shape = d.shape(3);
    const part = () => d.b.transpose(d.float(shape.with(perm[axis]!, d.size())), perm);
    return d.b.concat([part(), part()], axis);
  },
  "slice(transpose(x)) = transpose(slice(x))": (d) =>
    slice(d, d.b.transpose(d.float(d.shape(3)), d.permutation(3))),
  "pad(transpose(x)) = transpose(pad(x))": (d) =>
    pad(d, d.b.transpose(d.float(d.shape(3)), d.permutation(3))),
  "pad(0) = 0": (d) => pad(d, d.full(d.integer(0, 1), d.shape(2))),
  "pack(reshape(x)) = pack(x)": (d) =>
    d.b.pack([d.b.reshape(d.float([2, 3]), [3, 2]), d.float([2])], [1, 8], 12),
  "pack(x, 0) = pack(x)": (d) =>
    d.b.pack(
      [d.oneOf(d.float([3]), d.full(0, [3])), d.full(0, [2]), d.oneOf(d.float([3]), d.full(0, [3]))],
      [0, 4, 6],
      10,
    ),
  "view(x, 0, all) = reshape(x)": (d) => d.b.view(d.float([4]), 0, d.oneOf<Shape>([4], [2, 2], [3])),
  "log(sum(exp(x))) = logsumexp(x)": (d) => {
    const x = d.float(d.shape(3));
    return d.b.log(kept(d, "sum", d.b.exp(x), d.axes(3, 1)));
  },
  "logsumexp(x - m) + m = logsumexp(x), where m is the same along the axes": (d) => {
    const { x, m, axes } = shifted(d);
    const normalizer = d.b.reshape(d.b.logSumExp(d.b.sub(x, m), axes), rowShape(d, x, axes));
    const [lhs, rhs] =
      d.oneOf(0, 1) === 0 ? [normalizer, d.b.node(m).inputs[0]!] : [d.b.node(m).inputs[0]!, normalizer];
    return d.b.add(lhs, rhs);
  },
  "exp(x) / sum(exp(x)) = exp(x - logsumexp(x))": (d) => {
    const { x, m, axes } = shifted(d);
    const e = d.b.exp(d.oneOf(x, d.b.sub(x, m)));
    return d.b.div(e, d.b.broadcastOver(d.b.sum(e, axes), d.b.shape(x), axes));
  },
  "(x - m) - logsumexp(x - m) = x - logsumexp(x), where m is the same along the axes": (d) => {
    const { x, m, axes } = shifted(d);
    const y = d.b.sub(x, m);
    return d.b.sub(y, d.b.broadcastOver(d.b.logSumExp(y, axes), d.b.shape(x), axes));
  },

  "transpose(einsum(x, y)) = einsum(x, y)": (d) => {
    const product = d.einsum(
      (shape) => d.float(shape),
      (shape) => d.float(shape),
    );
    return d.b.transpose(product, d.permutation(d.b.shape(product).length));
  },

  // --- reductions ---------------------------------------------------------------------------------------------
  ...reductionSamples("sum", (d, x, axes) => d.b.sum(x, axes)),
  ...reductionSamples("reduce_max", (d, x, axes) => d.b.reduceMax(x, axes)),
  "sum(broadcast(x)) = n * sum(x)": (d) => d.b.sum(d.spread(d.shape(3)), d.axes(3, 1)),
  "reduce_max(broadcast(x)) = reduce_max(x)": (d) => d.b.reduceMax(d.spread(d.shape(3)), d.axes(3, 1)),
  "sum(-x) = -sum(x)": (d) => d.b.sum(d.b.neg(d.float(d.shape(3))), d.axes(3, 1)),
  "sum(x * c) = sum(x) * c": (d) => d.b.sum(withConstant(d, "mul"), d.axes(2, 1)),
  "scatter_add(x, broadcast(i)) = scatter_add(sum(x), i)": (d) => {
    const indices = d.spread(d.shape(3), "i32", 4);
    return d.b.scatterAdd(d.float([...d.b.shape(indices), ...d.shape(d.integer(0, 1))]), indices, 4);
  },

  // --- einsum ---------------------------------------------------------------------------------------------------
  "einsum(transpose(x), y) = einsum(x, y)": (d) =>
    d.einsum(
      (shape) => transposed(d, shape),
      (shape) => d.float(shape),
    ),
  "einsum(x, transpose(y)) = einsum(x, y)": (d) =>
    d.einsum(
      (shape) => d.float(shape),
      (shape) => transposed(d, shape),
    ),
  "einsum(broadcast(x), y) = broadcast(einsum(x, sum(y)))": (d) =>
    d.einsum(
      (shape) => d.spread(shape),
      (shape) => d.float(shape),
    ),
  "einsum(x, broadcast(y)) = broadcast(einsum(sum(x), y))": (d) =>
    d.einsum(
      (shape) => d.float(shape),
      (shape) => d.spread(shape),
    ),
  "einsum(-x, y) = -einsum(x, y)": (d) =>
    d.einsum(
      (shape) => d.b.neg(d.float(shape)),
      (shape) => d.float(shape),
    ),
  "einsum(x, -y) = -einsum(x, y)": (d) =>
    d.einsum(
      (shape) => d.float(shape),
      (shape) => d.b.neg(d.float(shape)),
    ),
  "einsum(x, y) = reshape(einsum(squeeze(x), squeeze(y)))": (d) =>
    d.einsum(
      (shape) => d.float(shape),
      (shape) => d.float(shape),
    ),
  "einsum(x, y) = x * y, where nothing is summed": (d) =>
    d.einsum(
      (shape) => d.float(shape),
      (shape) => d.float(shape),
      d.integer(0, 1),
    ),
};

function reductionSamples(
  op: string,
  reduce: (d: Draw, x: NodeId, axes: readonly number[]) => NodeId,
): Readonly<Record<string, (d: Draw) => NodeId>> {
  return {
    [`${op}(${op}(x)) = ${op}(x)`]: (d) => {
      const inner = reduce(d, d.float(d.shape(4)), d.axes(4, 1));
      return reduce(d, inner, d.axes(d.b.shape(inner).length));
    },
    [`${op}(x) = ${op}(squeeze(x)), where an axis of size 1 is reduced`]: (d) =>
      reduce(d, d.float(d.shape(3)), d.axes(3, 1)),
    [`${op}(transpose(x)) = transpose(${op}(x))`]: (d) =>
      reduce(d, d.b.transpose(d.float(d.shape(4)), d.permutation(4)), d.axes(4, 1)),
    [`${op}(reshape(x)) = reshape(${op}(x)), where the reshape inserts or drops axes of size 1`]: (d) =>
      reduce(d, d.renamed(d.shape(3)), d.axes(3, 1)),
    [`${op}(reshape(x)) = ${op}(x), over all axes`]: (d) =>
      reduce(d, d.b.reshape(d.float([2, 3]), [3, 2]), d.oneOf<readonly number[]>([0, 1], [0])),
  };
}

/** A tensor, and a value of each of its rows repeated along `axes`, now and then where no gradient passes. */
function shifted(d: Draw): { readonly x: NodeId; readonly m: NodeId; readonly axes: readonly number[] } {
  const x = d.float(d.shape(3));
  const axes = d.axes(3, 1);
  const rows = d.b.reduceMax(x, axes);
  const m = d.oneOf(rows, d.b.stopGradient(rows), d.float(rowShape(d, x, axes)));
  return { x, m: d.b.broadcastOver(m, d.b.shape(x), axes), axes };
}

function rowShape(d: Draw, x: NodeId, axes: readonly number[]): Shape {
  return d.b.shape(x).filter((_, axis) => !axes.includes(axis));
}

/** A reduction whose axes stay, as axes of size 1, or go. */
function kept(d: Draw, op: "sum", x: NodeId, axes: readonly number[]): NodeId {
  const reduced = d.b.make(op, [x], { axes });
  const shape = d.b.shape(x).map((size, axis) => (axes.includes(axis) ? 1 : size));
  return d.oneOf(reduced, d.b.reshape(reduced, shape));
}

function pair(d: Draw, build: (x: NodeId, y: NodeId) => NodeId): NodeId {
  const shape = d.shape(2);
  return build(d.float(shape), d.float(shape));
}

function withConstant(d: Draw, op: "add" | "sub" | "mul" | "div" | "pow", constant = d.constant()): NodeId {
  const x = d.float(d.shape(2));
  return d.b.make(op, [x, d.b.fullLike(x, constant)], {});
}

function again(d: Draw, op: "add" | "mul" | "div", x: NodeId): NodeId {
  return d.b.make(op, [x, d.b.fullLike(x, d.constant())], {});
}

function slice(d: Draw, x: NodeId): NodeId {
  const start = d.b.shape(x).map((size) => d.integer(0, size - 1));
  const end = d.b.shape(x).map((size, axis) => d.integer(start[axis]! + 1, size));
  return d.b.slice(x, start, end);
}

function pad(d: Draw, x: NodeId): NodeId {
  const counts = () => d.b.shape(x).map(() => d.integer(0, 2));
  return d.b.pad(x, counts(), counts());
}

/** An input transposed to a shape. */
function transposed(d: Draw, shape: Shape): NodeId {
  const perm = d.permutation(shape.length);
  const inner = perm.map((_, axis) => shape[perm.indexOf(axis)]!);
  return d.b.transpose(d.float(inner), perm);
}
