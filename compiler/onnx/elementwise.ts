import type { BinaryFn, UnaryFn } from "../semantics/index.ts";
import type { OnnxBuilder, Operand } from "./build.ts";
import type { OnnxElement } from "./model.ts";

/** @returns the name of the result */
export function unaryNode(b: OnnxBuilder, fn: Exclude<UnaryFn, "stop_gradient">, x: string): string {
  switch (fn) {
    case "rsqrt":
      return b.node("Reciprocal", [b.node("Sqrt", [x])]);
    default:
      return b.node(unaryOps[fn], [x]);
  }
}

const unaryOps: Readonly<Record<Exclude<UnaryFn, "stop_gradient" | "rsqrt">, string>> = {
  neg: "Neg",
  not: "Not",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  tanh: "Tanh",
  erf: "Erf",
  abs: "Abs",
  sin: "Sin",
  cos: "Cos",
  floor: "Floor",
  sigmoid: "Sigmoid",
};

/** Operands of one element type, which broadcast. */
export function binaryNode(b: OnnxBuilder, fn: BinaryFn, x: Operand, y: Operand): string {
  const isInteger = x.element === "int32";
  const operands = [x.name, y.name];
  switch (fn) {
    case "ne":
      return b.node("Not", [b.node("Equal", operands)]);
    case "div":
      return isInteger ? floorDivision(b, x.name, y.name) : b.node("Div", operands);
    case "mod":
      return isInteger ? remainder(b, x.name, y.name) : floatRemainder(b, x.name, y.name);
    default:
      return b.node(binaryOps[fn], operands);
  }
}

const binaryOps: Readonly<Record<Exclude<BinaryFn, "ne" | "div" | "mod">, string>> = {
  add: "Add",
  sub: "Sub",
  mul: "Mul",
  pow: "Pow",
  max: "Max",
  min: "Min",
  eq: "Equal",
  lt: "Less",
  le: "LessOrEqual",
  gt: "Greater",
  ge: "GreaterOrEqual",
  and: "And",
  or: "Or",
};

/** x / y rounded down; x where y is 0, which stops some runtimes. ONNX divides integers towards 0. */
function floorDivision(b: OnnxBuilder, x: string, y: string): string {
  const divisor = nonzero(b, y);
  // x - (x mod y) is a multiple of y, and the rest has the divisor's sign.
  return b.node("Div", [b.node("Sub", [x, b.node("Mod", [x, divisor])]), divisor]);
}

/** x - y floor(x / y); 0 where y is 0, as x mod 1 is. */
function remainder(b: OnnxBuilder, x: string, y: string): string {
  return b.node("Mod", [x, nonzero(b, y)]);
}

function nonzero(b: OnnxBuilder, y: string): string {
  const isZero = b.node("Equal", [y, b.scalar("int32", 0)]);
  return b.node("Where", [isZero, b.scalar("int32", 1), y]);
}

/** x - y floor(x / y): ONNX's Mod of floats has the sign of x. */
function floatRemainder(b: OnnxBuilder, x: string, y: string): string {
  return b.node("Sub", [x, b.node("Mul", [y, b.node("Floor", [b.node("Div", [x, y])])])]);
}

export function whereNode(b: OnnxBuilder, condition: string, x: Operand, y: Operand): string {
  if (x.element !== "bool") return b.node("Where", [condition, x.name, y.name]);
  // Not every runtime chooses between bools.
  const chosen = b.node("And", [condition, x.name]);
  return b.node("Or", [chosen, b.node("And", [b.node("Not", [condition]), y.name])]);
}

/** The largest and the smallest i32 that are floats too. */
const [leastInteger, mostInteger] = [-(2 ** 31), 2 ** 31 - 128];

export function castNode(b: OnnxBuilder, x: Operand, to: OnnxElement): string {
  if (x.element === to) return x.name;
  if (x.element !== "float" || to !== "int32") return b.cast(x.name, to);
  // What ONNX makes of a float beyond the integers is left open; the language stops at the ends.
  const bounds = [leastInteger, mostInteger].map((bound) => b.scalar("float", bound));
  return b.cast(b.node("Clip", [x.name, ...bounds]), to);
}
