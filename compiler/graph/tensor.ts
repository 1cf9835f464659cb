import { elementCount } from "./shape.ts";
import type { TensorType } from "./types.ts";

/**
 * Values on the host, row-major. f32 is kept in float64 (the reference rounds nowhere), f16 in float64 too, but rounded, i32 as Int32Array, u32 and
 * bool (0 or 1) as Uint32Array.
 */
export interface Tensor extends TensorType {
  readonly data: Float64Array | Int32Array | Uint32Array;
}

/** All zero. */
export function zeros({ dtype, shape }: TensorType): Tensor {
  const count = elementCount(shape);
  switch (dtype) {
    case "f32":
    case "f16":
      return { dtype, shape, data: new Float64Array(count) };
    case "i32":
      return { dtype, shape, data: new Int32Array(count) };
    case "u32":
    case "bool":
      return { dtype, shape, data: new Uint32Array(count) };
    default:
      return dtype satisfies never;
  }
}

/** A tensor of the given elements in row-major order, converted to what its dtype can hold. */
export function tensor(type: TensorType, elements: ArrayLike<number>): Tensor {
  const made = zeros(type);
  if (elements.length !== made.data.length)
    throw new RangeError(`${elements.length} elements for shape [${type.shape.join(", ")}]`);
  made.data.set(elements);
  return made;
}

/** Row-major offset of every index of `extents`, when axis i steps by `strides[i]` from `base`. */
export function stridedOffsets(extents: readonly number[], strides: readonly number[], base = 0): Int32Array {
  const offsets = new Int32Array(elementCount(extents));
  offsets[0] = base;
  let filled = 1;
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    const stride = strides[axis]!;
    for (let k = 1; k < extents[axis]!; k++) {
      const from = k * filled;
      const shift = k * stride;
      for (let j = 0; j < filled; j++) offsets[from + j] = offsets[j]! + shift;
    }
    filled *= extents[axis]!;
  }
  return offsets;
}
