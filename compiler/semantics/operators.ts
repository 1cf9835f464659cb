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

/** One use of an operator or primitive. */
export interface Site {
  /** As messages call it: `+`, `where`. */
  readonly shown: string;
  /** All of it. */
  readonly span: Span;
  /** The operator or the function's name: where messages point, between or before the operands. */
  readonly mark: Span;
  readonly env: Env;
  readonly label: string | undefined;
}

function originOf({ env, span, label }: Site, otherwise: string) {
  return { path: env.path, span, label: label ?? otherwise };
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

export function tensorUnary(a: Analysis, fn: UnaryFn, operand: TensorValue, site: Site): Value {
  return a.emit({ op: "unary", fn }, [operand.id], operand.dtype, operand.dims, originOf(site, fn));
}

/** An operator of two operands, of which at least one is a tensor. */
export function tensorBinary(
  a: Analysis,
  operator: BinaryOperator,
  left: Operand,
  right: Operand,
  site: Site,
): Value {
  if (operator === "@") return matmul(a, left, right, site);
  return elementwise(a, functionOf[operator], left, right, site);
}

/** An elementwise function of two operands, of which at least one is a tensor; a setting becomes a scalar of its dtype. */
export function elementwise(a: Analysis, fn: BinaryFn, left: Operand, right: Operand, site: Site): Value {
  const pair = unifyDtypes(a, left, right, site);
  if (pair === undefined) return errorValue;
  const [x, y] = pair;
  const logical = fn === "and" || fn === "or";
  const wanted = logical ? "bools" : fn === "pow" ? "f32 tensors" : "numbers";
  if (logical !== (x.dtype === "bool") || (fn === "pow" && x.dtype !== "f32")) {
    return a.fail(operandKinds(site.mark, site.shown, [left, right], wanted));
  }
  const operands = [
    { ...left, value: x },
    { ...right, value: y },
  ];
  const dims = broadcastOperands(a, operands, site);
  if (dims === undefined) return errorValue;
  const dtype = comparisons.has(fn) ? "bool" : x.dtype;
  return a.emit({ op: "binary", fn }, [x.id, y.id], dtype, dims, originOf(site, fn));
}

/** Both as tensors of one dtype; undefined where they are not, which is reported. */
export function unifyDtypes(
  a: Analysis,
  left: Operand,
  right: Operand,
  site: Site,
): readonly [TensorValue, TensorValue] | undefined {
  const tensors = [left.value, right.value].flatMap((v) => (v.kind === "tensor" ? [v] : []));
  const dtype = tensors[0]?.dtype ?? "f32";
  const x = toTensor(a, left, dtype, right, site);
  const y = toTensor(a, right, dtype, left, site);
  if (x === undefined || y === undefined) return undefined;
  if (x.dtype !== y.dtype) {
    a.report(mixedDtypes(site.mark, site.shown, left, right));
    return undefined;
  }
  return [x, y];
}

function toTensor(
  a: Analysis,
  operand: Operand,
  dtype: DType,
  other: Operand,
  site: Site,
): TensorValue | undefined {
  const { value } = operand;
  if (value.kind === "tensor") return value;
  if (value.kind === "error") return undefined;
  if (value.kind === "float" && dtype === "i32") {
    a.report(integerTensorNeeded(operand, other, site.shown));
    return undefined;
  }
  if (dtype === "bool" ? value.kind !== "bool" : !isNumber(value)) {
    const wanted = dtype === "bool" ? "bools" : "numbers or tensors";
    a.report(operandKinds(site.mark, site.shown, [operand, other], wanted));
    return undefined;
  }
  const number = value.kind === "bool" || isNumber(value) ? Number(value.value) : 0;
  const fill = scalar(a, number, dtype, operand.span, site.env);
  return fill.kind === "tensor" ? fill : undefined;
}

const LARGEST_F32 = 3.4028234663852886e38;

/** A scalar tensor of a setting's value. */
export function scalar(a: Analysis, value: number, dtype: DType, span: Span, env: Env): Value {
  const most = dtype === "i32" ? 2 ** 31 - 1 : LARGEST_F32;
  if (Math.abs(value) > most) return a.fail(numberRange(span, value, dtype));
  return a.emit({ op: "fill", value }, [], dtype, [], { path: env.path, span, label: "constant" });
}

interface TensorOperand {
  readonly value: TensorValue;
  readonly span: Span;
}

/** The common shape by NumPy's rule; undefined where there is none, which is reported. */
export function broadcastOperands(
  a: Analysis,
  operands: readonly TensorOperand[],
  site: Site,
): readonly Dim[] | undefined {
  let dims: readonly Dim[] = [];
  let widest = operands[0];
  for (const operand of operands) {
    const joined = broadcastDims(dims, operand.value.dims);
    if ("mismatch" in joined) {
      if (widest !== undefined)
        a.report(broadcastMismatch(site.mark, site.shown, widest, operand, joined.mismatch));
      return undefined;
    }
    const grew = joined.dims.length > dims.length || joined.dims.some((d, i) => d.size !== dims[i]?.size);
    if (grew) widest = operand;
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

function matmul(a: Analysis, left: Operand, right: Operand, site: Site): Value {
  const [x, y] = [left.value, right.value];
  const { mark } = site;
  if (x.kind !== "tensor" || y.kind !== "tensor" || x.dtype !== "f32" || y.dtype !== "f32") {
    return a.fail(operandKinds(mark, "@", [left, right], "f32 tensors"));
  }
  const inner = x.dims.at(-1);
  const rows = y.dims.at(-2);
  const columns = y.dims.at(-1);
  if (inner === undefined || rows === undefined || columns === undefined) {
    const wanted = "a tensor of one axis or more, and one of two or more";
    return a.fail(operandKinds(mark, "@", [left, right], wanted));
  }
  if (inner.size !== rows.size) return a.fail(matmulMismatch(mark, left, right, inner, rows));
  const batch = broadcastDims(x.dims.slice(0, -2), y.dims.slice(0, -2));
  if ("mismatch" in batch) return a.fail(broadcastMismatch(mark, "@", left, right, batch.mismatch));
  const dims = [...batch.dims, ...x.dims.slice(0, -1).slice(-1), columns];
  return a.emit({ op: "matmul" }, [x.id, y.id], "f32", dims, originOf(site, "matmul"));
}
