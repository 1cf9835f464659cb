import { dtypeRange, type GraphBuilder, type NodeId } from "../../graph/index.ts";
import {
  any,
  binary,
  commutativeOps,
  float,
  floatSplat,
  oneOf,
  splat,
  splatOf,
  ternary,
  unary,
  value,
} from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

/** Smallest normal f32: a constant below it may be flushed to zero. */
const SMALLEST_NORMAL = 2 ** -126;

/** Neither beyond the range of an f32 nor so small that digits are lost. */
function isNormal(constant: number): boolean {
  const magnitude = Math.abs(constant);
  return magnitude >= SMALLEST_NORMAL && magnitude <= dtypeRange("f32").max;
}

/** `constant` everywhere, like `x`; null where an f32 cannot hold it to full precision. */
function constantLike(b: GraphBuilder, x: NodeId, constant: number): NodeId | null {
  return isNormal(constant) || constant === 0 ? b.fullLike(x, constant) : null;
}

/** Then `1 / c` is exact too, and `x / c` and `x * (1 / c)` round alike. */
function isPowerOfTwo(c: number): boolean {
  return isNormal(c) && 2 ** Math.round(Math.log2(Math.abs(c))) === Math.abs(c);
}

/** Holds of values alone: the one rule that must not run before gradients are taken. */
export const STOP_GRADIENT_GOES = "stop_gradient(x) = x";

const timesConstant = binary("mul", float, floatSplat);
const overConstant = binary("div", float, floatSplat);
const plusConstant = binary("add", float, floatSplat);

export const algebraRules: readonly Rule[] = [
  rule({
    name: "c op x = x op c",
    exactness: "bitwise",
    match: oneOf(commutativeOps),
    rewrite: (b, { op, inputs }) => {
      const [first, second] = [inputs[0]!, inputs[1]!];
      const swaps = splatOf(b, first) !== null && splatOf(b, second) === null;
      return swaps ? b.make(op, [second, first], {}) : null;
    },
  }),
  rule({
    name: STOP_GRADIENT_GOES,
    exactness: "bitwise",
    match: unary("stop_gradient", any),
    rewrite: (_, { x }) => x,
  }),

  // --- neutral elements -----------------------------------------------------------------------------------
  rule({
    name: "x + 0 = x",
    exactness: "bitwise",
    match: binary("add", any, value(0)),
    rewrite: (_, { lhs }) => lhs,
  }),
  rule({
    name: "x - 0 = x",
    exactness: "bitwise",
    match: binary("sub", any, value(0)),
    rewrite: (_, { lhs }) => lhs,
  }),
  rule({
    name: "0 - x = -x",
    exactness: "bitwise",
    match: binary("sub", value(0), float),
    rewrite: (b, { rhs }) => b.neg(rhs),
  }),
  rule({
    name: "x * 1 = x",
    exactness: "bitwise",
    match: binary("mul", any, value(1)),
    rewrite: (_, { lhs }) => lhs,
  }),
  rule({
    name: "x * -1 = -x",
    exactness: "bitwise",
    match: binary("mul", float, value(-1)),
    rewrite: (b, { lhs }) => b.neg(lhs),
  }),
  rule({
    name: "x / 1 = x",
    exactness: "bitwise",
    match: binary("div", any, value(1)),
    rewrite: (_, { lhs }) => lhs,
  }),
  rule({
    name: "x ^ 1 = x",
    exactness: "bitwise",
    match: binary("pow", any, value(1)),
    rewrite: (_, { lhs }) => lhs,
  }),
  rule({
    name: "x ^ 2 = x * x",
    exactness: "reassociates",
    match: binary("pow", any, value(2)),
    rewrite: (b, { lhs }) => b.mul(lhs, lhs),
  }),

  // --- signs go outwards, where they meet an addition or a constant ----------------------------------------
  rule({
    name: "--x = x",
    exactness: "bitwise",
    match: unary("neg", unary("neg", any)),
    rewrite: (_, { x }) => x.x,
  }),
  rule({
    name: "x + -y = x - y",
    exactness: "bitwise",
    match: binary("add", any, unary("neg", any)),
    rewrite: (b, { lhs, rhs }) => b.sub(lhs, rhs.x),
  }),
  rule({
    name: "-x + y = y - x",
    exactness: "bitwise",
    match: binary("add", unary("neg", any), any),
    rewrite: (b, { lhs, rhs }) => b.sub(rhs, lhs.x),
  }),
  rule({
    name: "x - -y = x + y",
    exactness: "bitwise",
    match: binary("sub", any, unary("neg", any)),
    rewrite: (b, { lhs, rhs }) => b.add(lhs, rhs.x),
  }),
  rule({
    name: "-(x - y) = y - x",
    exactness: "bitwise",
    match: unary("neg", binary("sub", float, any)),
    rewrite: (b, { x }) => b.sub(x.rhs, x.lhs),
  }),
  rule({
    name: "-(x * c) = x * -c",
    exactness: "bitwise",
    match: unary("neg", timesConstant),
    rewrite: (b, { x }) => b.mul(x.lhs, b.fullLike(x.lhs, -x.rhs.value)),
  }),
  rule({
    name: "-x * c = x * -c",
    exactness: "bitwise",
    match: binary("mul", unary("neg", float), floatSplat),
    rewrite: (b, { lhs, rhs }) => b.mul(lhs.x, b.fullLike(lhs.x, -rhs.value)),
  }),
  rule({
    name: "-x * y = -(x * y)",
    exactness: "bitwise",
    match: binary("mul", unary("neg", float), any),
    rewrite: (b, { lhs, rhs }) => b.neg(b.mul(lhs.x, rhs)),
  }),
  rule({
    name: "x * -y = -(x * y)",
    exactness: "bitwise",
    match: binary("mul", any, unary("neg", float)),
    rewrite: (b, { lhs, rhs }) => b.neg(b.mul(lhs, rhs.x)),
  }),
  rule({
    name: "-x / y = -(x / y)",
    exactness: "bitwise",
    match: binary("div", unary("neg", float), any),
    rewrite: (b, { lhs, rhs }) => b.neg(b.div(lhs.x, rhs)),
  }),
  rule({
    name: "x / -y = -(x / y)",
    exactness: "bitwise",
    match: binary("div", any, unary("neg", float)),
    rewrite: (b, { lhs, rhs }) => b.neg(b.div(lhs, rhs.x)),
  }),
  rule({
    name: "|-x| = |x|",
    exactness: "bitwise",
    match: unary("abs", unary("neg", any)),
    rewrite: (b, { x }) => b.abs(x.x),
  }),

  // --- constants meet --------------------------------------------------------------------------------------
  rule({
    name: "x - c = x + -c",
    exactness: "bitwise",
    match: binary("sub", float, floatSplat),
    rewrite: (b, { lhs, rhs }) => b.add(lhs, b.fullLike(lhs, -rhs.value)),
  }),
  rule({
    name: "(x + c) + d = x + (c + d)",
    exactness: "reassociates",
    match: binary("add", plusConstant, floatSplat),
    rewrite: (b, { lhs, rhs }) => {
      const sum = constantLike(b, lhs.lhs, lhs.rhs.value + rhs.value);
      return sum === null ? null : b.add(lhs.lhs, sum);
    },
  }),
  rule({
    name: "x / 2^n = x * 2^-n",
    exactness: "bitwise",
    match: overConstant,
    rewrite: (b, { lhs, rhs }) => {
      const inverse = isPowerOfTwo(rhs.value) ? constantLike(b, lhs, 1 / rhs.value) : null;
      return inverse === null ? null : b.mul(lhs, inverse);
    },
  }),
  rule({
    name: "(x * c) * d = x * (c * d)",
    exactness: "reassociates",
    match: binary("mul", timesConstant, floatSplat),
    rewrite: (b, { lhs, rhs }) => scale(b, lhs.lhs, lhs.rhs.value * rhs.value),
  }),
  rule({
    name: "(x * c) / d = x * (c / d)",
    exactness: "reassociates",
    match: binary("div", timesConstant, floatSplat),
    rewrite: (b, { lhs, rhs }) => scale(b, lhs.lhs, lhs.rhs.value / rhs.value),
  }),
  rule({
    name: "(x / c) * d = x * (d / c)",
    exactness: "reassociates",
    match: binary("mul", overConstant, floatSplat),
    rewrite: (b, { lhs, rhs }) => scale(b, lhs.lhs, rhs.value / lhs.rhs.value),
  }),
  rule({
    name: "(x / c) / d = x / (c * d)",
    exactness: "reassociates",
    match: binary("div", overConstant, floatSplat),
    rewrite: (b, { lhs, rhs }) => {
      // Over zero the two differ: x / c may round to zero, and 0 / 0 is NaN where x / 0 is infinite.
      const product = lhs.rhs.value * rhs.value;
      return isNormal(product) ? b.div(lhs.lhs, b.fullLike(lhs.lhs, product)) : null;
    },
  }),
  rule({
    name: "1 / sqrt(x) = rsqrt(x)",
    exactness: "reassociates",
    match: binary("div", value(1), unary("sqrt", any)),
    rewrite: (b, { rhs }) => b.rsqrt(rhs.x),
  }),

  // --- max, min, logic --------------------------------------------------------------------------------------
  rule({
    name: "x op x = x, op of max, min, and, or",
    exactness: "bitwise",
    match: oneOf(["max", "min", "and", "or"]),
    rewrite: (_, { inputs }) => (inputs[0] === inputs[1] ? inputs[0]! : null),
  }),
  rule({
    name: "not not x = x",
    exactness: "bitwise",
    match: unary("not", unary("not", any)),
    rewrite: (_, { x }) => x.x,
  }),
  rule({
    name: "x and c = c ? x : false",
    exactness: "bitwise",
    match: binary("and", any, splat),
    rewrite: (_, { lhs, rhs }) => (rhs.value !== 0 ? lhs : rhs.id),
  }),
  rule({
    name: "x or c = c ? true : x",
    exactness: "bitwise",
    match: binary("or", any, splat),
    rewrite: (_, { lhs, rhs }) => (rhs.value !== 0 ? rhs.id : lhs),
  }),
  rule({
    name: "select(c, x, y) = x or y, c constant",
    exactness: "bitwise",
    match: ternary("select", splat, any, any),
    rewrite: (_, { x: condition, y, z }) => (condition.value !== 0 ? y : z),
  }),
  rule({
    name: "select(c, x, x) = x",
    exactness: "bitwise",
    match: ternary("select", any, any, any),
    rewrite: (_, { y, z }) => (y === z ? y : null),
  }),
  rule({
    name: "select(not c, x, y) = select(c, y, x)",
    exactness: "bitwise",
    match: ternary("select", unary("not", any), any, any),
    rewrite: (b, { x: condition, y, z }) => b.select(condition.x, z, y),
  }),

  // --- casts -------------------------------------------------------------------------------------------------
  rule({
    name: "cast(cast(x)) = cast(x), where the first cast keeps every value",
    exactness: "bitwise",
    match: unary("cast", unary("cast", any)),
    rewrite: (b, { node, x }) => {
      const from = b.dtype(x.x);
      const through = x.node.attrs.dtype;
      const to = node.attrs.dtype;
      // A bool is 0 or 1 in every dtype; i32 and u32 reinterpret each other's bits and come back unchanged.
      const isRoundTrip =
        from === to && from !== "f32" && from !== "bool" && through !== "f32" && through !== "bool";
      return from === "bool" || isRoundTrip ? b.cast(x.x, to) : null;
    },
  }),
];

/** `x * factor`, or null where the factor does not fit. */
function scale(b: GraphBuilder, x: NodeId, factor: number): NodeId | null {
  const constant = factor === 0 ? null : constantLike(b, x, factor);
  return constant === null ? null : b.mul(x, constant);
}
