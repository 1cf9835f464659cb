import type { Shape } from "../graph/index.ts";

/** Axes `from[0]` to `from[1]` (exclusive) of one shape hold the elements of axes `to[0]` to `to[1]` of the other. */
export interface Segment {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/**
 * The finest cut of two shapes of equal element count into runs of axes with equal counts: [2, 12, 1] and [2, 3, 4]
 * give 2|2, 12|3 4 and 1|-. Axes of size 1 between runs are runs of their own with nothing on the other side.
 */
export function alignShapes(from: Shape, to: Shape): readonly Segment[] {
  const segments: Segment[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const [fromStart, toStart] = [i, j];
    if (from[i] === 1) i++;
    else if (to[j] === 1) j++;
    else {
      let left = from[i++] ?? 1;
      let right = to[j++] ?? 1;
      while (left !== right && (i < from.length || j < to.length)) {
        if (left < right) left *= from[i++] ?? 1;
        else right *= to[j++] ?? 1;
      }
    }
    segments.push({ from: [fromStart, i], to: [toStart, j] });
  }
  return segments;
}

/** The two shapes differ in axes of size 1 alone, so that a reshape between them renames indices, no more. */
export function differInUnitAxes(a: Shape, b: Shape): boolean {
  const [x, y] = [withoutUnitAxes(a), withoutUnitAxes(b)];
  return x.length === y.length && x.every((size, axis) => size === y[axis]);
}

export function withoutUnitAxes(shape: Shape): Shape {
  return shape.filter((size) => size !== 1);
}

/** The axes of a size other than 1. */
export function axesOverOne(shape: Shape): readonly number[] {
  return shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
}
