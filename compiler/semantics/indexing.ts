import type { CallExpression, IndexElement, IndexExpression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import {
  concatMismatch,
  gatherMismatch,
  indexCount,
  indexRange,
  notSetting,
  operandKinds,
  primitiveUsage,
} from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { exactInt } from "./numbers.ts";
import type { Primitive } from "./primitives.ts";
import { readAxis } from "./reductions.ts";
import type { Given } from "./signature.ts";
import { type Dim, errorValue, isNumber, type TensorValue, type Value } from "./value.ts";

/** `x[a:b, :, i]` of a tensor; `blocks[i]` of a repeated layer. Negative bounds count from the end. */
export function evaluateIndex(
  a: Analysis,
  expression: IndexExpression,
  env: Env,
  label: string | undefined,
): Value {
  const target = evaluate(a, expression.target, env);
  if (target.kind === "error") return errorValue;
  const [first] = expression.items;
  if (target.kind === "repeated" && expression.items.length === 1 && first?.kind === "at") {
    const value = evaluate(a, first.value, env);
    if (value.kind === "error") return errorValue;
    const instance = target.instances[exactInt(value) ?? -1];
    if (instance === undefined) return a.fail(indexRange(first.span, value, target.instances.length));
    return { kind: "instance", instance };
  }
  if (target.kind !== "tensor") {
    return a.fail(
      operandKinds(
        expression.span,
        "[...]",
        [{ value: target, span: expression.target.span }],
        "a tensor or a repeated layer",
      ),
    );
  }
  const items = spread(expression.items, target.dims.length);
  if (items === undefined) return a.fail(indexCount(expression, target));
  const start: number[] = [];
  const end: number[] = [];
  const dropped: number[] = [];
  const dims: Dim[] = [];
  for (const [axis, dim] of target.dims.entries()) {
    const item = items[axis];
    const range = item === undefined ? { from: 0, to: dim.size } : readItem(a, item, dim, env);
    if (range === undefined) return errorValue;
    start.push(range.from);
    end.push(range.to);
    if (item?.kind === "at") dropped.push(axis);
    else dims.push(range.to - range.from === dim.size ? dim : (range.dim ?? { size: range.to - range.from }));
  }
  const origin = { path: env.path, span: expression.span, label: label ?? "slice" };
  return a.emit({ op: "slice", start, end, dropped }, [target.id], target.dtype, dims, origin);
}

/** One item an axis (undefined: all of it); undefined where there are more items than axes. */
function spread(
  items: readonly IndexElement[],
  rank: number,
): readonly (IndexElement | undefined)[] | undefined {
  const at = items.findIndex((item) => item.kind === "ellipsis");
  const missing = rank - items.length + (at < 0 ? 0 : 1);
  if (missing < 0) return undefined;
  const all = new Array<undefined>(missing).fill(undefined);
  return at < 0 ? [...items, ...all] : [...items.slice(0, at), ...all, ...items.slice(at + 1)];
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly dim?: Dim;
}

function readItem(a: Analysis, item: IndexElement, dim: Dim, env: Env): Range | undefined {
  if (item.kind === "ellipsis") return { from: 0, to: dim.size };
  if (item.kind === "at") {
    const value = evaluate(a, item.value, env);
    if (value.kind === "error") return undefined;
    const at = exactInt(value);
    if (at === undefined || at < -dim.size || at >= dim.size) {
      a.report(indexRange(item.span, value, dim.size));
      return undefined;
    }
    const from = at < 0 ? at + dim.size : at;
    return { from, to: from + 1 };
  }
  const from = item.start === undefined ? { at: 0 } : readBound(a, item.start, dim, env);
  const to = item.stop === undefined ? { at: dim.size } : readBound(a, item.stop, dim, env);
  if (from === undefined || to === undefined) return undefined;
  if (from.at >= to.at) {
    a.report(indexRange(item.span, { kind: "int", value: from.at }, dim.size, to.at));
    return undefined;
  }
  const named = from.at === 0 && to.dim !== undefined ? { dim: to.dim } : {};
  return { from: from.at, to: to.at, ...named };
}

function readBound(
  a: Analysis,
  expression: Parameters<typeof evaluate>[1],
  dim: Dim,
  env: Env,
): { readonly at: number; readonly dim?: Dim } | undefined {
  const value = evaluate(a, expression, env);
  if (value.kind === "error") return undefined;
  const at = exactInt(value);
  if (at === undefined || at < -dim.size || at > dim.size) {
    a.report(indexRange(expression.span, value, dim.size));
    return undefined;
  }
  const named = value.kind === "int" && value.dim !== undefined ? { dim: value.dim } : {};
  return at < 0 ? { at: at + dim.size } : { at, ...named };
}

function tensors(
  a: Analysis,
  name: string,
  usage: string,
  given: readonly Given[],
  call: CallExpression,
): readonly [Given & { readonly value: TensorValue }, Given & { readonly value: TensorValue }] | undefined {
  const [x, y] = given;
  if (x === undefined || y === undefined || given.length !== 2 || given.some((g) => g.name !== undefined)) {
    a.report(primitiveUsage(call.span, name, usage));
    return undefined;
  }
  if (x.value.kind === "error" || y.value.kind === "error") return undefined;
  if (x.value.kind !== "tensor" || y.value.kind !== "tensor" || y.value.dtype !== "i32") {
    a.report(operandKinds(call.callee.span, name, [x, y], "a tensor and i32 indices"));
    return undefined;
  }
  return [
    { ...x, value: x.value },
    { ...y, value: y.value },
  ];
}

/** table [N, ...rest] at i32 [...I] -> [...I, ...rest] */
export const take: Primitive = (a, call, given, env, label) => {
  const pair = tensors(a, "take", "take(table, indices)", given, call);
  if (pair === undefined) return errorValue;
  const [table, indices] = pair;
  if (table.value.dims.length < 1)
    return a.fail(operandKinds(call.callee.span, "take", pair, "a table of one axis or more"));
  const dims = [...indices.value.dims, ...table.value.dims.slice(1)];
  const origin = { path: env.path, span: call.span, label };
  return a.emit({ op: "take" }, [table.value.id, indices.value.id], table.value.dtype, dims, origin);
};

/** x [B, T, ...rest], indices i32 [B, P] -> [B, P, ...rest] */
export const gather: Primitive = (a, call, given, env, label) => {
  const pair = tensors(a, "gather", "gather(x, indices)", given, call);
  if (pair === undefined) return errorValue;
  const [x, indices] = pair;
  const [batch] = x.value.dims;
  const [rows, columns] = indices.value.dims;
  if (
    x.value.dims.length < 2 ||
    rows === undefined ||
    columns === undefined ||
    indices.value.dims.length !== 2
  ) {
    return a.fail(operandKinds(call.callee.span, "gather", pair, "a tensor [B, T, ...] and indices [B, P]"));
  }
  if (batch === undefined || batch.size !== rows.size) {
    return a.fail(gatherMismatch(call.callee.span, x, indices));
  }
  const dims = [batch, columns, ...x.value.dims.slice(2)];
  const origin = { path: env.path, span: call.span, label };
  return a.emit({ op: "gather" }, [x.value.id, indices.value.id], x.value.dtype, dims, origin);
};

export const iota: Primitive = (a, call, given, env, label) => {
  const [n] = given;
  if (n === undefined || given.length !== 1 || n.name !== undefined) {
    return a.fail(primitiveUsage(call.span, "iota", "iota(n)"));
  }
  const dim = readSize(a, n, "`n` of `iota`");
  if (dim === undefined) return errorValue;
  return a.emit({ op: "iota" }, [], "i32", [dim], { path: env.path, span: call.span, label });
};

function readSize(a: Analysis, given: Given, what: string): Dim | undefined {
  if (given.value.kind === "error") return undefined;
  const size = exactInt(given.value);
  if (size === undefined || size < 1) {
    a.report(notSetting(given.span, what, "dim", given.value, undefined));
    return undefined;
  }
  return given.value.kind === "int" && given.value.dim !== undefined ? given.value.dim : { size };
}

export const drop: Primitive = (a, call, given, env, label) => {
  const [x, p] = given;
  if (x === undefined || p === undefined || given.length !== 2 || given.some((g) => g.name !== undefined)) {
    return a.fail(primitiveUsage(call.span, "drop", "drop(x, p)"));
  }
  if (x.value.kind === "error" || p.value.kind === "error") return errorValue;
  if (x.value.kind !== "tensor" || x.value.dtype !== "f32") {
    return a.fail(operandKinds(call.callee.span, "drop", [x], "an f32 tensor"));
  }
  if (!isNumber(p.value) || p.value.value < 0 || p.value.value >= 1) {
    return a.fail(operandKinds(p.span, "drop", [p], "a rate from 0 up to but not including 1"));
  }
  if (p.value.value === 0) return x.value;
  const origin = { path: env.path, span: call.span, label };
  return a.emit({ op: "drop", rate: p.value.value }, [x.value.id], "f32", x.value.dims, origin);
};

export const concat: Primitive = (a, call, given, env, label) => {
  const list = given[0];
  const axisGiven = given.find((g) => g.name?.text === "axis");
  if (list === undefined || list.name !== undefined || axisGiven === undefined || given.length !== 2) {
    return a.fail(primitiveUsage(call.span, "concat", "concat([a, b], axis: n)"));
  }
  if (list.value.kind === "error" || axisGiven.value.kind === "error") return errorValue;
  const elements = list.value.kind === "list" ? list.value.elements : [];
  const parts: TensorValue[] = [];
  for (const element of elements) {
    if (element.kind === "error") return errorValue;
    if (element.kind === "tensor") parts.push(element);
  }
  const [first] = parts;
  if (first === undefined || parts.length !== elements.length) {
    return a.fail(operandKinds(call.callee.span, "concat", [list], "a list of tensors"));
  }
  const axis = readAxis(a, "concat", axisGiven, first);
  if (axis === undefined) return errorValue;
  for (const part of parts) {
    const fits =
      part.dtype === first.dtype &&
      part.dims.length === first.dims.length &&
      part.dims.every((dim, i) => i === axis || dim.size === first.dims[i]?.size);
    if (!fits) return a.fail(concatMismatch(list.span, axis, first, part));
  }
  const size = parts.reduce((n, part) => n + (part.dims[axis]?.size ?? 0), 0);
  const dims = first.dims.map((dim, i) => (i === axis && parts.length > 1 ? { size } : dim));
  const origin = { path: env.path, span: call.span, label };
  return a.emit(
    { op: "concat", axis },
    parts.map((part) => part.id),
    first.dtype,
    dims,
    origin,
  );
};

/** `zeros(2, hidden)`: f32. */
export function fill(name: string, value: number): Primitive {
  return (a, call, given, env, label) => {
    if (given.some((g) => g.name !== undefined))
      return a.fail(primitiveUsage(call.span, name, `${name}(sizes...)`));
    const dims: Dim[] = [];
    for (const size of given) {
      const dim = readSize(a, size, `a size of \`${name}\``);
      if (dim === undefined) return errorValue;
      dims.push(dim);
    }
    return a.emit({ op: "fill", value }, [], "f32", dims, { path: env.path, span: call.span, label });
  };
}
