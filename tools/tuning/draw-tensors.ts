import { bitsOfHalf } from "../../compiler/graph/index.ts";
import {
  childrenOf,
  type Expr,
  type Kernel,
  type PartKernel,
  partsOf,
  rootsOf,
  walk,
} from "../../compiler/kernel/index.ts";
import type { DType } from "../../compiler/program/index.ts";

/** What a tensor is filled with, so that a kernel by itself does about what it does in a step. */
export type Filling =
  /** f32 or f16 in [-1, 1), or in (0, 1] where a root or a logarithm is taken of it. */
  | { readonly kind: "signed" }
  | { readonly kind: "positive" }
  /** 0 or 1. */
  | { readonly kind: "bits" }
  /** Whole numbers from `low` to `high`: what the kernel does not clamp. */
  | { readonly kind: "whole"; readonly low: number; readonly high: number }
  /** 0, 1, 2, ...: an order of items. */
  | { readonly kind: "order" };

/**
 * For integers that no index is made of: lengths and counters of small models. No length is 0, as a row of attention that sees no
 * key is good to one digit only, see `schedule/README.md`.
 */
const [SMALLEST, LARGEST] = [1, 16] as const;

/** By tensor, as in `Kernel.tensors`. */
export function fillingsOf(kernel: Kernel): readonly Filling[] {
  const orders = new Set(partsOf(kernel).flatMap(ordersOf));
  const ranges = indexRanges(kernel);
  const positive = tensorsUnderRoots(kernel);
  return kernel.tensors.map(({ tensor, dtype }): Filling => {
    if (orders.has(tensor)) return { kind: "order" };
    if (dtype === "f32" || dtype === "f16") return { kind: positive.has(tensor) ? "positive" : "signed" };
    if (dtype === "bool") return { kind: "bits" };
    return { kind: "whole", ...(ranges.get(tensor) ?? { low: SMALLEST, high: LARGEST }) };
  });
}

/** What the stages of a segment sum read without clamping it, as the stage before has made it. */
function ordersOf(part: PartKernel): readonly number[] {
  if (part.kind !== "segment") return [];
  const { stage } = part;
  if (stage.kind === "rank") return [stage.keysTensor];
  return "orderTensor" in stage ? [stage.orderTensor] : [];
}

/** Integer tensors to what an index made of their elements is clamped to. */
function indexRanges(kernel: Kernel): ReadonlyMap<number, { readonly low: number; readonly high: number }> {
  /** Tensors of which an expression is an element, clamped or not. */
  const elementOf = new Map<Expr, readonly number[]>();
  const ranges = new Map<number, { readonly low: number; readonly high: number }>();
  walk(rootsOf(kernel), (e) => {
    if (e.kind === "load" && e.dtype !== "f32") elementOf.set(e, [e.tensor]);
    if (e.kind !== "call" || (e.fn !== "min" && e.fn !== "max") || e.dtype === "f32") return;
    const tensors = e.args.flatMap((arg) => elementOf.get(arg) ?? []);
    elementOf.set(e, tensors);
    for (const tensor of tensors) {
      const { low, high } = ranges.get(tensor) ?? { low: e.min, high: e.max };
      ranges.set(tensor, { low: Math.max(low, e.min), high: Math.min(high, e.max) });
    }
  });
  return ranges;
}

function tensorsUnderRoots(kernel: Kernel): ReadonlySet<number> {
  const tensors = new Set<number>();
  walk(rootsOf(kernel), (e) => {
    if (e.kind !== "call" || !["sqrt", "rsqrt", "log", "pow"].includes(e.fn)) return;
    walk(childrenOf(e), (below) => {
      if (below.kind === "load" && below.dtype === "f32") tensors.add(below.tensor);
    });
  });
  return tensors;
}

/** Random numbers are drawn once and then repeated; a prime, so that no two rows of a matrix are equal. */
const DRAWN = 262_139;

/** As they lie in memory; what is read back of an f16 comes as f32. */
export type Elements =
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>;

/**
 * The elements of a tensor, in pieces of at most `DRAWN`.
 * @param seed a whole number: tensors of two seeds differ
 */
export function* drawElements(
  dtype: DType,
  filling: Filling,
  count: number,
  seed: number,
): Generator<Elements> {
  const drawn = Math.min(DRAWN, count);
  const random = mulberry32(seed);
  const block = typed(
    dtype,
    Array.from({ length: drawn }, () => drawOne(filling, random())),
  );
  for (let start = 0; start < count; start += drawn) {
    const length = Math.min(drawn, count - start);
    if (filling.kind === "order")
      yield typed(
        dtype,
        Array.from({ length }, (_, i) => start + i),
      );
    else yield length === drawn ? block : block.slice(0, length);
  }
}

/** @param u in [0, 1) */
function drawOne(filling: Filling, u: number): number {
  switch (filling.kind) {
    case "signed":
      return 2 * u - 1;
    case "positive":
      return 1 - u;
    case "bits":
      return u < 0.5 ? 0 : 1;
    case "whole":
      return filling.low + Math.floor(u * (filling.high - filling.low + 1));
    case "order":
      return 0;
    default:
      return filling satisfies never;
  }
}

function typed(dtype: DType, values: readonly number[]): Elements {
  switch (dtype) {
    case "f32":
      return Float32Array.from(values);
    case "f16":
      return Uint16Array.from(values, bitsOfHalf);
    case "i32":
      return Int32Array.from(values);
    case "u32":
    case "bool":
      return Uint32Array.from(values);
    default:
      return dtype satisfies never;
  }
}

/** Tommy Ettinger's generator: enough for data that is only to be irregular. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
