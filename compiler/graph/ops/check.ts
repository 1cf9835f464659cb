import { isNumeric } from "../dtype.ts";
import { invariant } from "../errors.ts";
import { formatType, sameShape } from "../shape.ts";
import type { DType, Shape, TensorType } from "../types.ts";

/** The one input of a unary op. */
export function oneInput(inputs: readonly TensorType[]): TensorType {
  const [x] = inputs;
  invariant(x !== undefined && inputs.length === 1, () => `takes 1 input, got ${inputs.length}`);
  return x;
}

export function twoInputs(inputs: readonly TensorType[]): readonly [TensorType, TensorType] {
  const [a, b] = inputs;
  invariant(
    a !== undefined && b !== undefined && inputs.length === 2,
    () => `takes 2 inputs, got ${inputs.length}`,
  );
  return [a, b];
}

export function noInputs(inputs: readonly TensorType[]): void {
  invariant(inputs.length === 0, () => `takes no inputs, got ${inputs.length}`);
}

export function requireDType(type: TensorType, allowed: readonly DType[]): void {
  invariant(allowed.includes(type.dtype), () => `takes ${allowed.join(" or ")}, got ${formatType(type)}`);
}

export function requireNumeric(type: TensorType): void {
  invariant(isNumeric(type.dtype), () => `takes numbers, got ${formatType(type)}`);
}

export function requireSameShape(a: TensorType, b: TensorType): void {
  invariant(
    sameShape(a.shape, b.shape),
    () => `operands differ in shape: ${formatType(a)} and ${formatType(b)}`,
  );
}

/** Operands of one dtype and one shape. */
export function requireSameType(a: TensorType, b: TensorType): void {
  requireSameShape(a, b);
  invariant(a.dtype === b.dtype, () => `operands differ in dtype: ${formatType(a)} and ${formatType(b)}`);
}

/** Sizes are positive and the element count is a safe integer. */
export function requireShape(shape: Shape): void {
  invariant(
    shape.every((size) => Number.isSafeInteger(size) && size >= 1),
    () => `sizes must be positive whole numbers: [${shape.join(", ")}]`,
  );
  invariant(
    shape.reduce((count, size) => count * size, 1) <= Number.MAX_SAFE_INTEGER,
    () => `too many elements: [${shape.join(", ")}]`,
  );
}
