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

/** A contraction that is computed in blocks and never stored: value `name` at (outer, stream) = sum over k of lhs * rhs. */
export interface Score {
  readonly name: string;
  readonly k: AxisExpr;
  /** Over batch, outer and k; over batch, stream and k. */
  readonly lhs: Expr;
  readonly rhs: Expr;
  /** The axis along which each is read four at a time. */
  readonly lhsVector: "outer" | "k" | "none";
  readonly rhsVector: "stream" | "k" | "none";
}

/** Value `name` at (outer, n) = sum over stream of weight * operand. */
export interface StreamSum {
  readonly name: string;
  readonly n: AxisExpr;
  /** Over batch, outer and stream; over batch, stream and n. */
  readonly weight: Expr;
  readonly operand: Expr;
  /**
   * A logsumexp of this kernel: the weight is written with the value `<online>_max`, the greatest term so far, in its place, so
   * what was summed is scaled whenever that grows, and once at the end to the logsumexp itself.
   */
  readonly online: string | undefined;
  readonly stores: readonly Store[];
}

/**
 * Rows (batch, outer) that each walk the stream axis once, a block of scores at a time; what is made of the scores is reduced
 * over the stream or contracted with another tensor (Dao et al. 2022, arXiv:2205.14135). A block of rows an invocation.
 */
export interface StreamKernel extends KernelBase {
  readonly kind: "stream";
  readonly batch: AxisExpr;
  /** Origins of blocks, multiples of the tile where it divides the extent; else the last block is shifted back. */
  readonly outer: AxisExpr;
  readonly stream: AxisExpr;
  readonly tile: { readonly outer: number; readonly stream: number; readonly k: 1 | 4 };
  readonly scores: readonly Score[];
  /** Over the stream: sums and logsumexps. */
  readonly reductions: readonly Reduction[];
  readonly rowStores: readonly Store[];
  readonly sums: readonly StreamSum[];
}

/**
 * out(batch, m, n) = sum over `over` of something made of scores, a block of (m, n) an invocation: the scores of every element of
 * `over` are computed for the block in turn.
 */
export interface ScoreSumKernel extends KernelBase {
  readonly kind: "score_sum";
  readonly batch: AxisExpr;
  readonly over: AxisExpr;
  /** Origins of blocks, as in a matmul. The scores' `outer` is m, their `stream` n. */
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly tile: { readonly m: number; readonly n: number };
  readonly scores: readonly Score[];
  /** Bodies over batch, over, m and n; the value `name` in the stores is the sum. */
  readonly sums: readonly { readonly name: string; readonly body: Expr; readonly stores: readonly Store[] }[];
}

export type Kernel = ScoreSumKernel | StreamKernel | MapKernel | RowKernel | MatmulKernel | SegmentKernel;

function storesOf(kernel: Kernel): readonly Store[] {
  switch (kernel.kind) {
    case "map":
    case "matmul":
      return kernel.stores;
    case "row":
      return [...kernel.sweeps.flatMap((sweep) => sweep.stores), ...kernel.rowStores];
    case "score_sum":
      return kernel.sums.flatMap((sum) => sum.stores);
    case "stream":
      return [...kernel.rowStores, ...kernel.sums.flatMap((sum) => sum.stores)];
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
    case "score_sum":
      return [
        ...kernel.scores.flatMap((score) => [score.lhs, score.rhs]),
        ...kernel.sums.map((sum) => sum.body),
        ...stored,
      ];
    case "stream":
      return [
        ...kernel.scores.flatMap((score) => [score.lhs, score.rhs]),
        ...kernel.reductions.map((r) => r.body),
        ...kernel.sums.flatMap((sum) => [sum.weight, sum.operand]),
        ...stored,
      ];
    case "segment":
      return [kernel.value, kernel.rowIndex];
    default:
      return kernel satisfies never;
  }
}
