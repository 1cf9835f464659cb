import type { Expr, ScalarBuilder } from "../../kernel/index.ts";
import { invariant } from "../errors.ts";
import {
  areAscendingAxes,
  elementCount,
  formatType,
  inversePermutation,
  isPermutation,
  otherAxes,
  rowMajorStrides,
  sameShape,
} from "../shape.ts";
import { stridedOffsets, type Tensor, zeros } from "../tensor.ts";
import type { TensorType } from "../types.ts";
import { oneInput, requireDType, requireShape, twoInputs } from "./check.ts";
import type { OpDef } from "./op-def.ts";

/** out[index] = x.data[base + sum(index * strides)] for every index of `type.shape`. */
function gather(x: Tensor, type: TensorType, strides: readonly number[], base: number): Tensor {
  const out = zeros(type);
  const offsets = stridedOffsets(type.shape, strides, base);
  for (let i = 0; i < offsets.length; i++) out.data[i] = x.data[offsets[i]!]!;
  return out;
}

/** Copies all of `x` into the box of `out` that starts at `start`. */
function writeBox(out: Tensor, x: Tensor, start: readonly number[]): void {
  const strides = rowMajorStrides(out.shape);
  const offsets = stridedOffsets(x.shape, strides, offsetOf(start, strides));
  for (let i = 0; i < offsets.length; i++) out.data[offsets[i]!] = x.data[i]!;
}

function offsetOf(index: readonly number[], strides: readonly number[]): number {
  return index.reduce((offset, position, axis) => offset + position * strides[axis]!, 0);
}

/** The index along one axis kept in 0 .. size - 1: whatever the data, and in lanes whose value is not chosen, loads are in range. */
function clampIndex(s: ScalarBuilder, index: Expr, size: number): Expr {
  return s.call("min", s.call("max", index, s.constant("i32", 0)), s.constant("i32", size - 1));
}

function withAxis<T>(items: readonly T[], axis: number, item: T): readonly T[] {
  return items.map((old, index) => (index === axis ? item : old));
}

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
  vjp: (b, { inputs: [x], ct }) => [b.reshape(ct, b.shape(x!))],
  evaluate: ([x], { type }) => ({ ...type, data: x!.data }),
  lower: (s, [x], at, { type }, [from]) => x!(s.delinearize(s.linearize(at, type.shape), from!.shape)),
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
  vjp: (b, { node, ct }) => [b.transpose(ct, inversePermutation(node.attrs.perm))],
  evaluate: ([x], { type, attrs }) => {
    const strides = rowMajorStrides(x!.shape);
    return gather(
      x!,
      type,
      attrs.perm.map((axis) => strides[axis]!),
      0,
    );
  },
  lower: (_s, [x], at, { attrs }) => x!(inversePermutation(attrs.perm).map((axis) => at[axis]!)),
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
  vjp: (b, { node, ct }) => [b.sum(ct, otherAxes(node.attrs.axes, node.attrs.shape.length))],
  evaluate: ([x], { type, attrs }) => {
    const strides = rowMajorStrides(x!.shape);
    const place = (axis: number): number => strides[attrs.axes.indexOf(axis)] ?? 0;
    return gather(
      x!,
      type,
      type.shape.map((_size, axis) => place(axis)),
      0,
    );
  },
  lower: (_s, [x], at, { attrs }) => x!(attrs.axes.map((axis) => at[axis]!)),
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
  vjp: (b, { node, inputs: [x], ct }) => {
    const after = b.shape(x!).map((size, axis) => size - node.attrs.end[axis]!);
    return [b.pad(ct, node.attrs.start, after)];
  },
  evaluate: ([x], { type, attrs }) => {
    const strides = rowMajorStrides(x!.shape);
    return gather(x!, type, strides, offsetOf(attrs.start, strides));
  },
  lower: (s, [x], at, { attrs }) =>
    x!(at.map((index, axis) => s.addIndex(index, s.constant("i32", attrs.start[axis]!)))),
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
  vjp: (b, { node, inputs: [x], ct }) => {
    const { before } = node.attrs;
    const end = b.shape(x!).map((size, axis) => before[axis]! + size);
    return [b.slice(ct, before, end)];
  },
  evaluate: ([x], { type, attrs }) => {
    const out = zeros(type);
    writeBox(out, x!, attrs.before);
    return out;
  },
  lower: (s, [x], at, { type, attrs }, [from]) => {
    let inside: Expr | undefined;
    const require = (condition: Expr): void => {
      inside = inside === undefined ? condition : s.call("and", inside, condition);
    };
    const index = at.map((position, axis) => {
      const [before, after, size] = [attrs.before[axis]!, attrs.after[axis]!, from!.shape[axis]!];
      if (before === 0 && after === 0) return position;
      const moved = s.addIndex(position, s.constant("i32", -before));
      if (before > 0) require(s.call("le", s.constant("i32", before), position));
      if (after > 0) require(s.call("lt", position, s.constant("i32", before + size)));
      return clampIndex(s, moved, size);
    });
    const value = x!(index);
    return inside === undefined ? value : s.select(inside, value, s.constant(type.dtype, 0));
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
  vjp: (b, { node, inputs, ct }) => {
    const { axis } = node.attrs;
    let start = 0;
    return inputs.map((id) => {
      const shape = b.shape(id);
      const first = start;
      start += shape[axis]!;
      const begin = shape.map((_size, index) => (index === axis ? first : 0));
      return b.slice(ct, begin, withAxis(shape, axis, start));
    });
  },
  evaluate: (inputs, { type, attrs }) => {
    const out = zeros(type);
    let start = 0;
    for (const x of inputs) {
      writeBox(
        out,
        x,
        type.shape.map((_size, axis) => (axis === attrs.axis ? start : 0)),
      );
      start += x.shape[attrs.axis]!;
    }
    return out;
  },
  lower: (s, inputs, at, { attrs }, types) => {
    const position = at[attrs.axis]!;
    let start = 0;
    const pieces = inputs.map((access, index) => {
      const size = types[index]!.shape[attrs.axis]!;
      const inPiece = clampIndex(s, s.addIndex(position, s.constant("i32", -start)), size);
      start += size;
      return { end: start, value: access(withAxis(at, attrs.axis, inPiece)) };
    });
    const last = pieces.pop()!;
    return pieces.reduceRight(
      (rest, { end, value }) => s.select(s.call("lt", position, s.constant("i32", end)), value, rest),
      last.value,
    );
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
  vjp: (b, { inputs: [table, indices], ct }) => [b.scatterAdd(ct, indices!, b.shape(table!)[0]!), undefined],
  evaluate: ([table, indices], { type }) => {
    const out = zeros(type);
    const [rows] = table!.shape;
    const rowSize = elementCount(table!.shape.slice(1));
    indices!.data.forEach((row, position) => {
      invariant(row >= 0 && row < rows!, () => `index ${row} of ${rows} rows`);
      for (let j = 0; j < rowSize; j++) out.data[position * rowSize + j] = table!.data[row * rowSize + j]!;
    });
    return out;
  },
  lower: (s, [table, indices], at, _node, types) => {
    const rank = types[1]!.shape.length;
    const row = clampIndex(s, indices!(at.slice(0, rank)), types[0]!.shape[0]!);
    return table!([row, ...at.slice(rank)]);
  },
};
