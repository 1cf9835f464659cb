import type { BinaryOperator } from "../syntax/index.ts";
import { boolValue, intValue, type NumberValue, type Value } from "./value.ts";

/** A result, or why there is none: a text that ends `... is` or `... has`. */
export type Folded = { readonly value: Value } | { readonly problem: string };

/** Arithmetic and comparison of two settings. `/` gives a float; all else of two ints an int. */
export function foldArithmetic(operator: BinaryOperator, a: NumberValue, b: NumberValue): Folded {
  const folded = fold(operator, a, b);
  if (!("value" in folded) || folded.value.kind !== "float" || !Number.isSafeInteger(folded.value.value))
    return folded;
  // `hidden / heads * 2` stands for an int as `hidden / heads` does.
  const exact = exactInt(a) !== undefined && exactInt(b) !== undefined;
  return exact ? { value: { ...folded.value, quotient: true } } : folded;
}

function fold(operator: BinaryOperator, a: NumberValue, b: NumberValue): Folded {
  const ints = a.kind === "int" && b.kind === "int";
  switch (operator) {
    case "+":
      return number(a.value + b.value, ints);
    case "-":
      return number(a.value - b.value, ints);
    case "*":
      return number(a.value * b.value, ints);
    case "/":
      if (b.value === 0) return { problem: `${a.value} / 0 has no value` };
      return ints
        ? { value: { kind: "float", value: a.value / b.value, quotient: true } }
        : number(a.value / b.value, false);
    case "%":
      if (b.value === 0) return { problem: `${a.value} % 0 has no value` };
      return number(a.value - b.value * Math.floor(a.value / b.value), ints);
    case "**":
      return number(a.value ** b.value, ints && b.value >= 0);
    case "==":
      return { value: boolValue(a.value === b.value) };
    case "!=":
      return { value: boolValue(a.value !== b.value) };
    case "<":
      return { value: boolValue(a.value < b.value) };
    case "<=":
      return { value: boolValue(a.value <= b.value) };
    case ">":
      return { value: boolValue(a.value > b.value) };
    case ">=":
      return { value: boolValue(a.value >= b.value) };
    default:
      return { problem: `\`${operator}\` does not take numbers` };
  }
}

const unaryFunctions: Readonly<Record<string, (x: number) => number>> = {
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  floor: Math.floor,
  round: Math.round,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/** A function of one setting; `floor`, `round` and `abs` (of an int) give an int. */
export function foldFunction(name: string, x: NumberValue): Folded {
  const f = unaryFunctions[name];
  if (f === undefined) return { problem: `\`${name}\` does not take settings` };
  const value = f(x.value);
  if (Number.isNaN(value)) return { problem: `${name}(${x.value}) has no value` };
  return number(value, name === "floor" || name === "round" || (name === "abs" && x.kind === "int"));
}

function number(value: number, int: boolean): Folded {
  if (Number.isNaN(value)) return { problem: "it has no value" };
  if (int) {
    if (!Number.isSafeInteger(value)) return { problem: `${value} is out of the range of ints (2^53)` };
    return { value: intValue(value === 0 ? 0 : value) };
  }
  if (!Number.isFinite(value)) return { problem: "it is out of the range of floats" };
  return { value: { kind: "float", value } };
}

/** The int that a value stands for: an int, or a quotient of ints that divides exactly. */
export function exactInt(value: Value): number | undefined {
  if (value.kind === "int") return value.value;
  if (value.kind === "float" && value.quotient === true && Number.isSafeInteger(value.value))
    return value.value;
  return undefined;
}
