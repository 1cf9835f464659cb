import {
  type DType,
  elementCount,
  type Shape,
  type Tensor,
  type TensorType,
  tensor,
} from "../../compiler/graph/index.ts";

/** How the elements of a sample's operand are made. Ranges: low inclusive, high exclusive. */
export type Draw =
  | { readonly kind: "given"; readonly values: readonly number[] }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** Both signs, of magnitude 0.1 to 2: away from the kink or pole at 0. */
  | { readonly kind: "nonzero" }
  | { readonly kind: "integer"; readonly low: number; readonly high: number };

export interface Operand {
  readonly type: TensorType;
  readonly draw: Draw;
}

/** Uniform numbers in [0, 1), the same for the same seed: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function drawOperand({ type, draw }: Operand, random: () => number): Tensor {
  if (draw.kind === "given") return tensor(type, draw.values);
  const one = (): number => {
    switch (draw.kind) {
      case "uniform":
        return draw.low + (draw.high - draw.low) * random();
      case "nonzero":
        return (random() < 0.5 ? -1 : 1) * (0.1 + 1.9 * random());
      case "integer":
        return Math.floor(draw.low + (draw.high - draw.low) * random());
      default:
        return draw satisfies never;
    }
  };
  return tensor(type, Array.from({ length: elementCount(type.shape) }, one));
}

export function given(dtype: DType, shape: Shape, values: readonly number[]): Operand {
  return { type: { dtype, shape }, draw: { kind: "given", values } };
}

export function uniform(shape: Shape, low: number, high: number): Operand {
  return { type: { dtype: "f32", shape }, draw: { kind: "uniform", low, high } };
}

export function nonzero(shape: Shape): Operand {
  return { type: { dtype: "f32", shape }, draw: { kind: "nonzero" } };
}

export function integers(dtype: DType, shape: Shape, low: number, high: number): Operand {
  return { type: { dtype, shape }, draw: { kind: "integer", low, high } };
}
