import type { DType } from "../program/index.ts";
import type { AxisExpr, Expr, ReduceKind } from "./expr.ts";

/** A tensor that a kernel binds. */
export interface KernelTensor {
  /** The id that `load` expressions and stores use. */
  readonly tensor: number;
  readonly name: string;
  readonly dtype: DType;
  readonly elementCount: number;
  readonly access: "read" | "read_write";
  /** Shape and place in the spec, for the comment. */
  readonly comment: string;
}

export interface Store {
  readonly tensor: number;
  readonly index: Expr;
  readonly value: Expr;
}

interface KernelBase {
  readonly name: string;
  /** Lines for the head of the printed kernel. */
  readonly comments: readonly string[];
  readonly tensors: readonly KernelTensor[];
  readonly workgroupSize: number;
  /** Floating-point operations of one dispatch, an estimate from the expressions. */
  readonly flops: number;
}

/** Every element of `axis` on its own: elementwise chains, gathers, copies. */
export interface MapKernel extends KernelBase {
  readonly kind: "map";
  readonly axis: AxisExpr;
  /** Elements an invocation computes at once along the axis: 1 or 4. The axis' multiple is this number. */
  readonly width: 1 | 4;
  /** Vectors an invocation computes, one workgroup apart. */
  readonly vectorsPerInvocation: number;
  readonly stores: readonly Store[];
}

export interface Reduction {
  /** The name of the `value` expression that holds the result. */
  readonly name: string;
  readonly op: ReduceKind;
  readonly dtype: DType;
  readonly body: Expr;
}

/** One walk along the inner axis. */
export interface Sweep {
  readonly reductions: readonly Reduction[];
  /** Elements stored on the way: they may use the results of earlier sweeps. */
  readonly stores: readonly Store[];
}

/** Rows that are reduced: each row is walked one or more times along the inner axis (softmax: max, sum, write). */
export interface RowKernel extends KernelBase {
  readonly kind: "row";
  readonly row: AxisExpr;
  readonly inner: AxisExpr;
  /** Which axis runs four at a time. The vectorised axis has multiple 4. */
  readonly vector: "row" | "inner" | "none";
  /** Invocations of a workgroup that share one row, joined by a tree in workgroup memory; 1: a row an invocation. */
  readonly invocationsPerRow: number;
  readonly sweeps: readonly Sweep[];
  /** Stored once a row, after all sweeps. */
  readonly rowStores: readonly Store[];
}

/** out[b, m, n] = epilogue(sum over k of lhs(b, m, k) * rhs(b, k, n)), a register tile of m x n an invocation. */
export interface MatmulKernel extends KernelBase {
  readonly kind: "matmul";
  readonly batch: AxisExpr;
  /** Tile origins: multiples of the tile where it divides the extent, else the last tile is shifted back. */
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly k: AxisExpr;
  readonly tile: { readonly m: number; readonly n: number; readonly k: 1 | 4 };
  readonly lhs: Expr;
  readonly rhs: Expr;
  /** Neighbouring invocations take neighbouring tiles along this axis: they share the other axis' operand tile in cache. */
  readonly neighbours: "m" | "n";
  /** Whether the epilogue is a loop over the tile (short code, compiled fast) or written out for every vec4 of it. */
  readonly epilogue: "looped" | "unrolled";
  /** The axis along which each operand is read four at a time, chosen from its index expression. */
  readonly lhsVector: "m" | "k" | "none";
  readonly rhsVector: "n" | "k" | "none";
  /** Where the sum of the right operand over k goes, one element a column: the tiles at m = 0 compute it on the way. */
  readonly rhsSum: { readonly tensor: number; readonly index: Expr } | undefined;
  /** The accumulator's name as a `value`. */
  readonly accumulator: string;
  readonly stores: readonly Store[];
  readonly vectorStores: boolean;
}

/**
 * out[row(i), w] = sum over the chain i, next(i), next(next(i)), ... of value(i, w), for each i that heads a chain: sums
 * of equal rows in ascending order, without atomics.
 */
export interface SegmentKernel extends KernelBase {
  readonly kind: "segment";
  readonly item: AxisExpr;
  readonly column: AxisExpr;
  readonly width: 1 | 4;
  /** i32 tensors of one element an item: 1 where the item heads its chain; the next item of the chain or item count. */
  readonly headTensor: number;
  readonly nextTensor: number;
  readonly value: Expr;
  readonly rowIndex: Expr;
  readonly outTensor: number;
}

export type Kernel = MapKernel | RowKernel | MatmulKernel | SegmentKernel;

function storesOf(kernel: Kernel): readonly Store[] {
  switch (kernel.kind) {
    case "map":
    case "matmul":
      return kernel.stores;
    case "row":
      return [...kernel.sweeps.flatMap((sweep) => sweep.stores), ...kernel.rowStores];
    case "segment":
      return [];
    default:
      return kernel satisfies never;
  }
}

/** Ids of the tensors that a kernel writes. */
export function tensorsWritten(kernel: Kernel): ReadonlySet<number> {
  if (kernel.kind === "segment") return new Set([kernel.outTensor]);
  const written = new Set(storesOf(kernel).map((store) => store.tensor));
  if (kernel.kind === "matmul" && kernel.rhsSum !== undefined) written.add(kernel.rhsSum.tensor);
  return written;
}

/** Every expression that a kernel computes. */
export function rootsOf(kernel: Kernel): readonly Expr[] {
  const stored = storesOf(kernel).flatMap((store) => [store.index, store.value]);
  switch (kernel.kind) {
    case "map":
      return stored;
    case "matmul":
      return [kernel.lhs, kernel.rhs, ...stored];
    case "row":
      return [...kernel.sweeps.flatMap((sweep) => sweep.reductions.map((r) => r.body)), ...stored];
    case "segment":
      return [kernel.value, kernel.rowIndex];
    default:
      return kernel satisfies never;
  }
}
