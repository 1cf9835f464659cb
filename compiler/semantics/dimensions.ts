import type { Expression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { compoundDimension, notDimension, unboundDimension } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { lookupName } from "./names.ts";
import { exactInt } from "./numbers.ts";
import type { Dim } from "./value.ts";

/** The size that a dimension of a type says: a positive int. All its names must be bound. */
export function dimensionSize(a: Analysis, dimension: Expression, env: Env): Dim | undefined {
  if (dimension.kind === "name" && lookupName(a, dimension.text, dimension.span, env) === undefined) {
    a.report(unboundDimension(dimension, env));
    return undefined;
  }
  const unbound = dimension.kind === "name" ? undefined : firstUnbound(a, dimension, env);
  if (unbound !== undefined) {
    a.report(compoundDimension(dimension.span, unbound));
    return undefined;
  }
  const value = evaluate(a, dimension, env);
  if (value.kind === "error") return undefined;
  const size = exactInt(value);
  if (size === undefined || size < 1) {
    a.report(notDimension(dimension.span, value));
    return undefined;
  }
  return value.kind === "int" && value.dim !== undefined ? value.dim : { size };
}

function firstUnbound(a: Analysis, dimension: Expression, env: Env): Expression | undefined {
  switch (dimension.kind) {
    case "name":
      return lookupName(a, dimension.text, dimension.span, env) === undefined ? dimension : undefined;
    case "unary":
      return firstUnbound(a, dimension.operand, env);
    case "binary":
      return firstUnbound(a, dimension.left, env) ?? firstUnbound(a, dimension.right, env);
    default:
      return undefined;
  }
}
