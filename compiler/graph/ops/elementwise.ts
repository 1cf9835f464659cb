import type { GraphBuilder } from "../builder.ts";
import { dtypeRange, isFloat, isInteger } from "../dtype.ts";
import { invariant } from "../errors.ts";
import { toHalf } from "../half.ts";
import { type Tensor, zeros } from "../tensor.ts";
import type { BinaryOp, DType, NodeId, TensorType, UnaryOp } from "../types.ts";
import { oneInput, requireDType, requireSameShape, requireSameType, twoInputs } from "./check.ts";
import { erfOf } from "./erf.ts";
import type { OpDef } from "./op-def.ts";

const numbers: readonly DType[] = ["f32", "i32", "u32"];
const signed: readonly DType[] = ["f32", "i32"];

/** What a gradient rule of an elementwise op reads: its operands, its output and the cotangent of the output. */
interface UnaryTerms {
  readonly x: NodeId;
  readonly output: NodeId;
  readonly ct: NodeId;
}
interface BinaryTerms {
  readonly x: NodeId;
  readonly y: NodeId;
  readonly output: NodeId;
  readonly ct: NodeId;
}

function unary<K extends UnaryOp>(
  op: K,
  row: {
    readonly summary: string;
    readonly takes: readonly DType[];
    /** The operand's dtype where absent. */
    readonly gives?: DType;
    readonly value: (x: number) => number;
    readonly vjp: ((b: GraphBuilder, terms: UnaryTerms) => NodeId | undefined) | "not differentiable";
  },
): OpDef<K> {
  const { vjp, gives } = row;
  return {
    summary: row.summary,
    infer: (inputs) => {
      const x = oneInput(inputs);
      requireDType(x, row.takes);
      return gives === undefined ? x : { dtype: gives, shape: x.shape };
    },
    vjp:
      vjp === "not differentiable"
        ? vjp
        : (b, { inputs: [x], output, ct }) => [vjp(b, { x: x!, output, ct })],
    evaluate: ([x], { type }) => {
      const out = zeros(type);
      for (let i = 0; i < out.data.length; i++) out.data[i] = row.value(x!.data[i]!);
      return out;
    },
    lower: (s, [x], at) => s.call(op, x!(at)),
  };
}

function binary<K extends BinaryOp>(
  op: K,
  row: {
    readonly summary: string;
    readonly takes: readonly DType[];
    /** The operands' dtype where absent. */
    readonly gives?: DType;
    readonly value: (x: number, y: number) => number;
    /** Where the 32-bit integers differ from `value`. Results wrap modulo 2^32 when stored. */
    readonly integerValue?: (x: number, y: number) => number;
    readonly vjp:
      | ((b: GraphBuilder, terms: BinaryTerms) => readonly (NodeId | undefined)[])
      | "not differentiable";
  },
): OpDef<K> {
  const { vjp, gives } = row;
  return {
    summary: row.summary,
    infer: (inputs) => {
      const [x, y] = twoInputs(inputs);
      requireSameType(x, y);
      requireDType(x, row.takes);
      return gives === undefined ? x : { dtype: gives, shape: x.shape };
    },
    vjp:
      vjp === "not differentiable"
        ? vjp
        : (b, { inputs: [x, y], output, ct }) => vjp(b, { x: x!, y: y!, output, ct }),
    evaluate: ([x, y], { type }) => {
      const out = zeros(type);
      const value = isInteger(x!.dtype) ? (row.integerValue ?? row.value) : row.value;
      for (let i = 0; i < out.data.length; i++) out.data[i] = value(x!.data[i]!, y!.data[i]!);
      return out;
    },
    lower: (s, [x, y], at) => s.call(op, x!(at), y!(at)),
  };
}

function scaled(b: GraphBuilder, x: NodeId, factor: number): NodeId {
  return b.mul(x, b.fullLike(x, factor));
}

/** For max and min: the cotangent goes to the operand that was chosen, half to each where they are equal. */
function chosenVjp(b: GraphBuilder, { x, y, output, ct }: BinaryTerms): readonly NodeId[] {
  const zero = b.fullLike(ct, 0);
  const share = b.select(b.eq(x, y), scaled(b, ct, 0.5), ct);
  return [b.select(b.eq(x, output), share, zero), b.select(b.eq(y, output), share, zero)];
}

export const neg = unary("neg", {
  summary: "Elementwise -x. f32 or i32.",
  takes: signed,
  value: (x) => -x,
  vjp: (b, { ct }) => b.neg(ct),
});

export const exp = unary("exp", {
  summary: "Elementwise e^x. f32.",
  takes: ["f32"],
  value: Math.exp,
  vjp: (b, { output, ct }) => b.mul(ct, output),
});

export const log = unary("log", {
  summary: "Elementwise natural logarithm. f32.",
  takes: ["f32"],
  value: Math.log,
  vjp: (b, { x, ct }) => b.div(ct, x),
});

export const sqrt = unary("sqrt", {
  summary: "Elementwise square root. f32.",
  takes: ["f32"],
  value: Math.sqrt,
  vjp: (b, { output, ct }) => b.div(scaled(b, ct, 0.5), output),
});

export const rsqrt = unary("rsqrt", {
  summary: "Elementwise 1 / sqrt(x). f32.",
  takes: ["f32"],
  value: (x) => 1 / Math.sqrt(x),
  // d x^(-1/2) = -1/2 x^(-3/2) dx
  vjp: (b, { output, ct }) => b.mul(scaled(b, ct, -0.5), b.mul(output, b.mul(output, output))),
});

export const tanh = unary("tanh", {
  summary: "Elementwise hyperbolic tangent. f32.",
  takes: ["f32"],
  value: Math.tanh,
  vjp: (b, { output, ct }) => b.mul(ct, b.sub(b.fullLike(ct, 1), b.mul(output, output))),
});

export const erf = unary("erf", {
  summary: "Elementwise error function. f32.",
  takes: ["f32"],
  value: erfOf,
  // d erf(x) = 2/sqrt(pi) e^(-x^2) dx
  vjp: (b, { x, ct }) => b.mul(ct, scaled(b, b.exp(b.neg(b.mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

export const abs = unary("abs", {
  summary: "Elementwise magnitude. f32 or i32. Its gradient at 0 is 0.",
  takes: signed,
  value: Math.abs,
  vjp: (b, { x, ct }) => {
    const zero = b.fullLike(x, 0);
    return b.select(b.lt(zero, x), ct, b.select(b.lt(x, zero), b.neg(ct), zero));
  },
});

export const sin = unary("sin", {
  summary: "Elementwise sine, in radians. f32.",
  takes: ["f32"],
  value: Math.sin,
  vjp: (b, { x, ct }) => b.mul(ct, b.cos(x)),
});

export const cos = unary("cos", {
  summary: "Elementwise cosine, in radians. f32.",
  takes: ["f32"],
  value: Math.cos,
  vjp: (b, { x, ct }) => b.neg(b.mul(ct, b.sin(x))),
});

export const floor = unary("floor", {
  summary: "Elementwise greatest whole number not above x. f32. Its gradient is 0.",
  takes: ["f32"],
  value: Math.floor,
  vjp: () => undefined,
});

export const round_f16 = unary("round_f16", {
  summary: "Elementwise the nearest f16 value, as an f32: what a cast to f16 and back gives. f32.",
  takes: ["f32"],
  value: toHalf,
  vjp: "not differentiable",
});

export const is_finite = unary("is_finite", {
  summary: "Elementwise: x as an f32 is neither NaN nor infinite. f32 -> bool.",
  takes: ["f32"],
  gives: "bool",
  value: (x) => Number(Number.isFinite(Math.fround(x))),
  vjp: "not differentiable",
});

export const not = unary("not", {
  summary: "Elementwise negation. bool.",
  takes: ["bool"],
  value: (x) => 1 - x,
  vjp: "not differentiable",
});

export const add = binary("add", {
  summary: "Elementwise x + y.",
  takes: numbers,
  value: (x, y) => x + y,
  vjp: (_b, { ct }) => [ct, ct],
});

export const sub = binary("sub", {
  summary: "Elementwise x - y.",
  takes: numbers,
  value: (x, y) => x - y,
  vjp: (b, { ct }) => [ct, b.neg(ct)],
});

export const mul = binary("mul", {
  summary: "Elementwise x y.",
  takes: numbers,
  value: (x, y) => x * y,
  integerValue: Math.imul,
  vjp: (b, { x, y, ct }) => [b.mul(ct, y), b.mul(ct, x)],
});

export const div = binary("div", {
  summary: "Elementwise x / y. Integers floor; by 0 they give x, as in WGSL.",
  takes: numbers,
  value: (x, y) => x / y,
  integerValue: (x, y) => (y === 0 ? x : Math.floor(x / y)),
  vjp: (b, { y, output, ct }) => {
    const dx = b.div(ct, y);
    return [dx, b.neg(b.mul(dx, output))];
  },
});

export const max = binary("max", {
  summary: "Elementwise greater of x and y. Equal operands share the cotangent.",
  takes: numbers,
  value: Math.max,
  vjp: chosenVjp,
});

export const min = binary("min", {
  summary: "Elementwise less of x and y. Equal operands share the cotangent.",
  takes: numbers,
  value: Math.min,
  vjp: chosenVjp,
});

export const pow = binary("pow", {
  summary: "Elementwise x^y for x >= 0. f32. The gradient of y at x = 0 is 0.",
  takes: ["f32"],
  value: (x, y) => x ** y,
  vjp: (b, { x, y, output, ct }) => {
    const zero = b.fullLike(x, 0);
    const one = b.fullLike(x, 1);
    const positive = b.lt(zero, x);
    const dx = b.mul(ct, b.mul(y, b.pow(x, b.sub(y, one))));
    const dy = b.mul(ct, b.mul(output, b.log(b.select(positive, x, one))));
    return [dx, b.select(positive, dy, zero)];
  },
});

export const mod = binary("mod", {
  summary: "Elementwise x - y floor(x / y). Integers by 0 give 0.",
  takes: numbers,
  value: (x, y) => x - y * Math.floor(x / y),
  integerValue: (x, y) => (y === 0 ? 0 : x - y * Math.floor(x / y)),
  vjp: (b, { x, y, ct }) => [ct, b.neg(b.mul(ct, b.floor(b.div(x, y))))],
});

export const lt = binary("lt", {
  summary: "Elementwise x < y -> bool.",
  takes: numbers,
  gives: "bool",
  value: (x, y) => Number(x < y),
  vjp: "not differentiable",
});

export const le = binary("le", {
  summary: "Elementwise x <= y -> bool.",
  takes: numbers,
  gives: "bool",
  value: (x, y) => Number(x <= y),
  vjp: "not differentiable",
});

export const eq = binary("eq", {
  summary: "Elementwise x == y -> bool.",
  takes: ["f32", "i32", "u32", "bool"],
  gives: "bool",
  value: (x, y) => Number(x === y),
  vjp: "not differentiable",
});

export const and = binary("and", {
  summary: "Elementwise x and y. bool.",
  takes: ["bool"],
  value: (x, y) => x & y,
  vjp: "not differentiable",
});

export const or = binary("or", {
  summary: "Elementwise x or y. bool.",
  takes: ["bool"],
  value: (x, y) => x | y,
  vjp: "not differentiable",
});

export const select: OpDef<"select"> = {
  summary: "Elementwise choice. condition: bool[...], then, else: T[...] -> T[...]",
  infer: (inputs) => {
    const [condition, then, otherwise] = inputs;
    invariant(
      condition !== undefined && then !== undefined && otherwise !== undefined && inputs.length === 3,
      () => `takes 3 inputs, got ${inputs.length}`,
    );
    requireDType(condition, ["bool"]);
    requireSameShape(condition, then);
    requireSameType(then, otherwise);
    return then;
  },
  vjp: (b, { inputs: [condition], ct }) => {
    const zero = b.fullLike(ct, 0);
    return [undefined, b.select(condition!, ct, zero), b.select(condition!, zero, ct)];
  },
  evaluate: ([condition, then, otherwise], { type }) => {
    const out = zeros(type);
    for (let i = 0; i < out.data.length; i++)
      out.data[i] = condition!.data[i] === 0 ? otherwise!.data[i]! : then!.data[i]!;
    return out;
  },
  lower: (s, [condition, then, otherwise], at) => s.select(condition!(at), then!(at), otherwise!(at)),
};

export const cast: OpDef<"cast"> = {
  summary:
    "Elementwise conversion. To f16: to the nearest, ties to even, infinite from 65520 on. f32 and f16 to integers drops the fraction and stops at the ends of the range; i32 and u32 keep their bits; a bool is 0 or 1, a number is true unless 0.",
  infer: (inputs, { dtype }) => ({ dtype, shape: oneInput(inputs).shape }),
  vjp: (_b, { node, ct }) => [isFloat(node.attrs.dtype) ? ct : undefined],
  evaluate: ([x], { type }) => convert(x!, type),
  lower: (s, [x], at, { attrs }) => s.cast(attrs.dtype, x!(at)),
};

/** WGSL, "Value Constructor Built-in Functions": what `i32(x)`, `f32(x)`, `bool(x)` mean. */
function convert(x: Tensor, type: TensorType): Tensor {
  const out = zeros(type);
  const { min, max } = dtypeRange(type.dtype);
  const value = (element: number): number => {
    if (type.dtype === "bool") return Number(element !== 0);
    if (type.dtype === "f16") return toHalf(element);
    return isFloat(x.dtype) && isInteger(type.dtype)
      ? Math.min(max, Math.max(min, Math.trunc(element)))
      : element;
  };
  for (let i = 0; i < out.data.length; i++) out.data[i] = value(x.data[i]!);
  return out;
}

export const barrier: OpDef<"barrier"> = {
  summary: "The value of x, apart from other nodes that have it.",
  infer: (inputs) => oneInput(inputs),
  vjp: (_b, { ct }) => [ct],
  evaluate: ([x]) => x!,
  lower: (_s, [x], at) => x!(at),
};

export const stop_gradient: OpDef<"stop_gradient"> = {
  summary: "The value of x; no cotangent passes.",
  infer: (inputs) => oneInput(inputs),
  vjp: () => [undefined],
  evaluate: ([x]) => x!,
  lower: (_s, [x], at) => x!(at),
};
