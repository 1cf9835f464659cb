import type { DType } from "../program/index.ts";
import type { Expr } from "./expr.ts";

/**
 * Builds scalar expressions for one element of a kernel. The `lower` rule of every graph op is written with it:
 * `lower(s, inputs, at, node)` gives the element of the output at index `at` (one i32 expression an axis) from
 * accessors of the inputs. Moving data changes `at`; a sum adds an axis with `reduce`.
 * Index arithmetic (i32) is normalised as it is built: `(i * 64 + j) / 64` with j in 0..63 gives `i`.
 */
export interface ScalarBuilder {
  constant(dtype: DType, value: number): Expr;
  /** A function of `scalar-fn.ts` applied to scalars; result dtype follows from the function. */
  call(fn: ScalarFn, ...args: readonly Expr[]): Expr;
  select(condition: Expr, then: Expr, otherwise: Expr): Expr;
  cast(dtype: DType, x: Expr): Expr;
  /** Index arithmetic on i32; `floorDiv` and `modulo` by a positive constant. */
  addIndex(a: Expr, b: Expr): Expr;
  scaleIndex(a: Expr, factor: number): Expr;
  floorDiv(a: Expr, divisor: number): Expr;
  modulo(a: Expr, divisor: number): Expr;
  /** Row-major index of `at` in `shape`, and back. */
  linearize(at: readonly Expr[], shape: readonly number[]): Expr;
  delinearize(index: Expr, shape: readonly number[]): readonly Expr[];
  /** Reduces `body` over fresh axes of the given extents. */
  reduce(
    op: "sum" | "max" | "logsumexp",
    extents: readonly number[],
    body: (axes: readonly Expr[]) => Expr,
  ): Expr;
}

/** Scalar functions: named as the graph's elementwise ops, plus the counter-based random numbers. */
export type ScalarFn =
  | "neg"
  | "exp"
  | "log"
  | "sqrt"
  | "rsqrt"
  | "tanh"
  | "erf"
  | "abs"
  | "sin"
  | "cos"
  | "floor"
  /** f32 -> f32: the nearest f16 value, ties to even, infinite from 65520 on. */
  | "round_f16"
  /** f32 -> bool, by the bits: a compiler may assume that neither NaN nor infinity occurs. */
  | "is_finite"
  | "not"
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "max"
  | "min"
  | "pow"
  | "mod"
  | "lt"
  | "le"
  | "eq"
  | "and"
  | "or"
  /** PCG-RXS-M-XS 32: u32 -> u32. */
  | "hash"
  /** (key: u32, index: i32) -> f32 in [0, 1): `hash(key ^ hash(index)) >> 8` times 2^-24. */
  | "uniform01";

/** Element of an op's input at an index. */
export type Accessor = (at: readonly Expr[]) => Expr;
