import type { CallExpression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { einsum, einsumUsage } from "./einsum.ts";
import { notANumber, operandKinds, primitiveUsage } from "./errors.ts";
import { concat, drop, fill, gather, iota, take } from "./indexing.ts";
import type { UnaryFn } from "./model.ts";
import { foldFunction } from "./numbers.ts";
import { broadcastOperands, elementwise, type Site, tensorUnary, unifyDtypes } from "./operators.ts";
import { rearrange, rearrangeUsage } from "./rearrange.ts";
import { reduce, reduceUsage } from "./reductions.ts";
import type { Given } from "./signature.ts";
import { errorValue, intValue, isNumber, type Value } from "./value.ts";

/** A function that the language has and no spec declares. `label` names the value in kernels. */
export type Primitive = (
  a: Analysis,
  call: CallExpression,
  given: readonly Given[],
  env: Env,
  label: string,
) => Value;

/** How each primitive is called, for messages and editors. */
export const primitiveUsages: Readonly<Record<string, string>> = {
  exp: "exp(x)",
  log: "log(x)",
  sqrt: "sqrt(x)",
  rsqrt: "rsqrt(x)",
  tanh: "tanh(x)",
  erf: "erf(x)",
  abs: "abs(x)",
  sin: "sin(x)",
  cos: "cos(x)",
  floor: "floor(x)",
  sigmoid: "sigmoid(x)",
  round: "round(n)",
  pow: "pow(a, b)",
  min: "min(a, b)",
  max: "max(a, b), or max(x, axis: -1, keep: true)",
  sum: reduceUsage("sum"),
  mean: reduceUsage("mean"),
  where: "where(condition, a, b)",
  einsum: einsumUsage,
  rearrange: rearrangeUsage,
  take: "take(table, indices)",
  gather: "gather(x, indices)",
  iota: "iota(n)",
  drop: "drop(x, p)",
  f32: "f32(x)",
  i32: "i32(x)",
  concat: "concat([a, b], axis: n)",
  zeros: "zeros(sizes...)",
  ones: "ones(sizes...)",
  stop_gradient: "stop_gradient(x)",
};

export const primitiveNames: readonly string[] = Object.keys(primitiveUsages);

export function isPrimitive(name: string): boolean {
  return primitives.has(name);
}

/** Arguments by position, of which there must be `count`; undefined where not, which is reported. */
function positional(
  a: Analysis,
  call: CallExpression,
  given: readonly Given[],
  count: number,
  name: string,
): readonly Given[] | undefined {
  if (given.length !== count || given.some((g) => g.name !== undefined)) {
    a.report(primitiveUsage(call.span, name, primitiveUsages[name] ?? name));
    return undefined;
  }
  return given.some((g) => g.value.kind === "error") ? undefined : given;
}

function siteOf(shown: string, call: CallExpression, env: Env, label: string): Site {
  return { shown, span: call.span, mark: call.callee.span, env, label };
}

function unary(name: string, fn: UnaryFn | undefined): Primitive {
  return (a, call, given, env, label) => {
    const [x] = positional(a, call, given, 1, name) ?? [];
    if (x === undefined) return errorValue;
    if (isNumber(x.value)) {
      const folded = foldFunction(name, x.value);
      return "value" in folded ? folded.value : a.fail(notANumber(call.span, folded.problem));
    }
    const integers = fn === "abs";
    if (
      fn !== undefined &&
      x.value.kind === "tensor" &&
      (x.value.dtype === "f32" || (integers && x.value.dtype === "i32"))
    ) {
      return tensorUnary(a, fn, x.value, siteOf(name, call, env, label));
    }
    return a.fail(
      operandKinds(
        call.callee.span,
        name,
        [x],
        fn === undefined ? "a setting" : "an f32 tensor or a setting",
      ),
    );
  };
}

function binary(name: "max" | "min" | "pow"): Primitive {
  return (a, call, given, env, label) => {
    const [x, y] = positional(a, call, given, 2, name) ?? [];
    if (x === undefined || y === undefined) return errorValue;
    if (isNumber(x.value) && isNumber(y.value)) {
      const ints = x.value.kind === "int" && y.value.kind === "int";
      const value =
        name === "pow" ? x.value.value ** y.value.value : Math[name](x.value.value, y.value.value);
      if (!Number.isFinite(value)) return a.fail(notANumber(call.span, "it has no value"));
      return ints && Number.isSafeInteger(value) ? intValue(value) : { kind: "float", value };
    }
    if (x.value.kind !== "tensor" && y.value.kind !== "tensor") {
      return a.fail(operandKinds(call.callee.span, name, [x, y], "numbers or tensors"));
    }
    return elementwise(a, name, x, y, siteOf(name, call, env, label));
  };
}

const maximum: Primitive = (a, call, given, env, label) => {
  const two = given.filter((g) => g.name === undefined).length === 2;
  return two ? binary("max")(a, call, given, env, label) : reduce("max")(a, call, given, env, label);
};

const where: Primitive = (a, call, given, env, label) => {
  const [condition, x, y] = positional(a, call, given, 3, "where") ?? [];
  if (condition === undefined || x === undefined || y === undefined) return errorValue;
  if (condition.value.kind !== "tensor" || condition.value.dtype !== "bool") {
    return a.fail(operandKinds(condition.span, "where", [condition], "a bool tensor as its condition"));
  }
  const site = siteOf("where", call, env, label);
  const branches = unifyDtypes(a, x, y, site);
  if (branches === undefined) return errorValue;
  const [then, otherwise] = branches;
  const operands = [
    { value: condition.value, span: condition.span },
    { value: then, span: x.span },
    { value: otherwise, span: y.span },
  ];
  const dims = broadcastOperands(a, operands, site);
  if (dims === undefined) return errorValue;
  const origin = { path: env.path, span: call.span, label };
  return a.emit(
    { op: "where" },
    operands.map((o) => o.value.id),
    then.dtype,
    dims,
    origin,
  );
};

function cast(name: "f32" | "i32"): Primitive {
  return (a, call, given, env, label) => {
    const [x] = positional(a, call, given, 1, name) ?? [];
    if (x === undefined) return errorValue;
    if (isNumber(x.value)) {
      return name === "f32" ? { kind: "float", value: x.value.value } : intValue(Math.trunc(x.value.value));
    }
    if (x.value.kind !== "tensor")
      return a.fail(operandKinds(call.callee.span, name, [x], "a tensor or a number"));
    if (x.value.dtype === name) return x.value;
    return a.emit({ op: "cast" }, [x.value.id], name, x.value.dims, {
      path: env.path,
      span: call.span,
      label,
    });
  };
}

const stopGradient: Primitive = (a, call, given, env, label) => {
  const [x] = positional(a, call, given, 1, "stop_gradient") ?? [];
  if (x === undefined) return errorValue;
  if (isNumber(x.value)) return x.value;
  if (x.value.kind !== "tensor")
    return a.fail(operandKinds(call.callee.span, "stop_gradient", [x], "a tensor"));
  return tensorUnary(a, "stop_gradient", x.value, siteOf("stop_gradient", call, env, label));
};

const unaryNames = [
  "exp",
  "log",
  "sqrt",
  "rsqrt",
  "tanh",
  "erf",
  "abs",
  "sin",
  "cos",
  "floor",
  "sigmoid",
] as const;

export const primitives: ReadonlyMap<string, Primitive> = new Map<string, Primitive>([
  ...unaryNames.map((name): [string, Primitive] => [name, unary(name, name)]),
  ["round", unary("round", undefined)],
  ["pow", binary("pow")],
  ["min", binary("min")],
  ["max", maximum],
  ["sum", reduce("sum")],
  ["mean", reduce("mean")],
  ["where", where],
  ["einsum", einsum],
  ["rearrange", rearrange],
  ["take", take],
  ["gather", gather],
  ["iota", iota],
  ["drop", drop],
  ["f32", cast("f32")],
  ["i32", cast("i32")],
  ["concat", concat],
  ["zeros", fill("zeros", 0)],
  ["ones", fill("ones", 1)],
  ["stop_gradient", stopGradient],
]);
