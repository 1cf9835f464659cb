import type { Span } from "../diagnostics/index.ts";
import type { Dimension, Expression, Name, Parameter, TensorType, Type } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { dimensionSize } from "./dimensions.ts";
import {
  argumentTwice,
  dimensionMismatch,
  dtypeMismatch,
  duplicateName,
  ellipsisMismatch,
  missingArgument,
  notTensor,
  rankMismatch,
  resultCount,
  tooManyArguments,
  unboundEllipsis,
  unknownArgument,
} from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { lookupName } from "./names.ts";
import { scalar } from "./operators.ts";
import { toSetting } from "./setting-types.ts";
import { type Dim, errorValue, intValue, isNumber, type TensorValue, type Value } from "./value.ts";

/** An argument of a call, evaluated in the caller's scope. */
export interface Given {
  readonly name?: Name;
  readonly value: Value;
  readonly span: Span;
}

/** What a call's tensor types have bound beside names: the axes that `...` stands for. */
export interface Bound {
  ellipsis?: { readonly dims: readonly Dim[]; readonly span: Span; readonly what: string };
  /** An argument was wrong and is reported: the body is not worth reading. */
  failed: boolean;
}

/**
 * Gives every parameter of `callee` its argument or default, and defines it in `env.scope`, the callee's own.
 * Dimension names of tensor types are bound by the first tensor that has them.
 */
export function bindParameters(
  a: Analysis,
  callee: string,
  parameters: readonly Parameter[],
  given: readonly Given[],
  callSpan: Span,
  env: Env,
): Bound {
  const bound: Bound = { failed: false };
  const slots = assign(a, callee, parameters, given, callSpan, bound);
  const tensors: {
    readonly parameter: Parameter;
    readonly type: TensorType;
    readonly value: TensorValue;
    readonly span: Span;
  }[] = [];
  for (const parameter of parameters) {
    const slot = slots.get(parameter.name.text);
    let value: Value = errorValue;
    if (slot !== undefined) value = slot.value;
    else if (parameter.default !== undefined) value = evaluate(a, parameter.default, env);
    const span = slot?.span ?? parameter.default?.span ?? callSpan;
    const type = parameter.type;
    if (type.kind === "tensorType") {
      const tensor = asTensor(a, value, type, span, env);
      if (tensor === undefined) bound.failed = true;
      else tensors.push({ parameter, type, value: tensor, span });
    } else {
      const setting =
        type.kind === "settingType"
          ? toSetting(
              a,
              value,
              type.name,
              span,
              `\`${parameter.name.text}\` of \`${callee}\``,
              parameter.span,
            )
          : errorValue;
      if (setting.kind === "error") bound.failed = true;
      define(a, env, parameter.name, named(setting, parameter.name, span));
    }
  }
  // Names by themselves first, so that `2 * n` may stand before `n`.
  for (const part of ["names", "compound"] as const) {
    for (const t of tensors) {
      const place = {
        what: `\`${t.parameter.name.text}\` of \`${callee}\``,
        span: t.span,
        typeSpan: t.type.span,
      };
      if (!bindTensor(a, t.type, t.value, place, env, bound, part)) bound.failed = true;
    }
  }
  for (const t of tensors) define(a, env, t.parameter.name, inner(t.value, t.type, env, bound));
  return bound;
}

function define(a: Analysis, env: Env, name: Name, value: Value): void {
  a.observe?.(name.span, env.path, value);
  const known = env.scope.define(name.text, value, name.span);
  if (known !== undefined) a.report(duplicateName(name.text, name.span, known.span));
}

function assign(
  a: Analysis,
  callee: string,
  parameters: readonly Parameter[],
  given: readonly Given[],
  callSpan: Span,
  bound: Bound,
): ReadonlyMap<string, Given> {
  const slots = new Map<string, Given>();
  let position = 0;
  for (const argument of given) {
    const name = argument.name?.text ?? parameters[position++]?.name.text;
    if (name === undefined) {
      a.report(tooManyArguments(callee, parameters, argument.span));
      bound.failed = true;
      break;
    }
    if (argument.name !== undefined && !parameters.some((p) => p.name.text === name)) {
      a.report(unknownArgument(callee, argument.name, parameters));
      bound.failed = true;
      continue;
    }
    const known = slots.get(name);
    if (known !== undefined) a.report(argumentTwice(callee, name, argument.span, known.span));
    else slots.set(name, argument);
  }
  const missing = parameters.filter((p) => !slots.has(p.name.text) && p.default === undefined);
  if (missing.length > 0 && !bound.failed) a.report(missingArgument(callee, missing, callSpan));
  if (missing.length > 0) bound.failed = true;
  return slots;
}

/** An int setting carries its name as a dimension, and the caller's name for it. */
function named(value: Value, name: Name, argumentSpan: Span): Value {
  if (value.kind !== "int") return value;
  const outer: Dim = { ...value.dim, size: value.value, at: argumentSpan };
  return intValue(value.value, { size: value.value, name: name.text, at: name.span, outer });
}

/** A tensor for a parameter of tensor type; a number becomes a scalar of its dtype. */
function asTensor(
  a: Analysis,
  value: Value,
  type: TensorType,
  span: Span,
  env: Env,
): TensorValue | undefined {
  if (value.kind === "error") return undefined;
  if (isNumber(value) && type.dtype !== "bool" && (type.dtype === "f32" || value.kind === "int")) {
    const fill = scalar(a, value.value, type.dtype, span, env);
    return fill.kind === "tensor" ? fill : undefined;
  }
  if (value.kind !== "tensor") {
    a.report(notTensor(span, value, type.span));
    return undefined;
  }
  if (value.dtype !== type.dtype) {
    a.report(dtypeMismatch(span, value, type));
    return undefined;
  }
  return value;
}

interface TensorPlace {
  /** e.g. `x` of `Linear` */
  readonly what: string;
  readonly span: Span;
  readonly typeSpan: Span;
}

/** The axes of a tensor, each with the dimension of the type that it meets; undefined where the ranks differ. */
function align(
  type: TensorType,
  dims: readonly Dim[],
):
  | {
      readonly pairs: readonly (readonly [Expression, Dim])[];
      readonly rest?: { readonly dims: readonly Dim[]; readonly span: Span };
    }
  | undefined {
  const at = type.dims.findIndex((d) => d.kind === "ellipsis");
  const fixed = type.dims.length - (at < 0 ? 0 : 1);
  if (at < 0 ? dims.length !== fixed : dims.length < fixed) return undefined;
  const extra = dims.length - fixed;
  const pairs: (readonly [Expression, Dim])[] = [];
  type.dims.forEach((dimension: Dimension, i) => {
    const dim = dims[at >= 0 && i > at ? i + extra - 1 : i];
    if (dimension.kind !== "ellipsis" && dim !== undefined) pairs.push([dimension, dim]);
  });
  const ellipsis = type.dims[at];
  if (ellipsis === undefined) return { pairs };
  return { pairs, rest: { dims: dims.slice(at, at + extra), span: ellipsis.span } };
}

/**
 * Holds a tensor against a type. `names` binds new names and `...` and checks the dimensions that are names; `compound`
 * checks the others; `check` checks all and binds nothing.
 */
function bindTensor(
  a: Analysis,
  type: TensorType,
  tensor: TensorValue,
  place: TensorPlace,
  env: Env,
  bound: Bound,
  part: "names" | "compound" | "check",
): boolean {
  const aligned = align(type, tensor.dims);
  if (aligned === undefined) {
    if (part !== "compound") a.report(rankMismatch(place.span, tensor, type, place.what));
    return false;
  }
  let fits = true;
  if (part !== "compound" && aligned.rest !== undefined) {
    if (bound.ellipsis === undefined) {
      if (part === "names") bound.ellipsis = { ...aligned.rest, what: place.what };
      else {
        a.report(unboundEllipsis(aligned.rest.span));
        fits = false;
      }
    } else if (!sameSizes(bound.ellipsis.dims, aligned.rest.dims)) {
      a.report(ellipsisMismatch(place.span, tensor, place.what, aligned.rest, bound.ellipsis));
      fits = false;
    }
  }
  for (const [dimension, dim] of aligned.pairs) {
    if (part !== "check" && (dimension.kind === "name") !== (part === "names")) continue;
    const isNew =
      dimension.kind === "name" && lookupName(a, dimension.text, dimension.span, env) === undefined;
    if (dimension.kind === "name" && isNew && part === "names") {
      const size = { size: dim.size, name: dimension.text, at: dimension.span, outer: dim };
      const value = intValue(dim.size, size);
      a.observe?.(dimension.span, env.path, value);
      env.scope.define(dimension.text, value, dimension.span);
      continue;
    }
    const wanted = dimensionSize(a, dimension, env);
    if (wanted === undefined) fits = false;
    else if (wanted.size !== dim.size) {
      a.report(dimensionMismatch(place, tensor, dimension, wanted, dim));
      fits = false;
    }
  }
  return fits;
}

function sameSizes(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim.size === b[i]?.size);
}

/** An argument as the callee sees it: its axes called as in the parameter's type. */
function inner(tensor: TensorValue, type: TensorType, env: Env, bound: Bound): TensorValue {
  const aligned = align(type, tensor.dims);
  if (aligned === undefined || bound.failed) return tensor;
  const dims = tensor.dims.map((dim): Dim => ({ ...withoutOuter(dim), outer: dim }));
  const at = type.dims.findIndex((d) => d.kind === "ellipsis");
  const extra = dims.length - type.dims.length + 1;
  type.dims.forEach((dimension, i) => {
    const axis = at >= 0 && i > at ? i + extra - 1 : i;
    const dim = dims[axis];
    if (dimension.kind !== "name" || dim?.outer === undefined) return;
    const binding = env.scope.lookup(dimension.text);
    const value = binding?.value;
    if (value?.kind !== "int" || value.dim === undefined) return;
    dims[axis] = { ...value.dim, outer: dim.outer };
  });
  return { ...tensor, dims };
}

function withoutOuter(dim: Dim): Dim {
  const { outer: _, ...rest } = dim;
  return rest;
}

/** A result as the caller sees it: its axes called as before the call. */
export function leave(value: Value): Value {
  if (value.kind === "tensor") return { ...value, dims: value.dims.map((dim) => dim.outer ?? dim) };
  if (value.kind === "int" && value.dim?.outer !== undefined) return intValue(value.value, value.dim.outer);
  return value;
}

/**
 * Holds a body's values against the declared results. Where one is wrong and reported, the declared type stands for it,
 * so that the callers are still checked.
 */
export function checkResults(
  a: Analysis,
  callee: string,
  results: readonly Type[],
  given: readonly Given[],
  bodySpan: Span,
  env: Env,
  bound: Bound,
): readonly Value[] {
  const flat = given.flatMap((g) =>
    g.value.kind === "tuple" ? g.value.elements.map((value): Given => ({ value, span: g.span })) : [g],
  );
  if (flat.length !== results.length) {
    if (!flat.some((g) => g.value.kind === "error"))
      a.report(resultCount(callee, results, flat.length, bodySpan));
    return results.map((type) => declared(a, type, env, bound));
  }
  return results.map((type, i) => {
    const result = flat[i];
    if (result === undefined || result.value.kind === "error") return declared(a, type, env, bound);
    if (type.kind === "errorType") return errorValue;
    if (type.kind === "settingType")
      return toSetting(a, result.value, type.name, result.span, `the result of \`${callee}\``, type.span);
    const tensor = asTensor(a, result.value, type, result.span, env);
    if (tensor === undefined) return declared(a, type, env, bound);
    const place = { what: `the result of \`${callee}\``, span: result.span, typeSpan: type.span };
    const fits = bindTensor(a, type, tensor, place, env, bound, "check");
    return fits ? tensor : declared(a, type, env, bound);
  });
}

/** A stand-in of the declared type, never part of a model: an error is reported already. */
function declared(a: Analysis, type: Type, env: Env, bound: Bound): Value {
  if (type.kind !== "tensorType") return errorValue;
  const dims: Dim[] = [];
  for (const dimension of type.dims) {
    if (dimension.kind === "ellipsis") {
      if (bound.ellipsis === undefined) return errorValue;
      dims.push(...bound.ellipsis.dims);
      continue;
    }
    const dim = dimensionSize(a, dimension, env);
    if (dim === undefined) return errorValue;
    dims.push(dim);
  }
  return { kind: "tensor", id: -1, dtype: type.dtype, dims };
}
