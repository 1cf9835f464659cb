import type { Accessor, Expr, ScalarBuilder } from "../../kernel/index.ts";
import { invariant } from "../errors.ts";
import { areAscendingAxes, elementCount, formatType, otherAxes, rowMajorStrides } from "../shape.ts";
import { stridedOffsets, type Tensor, zeros } from "../tensor.ts";
import type { AttrsOf, DType, NodeId, NodeOf, TensorType } from "../types.ts";
import { oneInput, requireDType, requireNumeric, requireShape, twoInputs } from "./check.ts";
import type { OpDef } from "./op-def.ts";

function inferReduction(
  inputs: readonly TensorType[],
  attrs: { readonly axes: readonly number[] },
  allowed: readonly DType[],
): TensorType {
  const x = oneInput(inputs);
  requireDType(x, allowed);
  invariant(
    areAscendingAxes(attrs.axes, x.shape.length),
    () => `[${attrs.axes.join(", ")}] are no ascending axes of ${formatType(x)}`,
  );
  return {
    dtype: summedDType(x.dtype),
    shape: otherAxes(attrs.axes, x.shape.length).map((axis) => x.shape[axis]!),
  };
}

/** Sums of f16 are f32: eleven bits do not hold them. */
function summedDType(dtype: DType): DType {
  return dtype === "f16" ? "f32" : dtype;
}

/** For each element of a reduction's input, the offset of the output element it goes into. */
function reducedOffsets(shape: readonly number[], axes: readonly number[]): Int32Array {
  const kept = otherAxes(axes, shape.length);
  const keptStrides = rowMajorStrides(kept.map((axis) => shape[axis]!));
  const strides = shape.map((_size, axis) => keptStrides[kept.indexOf(axis)] ?? 0);
  return stridedOffsets(shape, strides);
}

/** A term as it is summed: halves are widened, which is exact. */
function widened(s: ScalarBuilder, term: Expr): Expr {
  return term.dtype === "f16" ? s.cast("f32", term) : term;
}

function lowerReduction(kind: "sum" | "max" | "logsumexp") {
  return (
    s: ScalarBuilder,
    [x]: readonly Accessor[],
    at: readonly Expr[],
    { attrs }: NodeOf<"sum"> | NodeOf<"reduce_max"> | NodeOf<"logsumexp">,
    [from]: readonly TensorType[],
  ): Expr => {
    const { shape } = from!;
    const kept = otherAxes(attrs.axes, shape.length);
    const extents = attrs.axes.map((axis) => shape[axis]!);
    return s.reduce(kind, extents, (reduced) =>
      widened(
        s,
        x!(shape.map((_size, axis) => at[kept.indexOf(axis)] ?? reduced[attrs.axes.indexOf(axis)]!)),
      ),
    );
  };
}

export const sum: OpDef<"sum"> = {
  summary: "Sum over axes, which go. Of f16: f32.",
  infer: (inputs, attrs) => inferReduction(inputs, attrs, ["f32", "f16", "i32", "u32"]),
  vjp: (b, { node, inputs: [x], ct }) => [b.broadcastOver(ct, b.shape(x!), node.attrs.axes)],
  evaluate: ([x], { type, attrs }) => {
    const out = zeros(type);
    const offsets = reducedOffsets(x!.shape, attrs.axes);
    for (let i = 0; i < offsets.length; i++) out.data[offsets[i]!]! += x!.data[i]!;
    return out;
  },
  lower: lowerReduction("sum"),
};

export const reduce_max: OpDef<"reduce_max"> = {
  summary: "Greatest element over axes, which go.",
  infer: (inputs, attrs) => inferReduction(inputs, attrs, ["f32", "i32", "u32"]),
  /** Elements that are equal to the maximum share the cotangent equally, as in jax.numpy.max. */
  vjp: (b, { node, inputs: [x], output, ct }) => {
    const { axes } = node.attrs;
    const shape = b.shape(x!);
    const chosen = b.eq(x!, b.broadcastOver(output, shape, axes));
    const ties = b.sum(b.cast(chosen, "f32"), axes);
    const share = b.broadcastOver(b.div(ct, ties), shape, axes);
    return [b.select(chosen, share, b.fullLike(x!, 0))];
  },
  evaluate: ([x], { type, attrs }) => {
    const out = zeros(type);
    const seen = new Uint8Array(out.data.length);
    const offsets = reducedOffsets(x!.shape, attrs.axes);
    for (let i = 0; i < offsets.length; i++) {
      const to = offsets[i]!;
      if (seen[to] === 0 || x!.data[i]! > out.data[to]!) out.data[to] = x!.data[i]!;
      seen[to] = 1;
    }
    return out;
  },
  lower: lowerReduction("max"),
};

export const logsumexp: OpDef<"logsumexp"> = {
  summary: "log(sum(exp(x))) over axes, which go: the normalizer of a softmax.",
  infer: (inputs, attrs) => inferReduction(inputs, attrs, ["f32"]),
  /** The softmax, times the cotangent. */
  vjp: (b, { node, inputs: [x], output, ct }) => {
    const spread = (row: number): number => b.broadcastOver(row, b.shape(x!), node.attrs.axes);
    return [b.mul(spread(ct), b.exp(b.sub(x!, spread(output))))];
  },
  evaluate: ([x], { type, attrs }) => {
    const offsets = reducedOffsets(x!.shape, attrs.axes);
    const top = zeros(type).data.fill(Number.NEGATIVE_INFINITY);
    for (let i = 0; i < offsets.length; i++) top[offsets[i]!] = Math.max(top[offsets[i]!]!, x!.data[i]!);
    const total = zeros(type).data;
    for (let i = 0; i < offsets.length; i++) {
      const to = offsets[i]!;
      // Where all are minus infinity, or one is infinite, nothing may be taken off.
      const shift = Number.isFinite(top[to]!) ? top[to]! : 0;
      total[to]! += Math.exp(x!.data[i]! - shift);
    }
    const out = zeros(type);
    for (let to = 0; to < total.length; to++)
      out.data[to] = Math.log(total[to]!) + (Number.isFinite(top[to]!) ? top[to]! : 0);
    return out;
  },
  lower: lowerReduction("logsumexp"),
};

/** Labels that are summed over, in the order of the left operand. */
function summedLabels({ lhs, out }: AttrsOf<"einsum">): readonly number[] {
  return lhs.filter((label) => !out.includes(label));
}

function labelSizes(
  { lhs, rhs }: AttrsOf<"einsum">,
  [a, b]: readonly TensorType[],
): (label: number) => number {
  return (label) => a!.shape[lhs.indexOf(label)] ?? b!.shape[rhs.indexOf(label)]!;
}

/** Element offsets in the operands, of each output element and of each term of its sum; they add up. */
interface ContractionOffsets {
  readonly aOut: Int32Array;
  readonly aSum: Int32Array;
  readonly bOut: Int32Array;
  readonly bSum: Int32Array;
}

function contractFloats(
  out: Float64Array,
  a: Tensor["data"],
  b: Tensor["data"],
  at: ContractionOffsets,
): void {
  const { aOut, aSum, bOut, bSum } = at;
  for (let i = 0; i < out.length; i++) {
    const [fromA, fromB] = [aOut[i]!, bOut[i]!];
    let total = 0;
    for (let k = 0; k < aSum.length; k++) total += a[fromA + aSum[k]!]! * b[fromB + bSum[k]!]!;
    out[i] = total;
  }
}

/** Modulo 2^32. */
function contractIntegers(
  out: Int32Array | Uint32Array,
  a: Tensor["data"],
  b: Tensor["data"],
  at: ContractionOffsets,
): void {
  const { aOut, aSum, bOut, bSum } = at;
  for (let i = 0; i < out.length; i++) {
    let total = 0;
    for (let k = 0; k < aSum.length; k++)
      total = (total + Math.imul(a[aOut[i]! + aSum[k]!]!, b[bOut[i]! + bSum[k]!]!)) | 0;
    out[i] = total;
  }
}

export const einsum: OpDef<"einsum"> = {
  summary: "Sum of products of two tensors with labelled axes. Of f16: f32.",
  infer: (inputs, { lhs, rhs, out }) => {
    const [a, b] = twoInputs(inputs);
    requireNumeric(a);
    invariant(a.dtype === b.dtype, () => `operands differ in dtype: ${formatType(a)} and ${formatType(b)}`);
    const sizes = new Map<number, number>();
    for (const [type, labels] of [
      [a, lhs],
      [b, rhs],
    ] as const) {
      invariant(
        labels.length === type.shape.length && new Set(labels).size === labels.length,
        () => `labels [${labels.join(", ")}] do not name the axes of ${formatType(type)}`,
      );
      labels.forEach((label, axis) => {
        const size = type.shape[axis]!;
        invariant(Number.isSafeInteger(label) && label >= 0, () => `bad label ${label}`);
        invariant(
          (sizes.get(label) ?? size) === size,
          () => `label ${label} is ${sizes.get(label)} and ${size}`,
        );
        sizes.set(label, size);
      });
    }
    invariant(new Set(out).size === out.length, () => `output labels [${out.join(", ")}] repeat`);
    for (const label of sizes.keys())
      invariant(
        out.includes(label) || (lhs.includes(label) && rhs.includes(label)),
        () => `label ${label} is summed in one operand only: sum it first`,
      );
    const shape = out.map((label) => {
      const size = sizes.get(label);
      invariant(size !== undefined, () => `output label ${label} is in no operand`);
      return size;
    });
    return { dtype: summedDType(a.dtype), shape };
  },
  /** The cotangent of each operand is an einsum of the output's and the other operand. */
  vjp: (b, { node, inputs: [a, c], ct }) => {
    const { lhs, rhs, out } = node.attrs;
    const wide = (operand: NodeId): NodeId => (b.dtype(operand) === "f16" ? b.cast(operand, "f32") : operand);
    return [
      b.einsum(ct, wide(c!), { lhs: out, rhs, out: lhs }),
      b.einsum(wide(a!), ct, { lhs, rhs: out, out: rhs }),
    ];
  },
  evaluate: ([a, b], { type, attrs }) => {
    const out = zeros(type);
    const [aStrides, bStrides] = [rowMajorStrides(a!.shape), rowMajorStrides(b!.shape)];
    const summed = summedLabels(attrs);
    const sizeOf = labelSizes(attrs, [a!, b!]);
    const offsets = (labels: readonly number[], operand: readonly number[], strides: readonly number[]) =>
      stridedOffsets(
        labels.map(sizeOf),
        labels.map((label) => strides[operand.indexOf(label)] ?? 0),
      );
    const at: ContractionOffsets = {
      aOut: offsets(attrs.out, attrs.lhs, aStrides),
      aSum: offsets(summed, attrs.lhs, aStrides),
      bOut: offsets(attrs.out, attrs.rhs, bStrides),
      bSum: offsets(summed, attrs.rhs, bStrides),
    };
    if (out.data instanceof Float64Array) contractFloats(out.data, a!.data, b!.data, at);
    else contractIntegers(out.data, a!.data, b!.data, at);
    return out;
  },
  lower: (s, [a, c], at, { attrs }, types) => {
    const summed = summedLabels(attrs);
    const product = (inner: readonly Expr[]): Expr => {
      const place = (label: number): Expr => at[attrs.out.indexOf(label)] ?? inner[summed.indexOf(label)]!;
      // The product of two halves has 22 bits: exact in f32, as tensor cores have it; an f16 product would lose half of them
      // and overflow.
      return s.call("mul", widened(s, a!(attrs.lhs.map(place))), widened(s, c!(attrs.rhs.map(place))));
    };
    return summed.length === 0 ? product([]) : s.reduce("sum", summed.map(labelSizes(attrs, types)), product);
  },
};

export const scatter_add: OpDef<"scatter_add"> = {
  summary: "Sums of rows of equal index. updates: T[...I, ...rest], indices: i32[...I] -> T[rows, ...rest]",
  infer: (inputs, { rows }) => {
    const [updates, indices] = twoInputs(inputs);
    requireDType(updates, ["f32", "i32", "u32"]);
    invariant(indices.dtype === "i32", () => `indices must be i32, got ${formatType(indices)}`);
    invariant(
      indices.shape.length <= updates.shape.length &&
        indices.shape.every((size, axis) => size === updates.shape[axis]),
      () => `indices ${formatType(indices)} do not lead updates ${formatType(updates)}`,
    );
    const shape = [rows, ...updates.shape.slice(indices.shape.length)];
    requireShape(shape);
    return { dtype: updates.dtype, shape };
  },
  vjp: (b, { inputs: [, indices], ct }) => [b.take(ct, indices!), undefined],
  evaluate: ([updates, indices], { type, attrs }) => {
    const out = zeros(type);
    const rowSize = elementCount(type.shape.slice(1));
    indices!.data.forEach((row, position) => {
      invariant(row >= 0 && row < attrs.rows, () => `index ${row} of ${attrs.rows} rows`);
      for (let j = 0; j < rowSize; j++)
        out.data[row * rowSize + j]! += updates!.data[position * rowSize + j]!;
    });
    return out;
  },
  lower: "by schedule",
};
