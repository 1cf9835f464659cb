import type { DType, MatrixShape } from "../program/index.ts";
import { type AxisExpr, type Expr, type ReduceKind, walk } from "./expr.ts";

/** A tensor that a kernel binds. */
export interface KernelTensor {
  /** The id that `load` expressions and stores use. */
  readonly tensor: number;
  readonly name: string;
  readonly dtype: DType;
  /** Elements that the kernel has to do with. */
  readonly elementCount: number;
  /** Elements of the range that is bound, where others lie in between. Default: `elementCount`. */
  readonly boundCount?: number;
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
  /** The fusion rules that made it, for people: no part of its identity. */
  readonly rules: readonly string[];
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
  /**
   * Sums down the columns of a block, taken on the way: in every row of the block the value is added to the element at `index`,
   * over block and inner.
   */
  readonly columns: readonly Store[];
}

/** Neighbouring rows that one invocation, or one workgroup where several share a row, walks in ascending order. */
export interface RowBlocks {
  readonly block: AxisExpr;
  /** Rows in each block; the last block may have fewer. */
  readonly rows: number;
}

/** Rows that are reduced: each row is walked one or more times along the inner axis (softmax: max, sum, write). */
export interface RowKernel extends KernelBase {
  readonly kind: "row";
  readonly row: AxisExpr;
  readonly inner: AxisExpr;
  /** Where sums down the columns are taken on the way; undefined: every row on its own. Rows then do not run four at a time. */
  readonly blocks: RowBlocks | undefined;
  /** Which axis runs four at a time. The vectorised axis has multiple 4. */
  readonly vector: "row" | "inner" | "none";
  /** Invocations of a workgroup that share one row, joined by a tree in workgroup memory; 1: a row an invocation. */
  readonly invocationsPerRow: number;
  /**
   * Where several share a row: what the invocations of a subgroup found is joined without workgroup memory, whatever the size of
   * subgroups is, `least` or more. Undefined: a tree over all of them.
   */
  readonly subgroups: { readonly least: number } | undefined;
  readonly sweeps: readonly Sweep[];
  /** Stored once a row, after all sweeps. */
  readonly rowStores: readonly Store[];
}

/** Elements along each axis. */
export interface MatmulBlock {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export interface SubgroupMatrices {
  readonly shape: MatrixShape;
  /** Invocations of a subgroup, the only number that the device has. */
  readonly subgroupSize: number;
}

/**
 * out[b, m, n] = epilogue(sum over k of lhs(b, m, k) * rhs(b, k, n)), a register tile of m x n an invocation. Operands are read
 * from their tensors, or by a workgroup together, a block of them at a time, into workgroup memory.
 */
export interface MatmulKernel extends KernelBase {
  readonly kind: "matmul";
  readonly batch: AxisExpr;
  /** Tile origins: multiples of the tile where it divides the extent, else the last tile is shifted back. */
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly k: AxisExpr;
  readonly tile: { readonly m: number; readonly n: number; readonly k: 1 | 4 };
  /**
   * What a workgroup computes together, m x n, and the terms of it that lie in workgroup memory at a time: multiples of the
   * tile's m and n and of 4, no greater than the extents; k divides its extent. Blocks are placed as tiles are. Undefined: every
   * invocation on its own.
   */
  readonly block: MatmulBlock | undefined;
  /**
   * The matrices that subgroups multiply, where they do: each subgroup then has a tile of the block, and the block's sums go through
   * workgroup memory. Both operands are casts of f16, which is what lies in workgroup memory.
   */
  readonly matrices: SubgroupMatrices | undefined;
  readonly lhs: Expr;
  readonly rhs: Expr;
  /** Neighbouring invocations, or workgroups with a block, take neighbouring tiles along this axis: they share the other axis' operand tile in cache. */
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
 * out[row(i), w] = sum of value(i, w) over the items i of that row, in ascending order, without atomics on floats; rows
 * without items are zero before. One kernel of several stages, as the device's class wants it: `columns` alone, or `sort`,
 * `rank` where more than one block was sorted, `sum`, and `join` where there is more than one chunk.
 */
export interface SegmentKernel extends KernelBase {
  readonly kind: "segment";
  /** Items, in blocks or chunks where the stage has them. */
  readonly item: AxisExpr;
  /** i32, the row of `item`. */
  readonly rowIndex: Expr;
  readonly stage: SegmentStage;
}

/** Columns of the result, `width` at once an invocation. */
interface SegmentColumns {
  readonly column: AxisExpr;
  readonly width: 1 | 4;
  readonly outTensor: number;
}

export type SegmentStage =
  /** An invocation owns its columns and adds item after item to the result. */
  | (SegmentColumns & { readonly kind: "columns"; readonly value: Expr })
  /**
   * A workgroup sorts a block of items by row, then by item. Writes the items' numbers, i32[items], where there is one block,
   * else their keys, u32[blocks, block]: `row * block + place in the block`, and the greatest u32 past the last item.
   */
  | {
      readonly kind: "sort";
      readonly block: number;
      readonly writes: "order" | "keys";
      readonly outTensor: number;
    }
  /** The sorted blocks as one order of all items, i32[items]: an item's rank is the sum of its ranks in all blocks. */
  | { readonly kind: "rank"; readonly block: number; readonly keysTensor: number; readonly outTensor: number }
  /** Each chunk of the order sums its rows; what goes on from the chunk before is put aside, [chunks, columns]. */
  | (SegmentColumns & {
      readonly kind: "sum";
      readonly value: Expr;
      readonly chunk: number;
      readonly orderTensor: number;
      readonly partialTensor: number | undefined;
    })
  /** Adds to each row that crosses chunks what the later chunks have put aside. */
  | (SegmentColumns & {
      readonly kind: "join";
      readonly chunk: number;
      readonly orderTensor: number;
      readonly partialTensor: number;
    });

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

export type PartKernel = ScoreSumKernel | StreamKernel | MapKernel | RowKernel | MatmulKernel | SegmentKernel;

/** Kernels of which none reads what another writes, in one dispatch: each has its own range of the workgroups, in order. */
export interface BesideKernel extends KernelBase {
  readonly kind: "beside";
  /** Their tensors are among the whole's, by the same names; their workgroup size is the whole's. */
  readonly parts: readonly PartKernel[];
}

export type Kernel = PartKernel | BesideKernel;

/** What runs side by side in a dispatch: the kernel itself, if it is one alone. */
export function partsOf(kernel: Kernel): readonly PartKernel[] {
  return kernel.kind === "beside" ? kernel.parts : [kernel];
}

/** Stores of whole elements; those of segment sums and of a matmul's `rhsSum` are apart. */
export function storesOf(kernel: PartKernel): readonly Store[] {
  switch (kernel.kind) {
    case "map":
    case "matmul":
      return kernel.stores;
    case "row":
      return [...kernel.sweeps.flatMap((sweep) => [...sweep.stores, ...sweep.columns]), ...kernel.rowStores];
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
  if (kernel.kind === "beside") return new Set(kernel.parts.flatMap((part) => [...tensorsWritten(part)]));
  if (kernel.kind === "segment") return segmentWrites(kernel.stage);
  const written = new Set(storesOf(kernel).map((store) => store.tensor));
  if (kernel.kind === "matmul" && kernel.rhsSum !== undefined) written.add(kernel.rhsSum.tensor);
  return written;
}

function segmentWrites(stage: SegmentStage): ReadonlySet<number> {
  const partial = stage.kind === "sum" ? stage.partialTensor : undefined;
  return new Set(partial === undefined ? [stage.outTensor] : [stage.outTensor, partial]);
}

/** Ids of the tensors that a kernel reads. */
export function tensorsRead(kernel: Kernel): ReadonlySet<number> {
  if (kernel.kind === "beside") return new Set(kernel.parts.flatMap((part) => [...tensorsRead(part)]));
  const read = new Set<number>();
  walk(rootsOf(kernel), (e) => {
    if (e.kind === "load") read.add(e.tensor);
  });
  if (kernel.kind !== "segment") return read;
  const { stage } = kernel;
  if (stage.kind === "columns" || stage.kind === "join") read.add(stage.outTensor);
  if (stage.kind === "rank") read.add(stage.keysTensor);
  if (stage.kind === "sum" || stage.kind === "join") read.add(stage.orderTensor);
  if (stage.kind === "join") read.add(stage.partialTensor);
  return read;
}

/** Every expression that a kernel computes. */
export function rootsOf(kernel: Kernel): readonly Expr[] {
  if (kernel.kind === "beside") return kernel.parts.flatMap(rootsOf);
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
      return "value" in kernel.stage
        ? [kernel.stage.value, kernel.rowIndex]
        : kernel.stage.kind === "rank"
          ? []
          : [kernel.rowIndex];
    default:
      return kernel satisfies never;
  }
}
