import { constantOf, sameSize } from "./size.ts";
import type { SizedInstruction } from "./sized.ts";

/*
 * Expressions of the language that ONNX has an operator for. Runtimes have kernels for these and build larger ones on them.
 * They are recognized by what is computed, wherever a spec computes it.
 */

type Instructions = readonly SizedInstruction[];
type Operation<K> = SizedInstruction["instruction"] & { readonly op: K };

/** `exp(x - m) / sum(exp(x - m), axis)`, m the largest along the axis. */
export interface SoftmaxPattern {
  readonly x: number;
  readonly axis: number;
}

export function softmaxAt(model: Instructions, id: number): SoftmaxPattern | undefined {
  const quotient = binary(model, id, "div");
  const [above, below] = quotient?.inputs ?? [];
  const sum = reduction(model, below, "sum");
  if (above === undefined || sum?.inputs[0] !== above) return undefined;
  const exponential = unary(model, above, "exp");
  const [shifted] = exponential?.inputs ?? [];
  const difference = binary(model, shifted, "sub");
  const [x, top] = difference?.inputs ?? [];
  const largest = reduction(model, withoutStop(model, top), "max");
  const [axis, second] = sum.axes;
  const fits =
    x !== undefined &&
    axis !== undefined &&
    second === undefined &&
    largest?.inputs[0] === x &&
    largest.axes.length === 1 &&
    largest.axes[0] === axis &&
    sum.keep &&
    largest.keep;
  return fits ? { x, axis } : undefined;
}

/** `(x - mean(x)) * rsqrt(mean((x - mean(x))²) + epsilon) * scale + shift` over the last axis. */
export interface LayerNormPattern {
  readonly x: number;
  readonly scale: number;
  readonly shift: number;
  readonly epsilon: number;
}

export function layerNormAt(model: Instructions, id: number): LayerNormPattern | undefined {
  const total = binary(model, id, "add");
  for (const [scaled, shift] of bothOrders(total?.inputs)) {
    for (const [normal, scale] of bothOrders(binary(model, scaled, "mul")?.inputs)) {
      for (const [centered, root] of bothOrders(binary(model, normal, "mul")?.inputs)) {
        const found = normalized(model, centered, root);
        if (found === undefined) continue;
        const last = model[found.x]?.shape.at(-1) ?? [];
        const isRow = (of: number): boolean => {
          const shape = model[of]?.shape ?? [];
          return shape.length === 1 && sameSize(shape[0] ?? [], last);
        };
        if (isRow(scale) && isRow(shift)) return { ...found, scale, shift };
      }
    }
  }
  return undefined;
}

function normalized(
  model: Instructions,
  centered: number,
  root: number,
): { readonly x: number; readonly epsilon: number } | undefined {
  const difference = binary(model, centered, "sub");
  const [x, center] = difference?.inputs ?? [];
  const axis = x === undefined ? -1 : (model[x]?.shape.length ?? 0) - 1;
  const isMean = (of: number | undefined, operand: number | undefined): boolean => {
    const mean = reduction(model, of, "mean");
    return (
      mean?.inputs[0] === operand && mean?.keep === true && mean.axes.length === 1 && mean.axes[0] === axis
    );
  };
  if (x === undefined || !isMean(center, x)) return undefined;
  const sum = binary(model, unary(model, root, "rsqrt")?.inputs[0], "add");
  for (const [variance, small] of bothOrders(sum?.inputs)) {
    const epsilon = model[small];
    const [squares] = reduction(model, variance, "mean")?.inputs ?? [];
    const square = binary(model, squares, "mul")?.inputs ?? [];
    const fits =
      epsilon?.instruction.op === "fill" &&
      epsilon.value === undefined &&
      epsilon.shape.every((size) => constantOf(size) === 1) &&
      square[0] === centered &&
      square[1] === centered &&
      isMean(variance, squares);
    if (fits && epsilon.instruction.op === "fill") return { x, epsilon: epsilon.instruction.value };
  }
  return undefined;
}

function bothOrders(inputs: readonly number[] | undefined): readonly (readonly [number, number])[] {
  const [a, b] = inputs ?? [];
  if (a === undefined || b === undefined) return [];
  return [
    [a, b],
    [b, a],
  ];
}

function withoutStop(model: Instructions, id: number | undefined): number | undefined {
  return unary(model, id, "stop_gradient")?.inputs[0] ?? id;
}

function unary(model: Instructions, id: number | undefined, fn: string): Operation<"unary"> | undefined {
  const found = id === undefined ? undefined : model[id]?.instruction;
  return found?.op === "unary" && found.fn === fn ? found : undefined;
}

function binary(model: Instructions, id: number | undefined, fn: string): Operation<"binary"> | undefined {
  const found = id === undefined ? undefined : model[id]?.instruction;
  return found?.op === "binary" && found.fn === fn ? found : undefined;
}

function reduction(model: Instructions, id: number | undefined, fn: string): Operation<"reduce"> | undefined {
  const found = id === undefined ? undefined : model[id]?.instruction;
  return found?.op === "reduce" && found.fn === fn ? found : undefined;
}
