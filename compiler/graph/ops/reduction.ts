import { invariant } from "../errors.ts";
import { areAscendingAxes, formatType, otherAxes } from "../shape.ts";
import type { TensorType } from "../types.ts";
import { oneInput, requireNumeric, requireShape, twoInputs } from "./check.ts";
import type { OpDef } from "./op-def.ts";

function inferReduction(
  inputs: readonly TensorType[],
  attrs: { readonly axes: readonly number[] },
): TensorType {
  const x = oneInput(inputs);
  requireNumeric(x);
  invariant(
    areAscendingAxes(attrs.axes, x.shape.length),
    () => `[${attrs.axes.join(", ")}] are no ascending axes of ${formatType(x)}`,
  );
  return { dtype: x.dtype, shape: otherAxes(attrs.axes, x.shape.length).map((axis) => x.shape[axis]!) };
}

export const sum: OpDef<"sum"> = {
  summary: "Sum over axes, which go.",
  infer: inferReduction,
};

export const reduce_max: OpDef<"reduce_max"> = {
  summary: "Greatest element over axes, which go.",
  infer: inferReduction,
};

export const einsum: OpDef<"einsum"> = {
  summary: "Sum of products of two tensors with labelled axes.",
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
    return { dtype: a.dtype, shape };
  },
};

export const scatter_add: OpDef<"scatter_add"> = {
  summary: "Sums of rows of equal index. updates: T[...I, ...rest], indices: i32[...I] -> T[rows, ...rest]",
  infer: (inputs, { rows }) => {
    const [updates, indices] = twoInputs(inputs);
    requireNumeric(updates);
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
};
