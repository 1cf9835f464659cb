import { invariant } from "../errors.ts";
import type { BinaryOp, DType, TensorType, UnaryOp } from "../types.ts";
import { oneInput, requireDType, requireSameShape, requireSameType, twoInputs } from "./check.ts";
import type { OpDef } from "./op-def.ts";

function inferUnary(allowed: readonly DType[]) {
  return (inputs: readonly TensorType[]): TensorType => {
    const x = oneInput(inputs);
    requireDType(x, allowed);
    return x;
  };
}

function inferBinary(allowed: readonly DType[], result?: DType) {
  return (inputs: readonly TensorType[]): TensorType => {
    const [a, b] = twoInputs(inputs);
    requireSameType(a, b);
    requireDType(a, allowed);
    return result === undefined ? a : { dtype: result, shape: a.shape };
  };
}

const numbers: readonly DType[] = ["f32", "i32", "u32"];
const signed: readonly DType[] = ["f32", "i32"];

function unary<K extends UnaryOp>(summary: string, allowed: readonly DType[]): OpDef<K> {
  return { summary, infer: inferUnary(allowed) };
}
function binary<K extends BinaryOp>(summary: string, allowed: readonly DType[], result?: DType): OpDef<K> {
  return { summary, infer: inferBinary(allowed, result) };
}

export const neg = unary<"neg">("Elementwise -x.", signed);
export const exp = unary<"exp">("Elementwise e^x.", ["f32"]);
export const log = unary<"log">("Elementwise natural logarithm.", ["f32"]);
export const sqrt = unary<"sqrt">("Elementwise square root.", ["f32"]);
export const rsqrt = unary<"rsqrt">("Elementwise 1 / square root.", ["f32"]);
export const tanh = unary<"tanh">("Elementwise hyperbolic tangent.", ["f32"]);
export const erf = unary<"erf">("Elementwise error function.", ["f32"]);
export const abs = unary<"abs">("Elementwise magnitude.", signed);
export const sin = unary<"sin">("Elementwise sine.", ["f32"]);
export const cos = unary<"cos">("Elementwise cosine.", ["f32"]);
export const floor = unary<"floor">("Elementwise greatest whole number <= x.", ["f32"]);
export const not = unary<"not">("Elementwise negation.", ["bool"]);

export const add = binary<"add">("Elementwise a + b.", numbers);
export const sub = binary<"sub">("Elementwise a - b.", numbers);
export const mul = binary<"mul">("Elementwise a * b.", numbers);
export const div = binary<"div">("Elementwise a / b.", numbers);
export const max = binary<"max">("Elementwise greater.", numbers);
export const min = binary<"min">("Elementwise less.", numbers);
export const pow = binary<"pow">("Elementwise a^b.", ["f32"]);
export const mod = binary<"mod">("Elementwise a - b * floor(a / b).", numbers);
export const lt = binary<"lt">("Elementwise a < b.", numbers, "bool");
export const le = binary<"le">("Elementwise a <= b.", numbers, "bool");
export const eq = binary<"eq">("Elementwise a == b.", ["f32", "i32", "u32", "bool"], "bool");
export const and = binary<"and">("Elementwise a and b.", ["bool"]);
export const or = binary<"or">("Elementwise a or b.", ["bool"]);

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
};

export const cast: OpDef<"cast"> = {
  summary: "Elementwise conversion. x: T[...] -> dtype[...]",
  infer: (inputs, { dtype }) => ({ dtype, shape: oneInput(inputs).shape }),
};

export const stop_gradient: OpDef<"stop_gradient"> = {
  summary: "The value of x; no cotangent passes.",
  infer: (inputs) => oneInput(inputs),
};
