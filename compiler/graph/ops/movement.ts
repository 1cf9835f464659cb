import { invariant } from "../errors.ts";
import { areAscendingAxes, elementCount, formatType, isPermutation, sameShape } from "../shape.ts";
import { oneInput, requireDType, requireShape, twoInputs } from "./check.ts";
import type { OpDef } from "./op-def.ts";

export const reshape: OpDef<"reshape"> = {
  summary: "The same elements in row-major order. x: T[...] -> T[shape]",
  infer: (inputs, { shape }) => {
    const x = oneInput(inputs);
    requireShape(shape);
    invariant(
      elementCount(shape) === elementCount(x.shape),
      () => `${formatType(x)} has not the elements of [${shape.join(", ")}]`,
    );
    return { dtype: x.dtype, shape };
  },
};

export const transpose: OpDef<"transpose"> = {
  summary: "Output axis i is input axis perm[i].",
  infer: (inputs, { perm }) => {
    const x = oneInput(inputs);
    invariant(
      isPermutation(perm, x.shape.length),
      () => `[${perm.join(", ")}] is no permutation of the axes of ${formatType(x)}`,
    );
    return { dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) };
  },
};

export const broadcast: OpDef<"broadcast"> = {
  summary: "Input axis i becomes output axis axes[i]; the other axes repeat.",
  infer: (inputs, { shape, axes }) => {
    const x = oneInput(inputs);
    requireShape(shape);
    invariant(
      axes.length === x.shape.length && areAscendingAxes(axes, shape.length),
      () => `[${axes.join(", ")}] does not place the axes of ${formatType(x)} in [${shape.join(", ")}]`,
    );
    invariant(
      sameShape(
        x.shape,
        axes.map((axis) => shape[axis]!),
      ),
      () => `${formatType(x)} does not fit axes [${axes.join(", ")}] of [${shape.join(", ")}]`,
    );
    return { dtype: x.dtype, shape };
  },
};

export const slice: OpDef<"slice"> = {
  summary: "The box start <= index < end of every axis.",
  infer: (inputs, { start, end }) => {
    const x = oneInput(inputs);
    const rank = x.shape.length;
    invariant(
      start.length === rank &&
        end.length === rank &&
        x.shape.every((size, axis) => {
          const [first, last] = [start[axis]!, end[axis]!];
          return (
            Number.isInteger(first) && Number.isInteger(last) && 0 <= first && first < last && last <= size
          );
        }),
      () => `[${start.join(", ")}] to [${end.join(", ")}] is no box in ${formatType(x)}`,
    );
    return { dtype: x.dtype, shape: start.map((first, axis) => end[axis]! - first) };
  },
};

export const pad: OpDef<"pad"> = {
  summary: "Zeros before and after each axis.",
  infer: (inputs, { before, after }) => {
    const x = oneInput(inputs);
    const rank = x.shape.length;
    invariant(
      before.length === rank &&
        after.length === rank &&
        [...before, ...after].every((count) => Number.isSafeInteger(count) && count >= 0),
      () => `padding [${before.join(", ")}], [${after.join(", ")}] does not fit ${formatType(x)}`,
    );
    const shape = x.shape.map((size, axis) => before[axis]! + size + after[axis]!);
    requireShape(shape);
    return { dtype: x.dtype, shape };
  },
};

export const concat: OpDef<"concat"> = {
  summary: "Joins tensors along one axis.",
  infer: (inputs, { axis }) => {
    const [first] = inputs;
    invariant(first !== undefined, () => `takes at least 1 input`);
    invariant(Number.isInteger(axis) && axis >= 0 && axis < first.shape.length, () => `no axis ${axis}`);
    for (const type of inputs) {
      invariant(
        type.dtype === first.dtype &&
          type.shape.length === first.shape.length &&
          type.shape.every((size, index) => index === axis || size === first.shape[index]),
        () => `${formatType(first)} and ${formatType(type)} differ beside axis ${axis}`,
      );
    }
    const size = inputs.reduce((total, type) => total + type.shape[axis]!, 0);
    const shape = first.shape.map((extent, index) => (index === axis ? size : extent));
    requireShape(shape);
    return { dtype: first.dtype, shape };
  },
};

export const take: OpDef<"take"> = {
  summary: "Rows of a table. table: T[N, ...rest], indices: i32[...I] -> T[...I, ...rest]",
  infer: (inputs) => {
    const [table, indices] = twoInputs(inputs);
    requireDType(indices, ["i32"]);
    invariant(table.shape.length >= 1, () => `the table must have rows, got ${formatType(table)}`);
    return { dtype: table.dtype, shape: [...indices.shape, ...table.shape.slice(1)] };
  },
};
