import fc from "fast-check";
import {
  type DType,
  elementCount,
  GraphBuilder,
  type Leaves,
  type NodeId,
  type Shape,
  type Tensor,
  tensor,
} from "../../compiler/graph/index.ts";

/** What drawn f32 inputs hold: finite numbers, or every kind of number a float can be. */
export type Numbers = "finite" | "special";

const finite = fc.double({ min: -4, max: 4, noNaN: true });
const special = fc.oneof(finite, fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, NaN));
/** Constants that rules look out for, and others. */
const constants = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 0.25, -8, 3),
  fc.double({ min: 0.1, max: 4, noNaN: true }),
);

/** Draws shapes, constants and inputs while a sample graph is built with it. */
export class Draw {
  readonly b = new GraphBuilder({ path: "", at: "", label: "sample", pass: "test" });
  readonly #generate: fc.GeneratorValue;
  readonly #numbers: Numbers;
  readonly #inputs = new Map<string, Tensor>();

  constructor(generate: fc.GeneratorValue, numbers: Numbers) {
    this.#generate = generate;
    this.#numbers = numbers;
  }

  get leaves(): Leaves {
    return { inputs: this.#inputs };
  }

  integer(min: number, max: number): number {
    return this.#generate(fc.integer, { min, max });
  }

  /** A size of 1 to 3, so that axes of size 1 occur. */
  size(): number {
    return this.integer(1, 3);
  }

  shape(rank: number): Shape {
    return Array.from({ length: rank }, () => this.size());
  }

  permutation(rank: number): readonly number[] {
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    return this.#generate(fc.shuffledSubarray<number>, axes, { minLength: rank, maxLength: rank });
  }

  /** Some axes, ascending. */
  axes(rank: number, least = 0): readonly number[] {
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    return this.#generate(fc.subarray<number>, axes, { minLength: least });
  }

  constant(): number {
    return this.#generate(() => constants);
  }

  oneOf<T>(...values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }

  /** A batch field of drawn elements; integers are in 0 .. limit - 1. */
  input(dtype: DType, shape: Shape, limit = 5): NodeId {
    const element =
      dtype === "bool"
        ? fc.integer({ min: 0, max: 1 })
        : dtype === "f32"
          ? this.#numbers === "finite"
            ? finite
            : special
          : fc.integer({ min: 0, max: limit - 1 });
    const count = elementCount(shape);
    const elements = this.#generate(() => fc.array(element, { minLength: count, maxLength: count }));
    const name = `x${this.#inputs.size}`;
    this.#inputs.set(name, tensor({ dtype, shape }, elements));
    return this.b.input(name, dtype, shape);
  }

  float(shape: Shape): NodeId {
    return this.input("f32", shape);
  }

  /** An input broadcast to a shape. */
  spread(shape: Shape, dtype: DType = "f32", limit = 5): NodeId {
    const axes = this.axes(shape.length);
    const inner = this.input(
      dtype,
      axes.map((axis) => shape[axis]!),
      limit,
    );
    return this.b.broadcast(inner, shape, axes);
  }

  /** An input reshaped to a shape by dropping its axes of size 1. */
  renamed(shape: Shape): NodeId {
    return this.b.reshape(this.float([1, ...shape, 1]), shape);
  }

  full(value: number, shape: Shape): NodeId {
    return this.b.full("f32", value, shape);
  }

  /** Labels of an einsum with operands of drawn shapes: batch, left, right and summed labels, in any order. */
  einsum(lhs: (shape: Shape) => NodeId, rhs: (shape: Shape) => NodeId, summed = this.integer(0, 2)): NodeId {
    const [batch, left, right] = [this.integer(0, 1), this.integer(0, 2), this.integer(0, 2)];
    const sizes = this.shape(batch + left + right + summed);
    const labels = sizes.map((_, label) => label);
    const isOf = (label: number, side: "lhs" | "rhs" | "out"): boolean => {
      if (label < batch) return true;
      if (label < batch + left) return side !== "rhs";
      if (label < batch + left + right) return side !== "lhs";
      return side !== "out";
    };
    const shuffled = (side: "lhs" | "rhs" | "out"): readonly number[] => {
      const mine = labels.filter((label) => isOf(label, side));
      return this.permutation(mine.length).map((index) => mine[index]!);
    };
    const attrs = { lhs: shuffled("lhs"), rhs: shuffled("rhs"), out: shuffled("out") };
    const shapeOf = (side: readonly number[]): Shape => side.map((label) => sizes[label]!);
    return this.b.einsum(lhs(shapeOf(attrs.lhs)), rhs(shapeOf(attrs.rhs)), attrs);
  }
}
