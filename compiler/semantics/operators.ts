import type { Span } from "../diagnostics/index.ts";
import type { DType } from "../program/index.ts";
import type { BinaryOperator } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import {
  broadcastMismatch,
  integerTensorNeeded,
  matmulMismatch,
  mixedDtypes,
  numberRange,
  operandKinds,
} from "./errors.ts";
import type { BinaryFn, UnaryFn } from "./model.ts";
import { type Dim, errorValue, isNumber, type TensorValue, type Value } from "./value.ts";

/** A value and the text it came from. */
export interface Operand {
  readonly value: Value;
  readonly span: Span;
}

const functionOf: Readonly<Record<Exclude<BinaryOperator, "@">, BinaryFn>> = {
  or: "or",
  and: "and",
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "%": "mod",
  "**": "pow",
};

const comparisons: ReadonlySet<BinaryFn> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);

export function tensorUnary(
  a: Analysis,
  fn: UnaryFn,
  operand: TensorValue,
  span: Span,
  env: Env,
  label: string | undefined,
): Value {
  const origin = { path: env.path, span, label: label ?? fn };
  return a.emit({ op: "unary", fn }, [operand.id], operand.dtype, operand.dims, origin);
}

export function tensorBinary(
  a: Analysis,
  operator: BinaryOperator,
  left: Operand,
  right: Operand,
  span: Span,
  env: Env,
  label: string | undefined,
): Value {
  if (operator === "@") return matmul(a, left, right, span, env, label);
  return elementwise(a, functionOf[operator], operator, left, right, span, env, label);
}

/** An elementwise function of two operands, of which at least one is a tensor; a setting becomes a scalar of its dtype. */
export function elementwise(
  a: Analysis,
  fn: BinaryFn,
  shown: string,
  left: Operand,
  right: Operand,
  span: Span,
  env: Env,
  label: string | undefined,
): Value {
  const pair = unifyDtypes(a, shown, left, right, span, env);
  if (pair === undefined) return errorValue;
  const [x, y] = pair;
  const logical = fn === "and" || fn === "or";
  if (logical !== (x.dtype === "bool")) {
    return a.fail(
      operandKinds(
        span,
        shown,
        [left, right],
        logical ? "bools" : "numbers; `f32(x)` makes 0 and 1 of a bool tensor",
      ),
    );
  }
  if (fn === "pow" && x.dtype !== "f32")
    return a.fail(operandKinds(span, shown, [left, right], "f32 tensors"));
  const dims = broadcastOperands(
    a,
    shown,
    [
      { ...left, value: x },
      { ...right, value: y },
    ],
    span,
  );
  if (dims === undefined) return errorValue;
  const dtype = comparisons.has(fn) ? "bool" : x.dtype;
  return a.emit({ op: "binary", fn }, [x.id, y.id], dtype, dims, {
    path: env.path,
    span,
    label: label ?? fn,
  });
}

/** Both as tensors of one dtype; undefined where they are not, which is reported. */
export function unifyDtypes(
  a: Analysis,
  shown: string,
  left: Operand,
  right: Operand,
  span: Span,
  env: Env,
): readonly [TensorValue, TensorValue] | undefined {
  const dtype =
    left.value.kind === "tensor"
      ? left.value.dtype
      : right.value.kind === "tensor"
        ? right.value.dtype
        : "f32";
  const x = toTensor(a, shown, left, dtype, right, span, env);
  const y = toTensor(a, shown, right, dtype, left, span, env);
  if (x === undefined || y === undefined) return undefined;
  if (x.dtype !== y.dtype) {
    a.report(mixedDtypes(span, shown, left, right));
    return undefined;
  }
  return [x, y];
}

function toTensor(
  a: Analysis,
  shown: string,
  operand: Operand,
  dtype: DType,
  other: Operand,
  span: Span,
  env: Env,
): TensorValue | undefined {
  const { value } = operand;
  if (value.kind === "tensor") return value;
  if (value.kind === "error") return undefined;
  if (value.kind === "float" && dtype === "i32") {
    a.report(integerTensorNeeded(operand, other, shown));
    return undefined;
  }
  const fits = dtype === "bool" ? value.kind === "bool" : isNumber(value);
  if (!fits || (value.kind !== "bool" && !isNumber(value))) {
    a.report(operandKinds(span, shown, [operand, other], dtype === "bool" ? "bools" : "numbers or tensors"));
    return undefined;
  }
  const fill = scalar(a, Number(value.value), dtype, operand.span, env);
  return fill.kind === "tensor" ? fill : undefined;
}

const LARGEST_F32 = 3.4028234663852886e38;

/** A scalar tensor of a setting's value. */
export function scalar(a: Analysis, value: number, dtype: DType, span: Span, env: Env): Value {
  const most = dtype === "i32" ? 2 ** 31 - 1 : LARGEST_F32;
  if (Math.abs(value) > most) return a.fail(numberRange(span, value, dtype));
  return a.emit({ op: "fill", value }, [], dtype, [], { path: env.path, span, label: "constant" });
}

/** The common shape by NumPy's rule; undefined where there is none, which is reported. */
export function broadcastOperands(
  a: Analysis,
  shown: string,
  operands: readonly { readonly value: TensorValue; readonly span: Span }[],
  span: Span,
): readonly Dim[] | undefined {
  let dims: readonly Dim[] = [];
  let soFar = operands[0];
  for (const operand of operands) {
    const joined = broadcastDims(dims, operand.value.dims);
    if ("mismatch" in joined) {
      if (soFar !== undefined) a.report(broadcastMismatch(span, shown, soFar, operand, joined.mismatch));
      return undefined;
    }
    if (joined.dims.length > dims.length || joined.dims.some((d, i) => d.size !== dims[i]?.size))
      soFar = operand;
    dims = joined.dims;
  }
  return dims;
}

export function broadcastDims(
  a: readonly Dim[],
  b: readonly Dim[],
): { readonly dims: readonly Dim[] } | { readonly mismatch: readonly [Dim, Dim] } {
  const rank = Math.max(a.length, b.length);
  const dims: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const x = a[axis - rank + a.length];
    const y = b[axis - rank + b.length];
    if (x === undefined || y === undefined) {
      const only = x ?? y;
      if (only !== undefined) dims.push(only);
    } else if (x.size === y.size) dims.push(x.name !== undefined || y.name === undefined ? x : y);
    else if (x.size === 1) dims.push(y);
    else if (y.size === 1) dims.push(x);
    else return { mismatch: [x, y] };
  }
  return { dims };
}

function matmul(
  a: Analysis,
  left: Operand,
  right: Operand,
  span: Span,
  env: Env,
  label: string | undefined,
): Value {
  const [x, y] = [left.value, right.value];
  if (x.kind !== "tensor" || y.kind !== "tensor" || x.dtype !== "f32" || y.dtype !== "f32") {
    return a.fail(operandKinds(span, "@", [left, right], "f32 tensors"));
  }
  const inner = x.dims.at(-1);
  const rows = y.dims.at(-2);
  const columns = y.dims.at(-1);
  if (inner === undefined || rows === undefined || columns === undefined) {
    return a.fail(
      operandKinds(span, "@", [left, right], "a tensor of one axis or more, and one of two or more"),
    );
  }
  if (inner.size !== rows.size) {
    return a.fail(
      matmulMismatch(span, { value: x, span: left.span }, { value: y, span: right.span }, inner, rows),
    );
  }
  const batch = broadcastDims(x.dims.slice(0, -2), y.dims.slice(0, -2));
  if ("mismatch" in batch) {
    const operands = [
      { value: x, span: left.span },
      { value: y, span: right.span },
    ] as const;
    return a.fail(broadcastMismatch(span, "@", operands[0], operands[1], batch.mismatch));
  }
  const dims = [...batch.dims, ...x.dims.slice(0, -1).slice(-1), columns];
  return a.emit({ op: "matmul" }, [x.id, y.id], "f32", dims, {
    path: env.path,
    span,
    label: label ?? "matmul",
  });
}
