import type { Shape, TensorType } from "./types.ts";

export function elementCount(shape: Shape): number {
  return shape.reduce((count, size) => count * size, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/** Elements to step over for one step along each axis of a row-major tensor: [2, 3, 4] gives [12, 4, 1]. */
export function rowMajorStrides(shape: Shape): readonly number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** 0, 1, ..., count - 1. */
export function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** `perm` is a reordering of 0 .. rank - 1. */
export function isPermutation(perm: readonly number[], rank: number): boolean {
  return perm.length === rank && range(rank).every((axis) => perm.includes(axis));
}

export function isIdentityPermutation(perm: readonly number[]): boolean {
  return perm.every((axis, index) => axis === index);
}

/** The permutation that undoes `perm`. */
export function inversePermutation(perm: readonly number[]): readonly number[] {
  const inverse = new Array<number>(perm.length);
  perm.forEach((axis, index) => {
    inverse[axis] = index;
  });
  return inverse;
}

/** Ascending whole numbers in 0 .. rank - 1 without repeats. */
export function areAscendingAxes(axes: readonly number[], rank: number): boolean {
  return axes.every(
    (axis, index) =>
      Number.isInteger(axis) && axis >= 0 && axis < rank && (index === 0 || axis > axes[index - 1]!),
  );
}

/** The axes of 0 .. rank - 1 that are not in `axes`, ascending. */
export function otherAxes(axes: readonly number[], rank: number): readonly number[] {
  return range(rank).filter((axis) => !axes.includes(axis));
}

/**
 * NumPy's rule: shapes are aligned at the right and an axis of size 1 repeats.
 * @returns the common shape, or undefined where two sizes differ and neither is 1
 */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}

/** `f32[2, 3]`; a scalar is `f32[]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(", ")}]`;
}
