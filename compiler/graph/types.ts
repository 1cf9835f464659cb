import type { DType, Shape } from "../program/index.ts";

export type { DType, Shape };

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Position in `Graph.nodes`. Inputs always have smaller ids than their users. */
export type NodeId = number;

/** Where a node comes from. No part of a node's equality. */
export interface Origin {
  /** Path of layer instances, e.g. `encoder.blocks.0.attention`. Empty at the top. */
  readonly path: string;
  /** `file:line:column` in the spec, or "" for what no line asked for. */
  readonly at: string;
  /** A readable word for kernel names, e.g. the `let` name or the op. */
  readonly label: string;
  /** The pass that made it: `elaborate`, `autodiff`, `training`, ... */
  readonly pass: string;
}

export type UnaryOp =
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
  | "round_f16"
  | "is_finite"
  | "not";
/** `mod` is the remainder with the divisor's sign kept positive; integer `div` floors. Comparisons give bool. */
export type BinaryOp =
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
  | "or";
export type ReduceOp = "sum" | "max";

type NoAttrs = Readonly<Record<never, never>>;

/**
 * Every op and its attributes. Elementwise ops take operands of one shape: broadcasting is explicit.
 * Reductions drop their axes.
 */
export interface OpAttrs {
  // --- leaves -------------------------------------------------------------------------------------------
  /** A batch field written by the runtime. */
  input: { readonly name: string; readonly dtype: DType; readonly shape: Shape };
  /** A trainable parameter (forward graphs only; `training` turns it into a `view` of a state). f32. */
  parameter: { readonly name: string; readonly shape: Shape };
  /** A buffer that lives from step to step. */
  state: { readonly name: string; readonly dtype: DType; readonly shape: Shape };
  /** One scalar, shape []. Broadcast it. */
  constant: { readonly dtype: DType; readonly value: number };
  /** 0, 1, 2, ... along `axis`, i32. */
  iota: { readonly shape: Shape; readonly axis: number };
  /** u32 [] key of random stream `stream`: `training` (or evaluation) derives it from seed and step. */
  random_key: { readonly stream: number };
  // --- elementwise --------------------------------------------------------------------------------------
  neg: NoAttrs;
  exp: NoAttrs;
  log: NoAttrs;
  sqrt: NoAttrs;
  rsqrt: NoAttrs;
  tanh: NoAttrs;
  erf: NoAttrs;
  abs: NoAttrs;
  sin: NoAttrs;
  cos: NoAttrs;
  floor: NoAttrs;
  /** f32 -> f32: the nearest f16 value. Where a device has no f16, it stands for the cast to it. */
  round_f16: NoAttrs;
  /** f32 -> bool: neither NaN nor infinite, told by the bits. */
  is_finite: NoAttrs;
  not: NoAttrs;
  add: NoAttrs;
  sub: NoAttrs;
  mul: NoAttrs;
  div: NoAttrs;
  max: NoAttrs;
  min: NoAttrs;
  pow: NoAttrs;
  mod: NoAttrs;
  lt: NoAttrs;
  le: NoAttrs;
  eq: NoAttrs;
  and: NoAttrs;
  or: NoAttrs;
  /** inputs: condition (bool), then, else. */
  select: NoAttrs;
  cast: { readonly dtype: DType };
  /** inputs: key u32 []. Uniform in [0, 1) by counter: element i is `uniform01(key, i)`, i its row-major index. */
  uniform: { readonly shape: Shape };
  /** inputs: x u32. A PCG-RXS-M-XS hash of each element, u32 -> u32. */
  hash: NoAttrs;
  /** The value of its input; no cotangent passes. */
  stop_gradient: NoAttrs;
  /**
   * The value of its input, told apart by `number`: what reads it is no node equal to what reads the input, so that a
   * value can be computed a second time. Free: no data moves.
   */
  barrier: { readonly number: number };
  // --- movement -----------------------------------------------------------------------------------------
  reshape: { readonly shape: Shape };
  /** Output axis i is input axis perm[i]. */
  transpose: { readonly perm: readonly number[] };
  /** Input axis i becomes output axis axes[i] (ascending); sizes equal there; the other axes repeat. */
  broadcast: { readonly shape: Shape; readonly axes: readonly number[] };
  /** start inclusive, end exclusive, for every axis. */
  slice: { readonly start: readonly number[]; readonly end: readonly number[] };
  /** Zeros before and after, for every axis. */
  pad: { readonly before: readonly number[]; readonly after: readonly number[] };
  concat: { readonly axis: number };
  /** inputs: table [N, ...rest], indices i32 [...I]. Output [...I, ...rest]. Indices must be in range. */
  take: NoAttrs;
  // --- reductions ---------------------------------------------------------------------------------------
  /** f16 is summed in f32. */
  sum: { readonly axes: readonly number[] };
  reduce_max: { readonly axes: readonly number[] };
  /** log(sum(exp(x))) over the axes, without overflow. f32. */
  logsumexp: { readonly axes: readonly number[] };
  /**
   * inputs: a, b. Axis labels as numbers: an output label is kept; a label absent from the output is summed over.
   * Every label of the output is in lhs or rhs; no label repeats within one operand; each summed label is in both.
   * Of f16 operands the products and their sums are f32.
   */
  einsum: {
    readonly lhs: readonly number[];
    readonly rhs: readonly number[];
    readonly out: readonly number[];
  };
  /** inputs: updates [...I, ...rest], indices i32 [...I]. Output [rows, ...rest]: sums of equal indices, in order. */
  scatter_add: { readonly rows: number };
  // --- flat storage (made by `training`; never differentiated) --------------------------------------------
  /** inputs: flat [N]. A contiguous row-major piece of it, as a tensor: no data moves. offset counts elements. */
  view: { readonly offset: number; readonly shape: Shape };
  /** inputs: any tensors of one dtype. Output [size]: each flattened at its offset, zero between. */
  pack: { readonly offsets: readonly number[]; readonly size: number };
}

export type OpName = keyof OpAttrs;
export type AttrsOf<K extends OpName> = OpAttrs[K];

export type NodeOf<K extends OpName> = {
  readonly op: K;
  readonly id: NodeId;
  readonly inputs: readonly NodeId[];
  readonly attrs: OpAttrs[K];
  readonly type: TensorType;
  readonly origin: Origin;
};
export type Node = { [K in OpName]: NodeOf<K> }[OpName];

export interface Graph {
  /** Topological: `nodes[i].id === i`. */
  readonly nodes: readonly Node[];
  readonly outputs: readonly { readonly name: string; readonly node: NodeId }[];
  /** The state takes this value when the step ends. All reads of the state in this graph see the old value. */
  readonly updates: readonly { readonly state: string; readonly node: NodeId }[];
}
