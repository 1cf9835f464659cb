import fc from "fast-check";
import {
  elementCount,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  type Origin,
  otherAxes,
  range,
  type Shape,
  tensor,
} from "../../compiler/graph/index.ts";
import { randomNumbers } from "../ops/draw.ts";

export interface RandomGraph {
  readonly graph: Graph;
  readonly leaves: Leaves;
}

/** Picks from lists by drawn numbers, so that a graph shrinks with its list of numbers. */
class Choices {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get done(): boolean {
    return this.#next >= this.#numbers.length;
  }

  below(count: number): number {
    return (this.#numbers[this.#next++] ?? 0) % count;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

type Step = (b: GraphBuilder, x: NodeId, pick: Choices, values: readonly NodeId[]) => NodeId;

const one = (b: GraphBuilder, x: NodeId): NodeId => b.fullLike(x, 1);
/** x^2 + 1: positive, and smooth everywhere. */
const above = (b: GraphBuilder, x: NodeId): NodeId => b.add(b.mul(x, x), one(b, x));
/** Keeps chains of steps in a range where central differences hold. */
const tame = (b: GraphBuilder, x: NodeId): NodeId => b.tanh(x);
const permutations = (rank: number): readonly (readonly number[])[] =>
  rank === 0
    ? [[]]
    : permutations(rank - 1).flatMap((rest) =>
        range(rank).map((at) => [...rest.slice(0, at), rank - 1, ...rest.slice(at)]),
      );

function otherOfShape(b: GraphBuilder, x: NodeId, pick: Choices, values: readonly NodeId[]): NodeId {
  const shape = b.shape(x).join();
  return pick.of(values.filter((id) => b.shape(id).join() === shape));
}

/** A mask that depends on no parameter. */
function mask(b: GraphBuilder, shape: Shape, pick: Choices): NodeId {
  if (shape.length === 0) return b.eq(b.constant("i32", 1), b.constant("i32", pick.below(2)));
  const axis = pick.below(shape.length);
  return b.lt(b.iota(shape, axis), b.full("i32", pick.below(shape[axis]! + 1), shape));
}

/** Smooth steps from one f32 tensor to another, every op with a gradient among them but for those with kinks. */
const steps: readonly Step[] = [
  (b, x) => b.neg(x),
  (b, x) => b.exp(tame(b, x)),
  (b, x) => b.log(above(b, x)),
  (b, x) => b.sqrt(above(b, x)),
  (b, x) => b.rsqrt(above(b, x)),
  (b, x) => b.tanh(x),
  (b, x) => b.erf(x),
  (b, x) => b.sin(x),
  (b, x) => b.cos(x),
  (b, x, pick, values) => b.add(x, otherOfShape(b, x, pick, values)),
  (b, x, pick, values) => b.sub(x, otherOfShape(b, x, pick, values)),
  (b, x, pick, values) => b.mul(tame(b, x), tame(b, otherOfShape(b, x, pick, values))),
  (b, x, pick, values) => b.div(x, above(b, otherOfShape(b, x, pick, values))),
  (b, x, pick, values) => b.pow(above(b, tame(b, x)), tame(b, otherOfShape(b, x, pick, values))),
  (b, x, pick, values) => b.select(mask(b, b.shape(x), pick), x, otherOfShape(b, x, pick, values)),
  (b, x) => b.mul(x, b.stopGradient(b.fullLike(x, 0.5))),
  (b, x, pick) => {
    const shape = b.shape(x);
    return b.reshape(x, pick.of([[elementCount(shape)], [...shape, 1], [1, ...shape], [...shape].reverse()]));
  },
  (b, x, pick) => b.transpose(x, pick.of(permutations(b.shape(x).length))),
  (b, x, pick) => {
    const shape = b.shape(x);
    const at = pick.below(shape.length + 1);
    const wider = [...shape.slice(0, at), 1 + pick.below(2), ...shape.slice(at)];
    return wider.length > 4 ? x : b.broadcast(x, wider, otherAxes([at], wider.length));
  },
  (b, x, pick) => {
    const start = b.shape(x).map((size) => pick.below(size));
    return b.slice(
      x,
      start,
      b.shape(x).map((size, axis) => start[axis]! + 1 + pick.below(size - start[axis]!)),
    );
  },
  (b, x, pick) => {
    const around = b.shape(x).map(() => pick.below(2));
    return b.pad(x, around, [...around].reverse());
  },
  (b, x, pick, values) => {
    const rank = b.shape(x).length;
    return rank === 0 ? x : b.concat([x, otherOfShape(b, x, pick, values)], pick.below(rank));
  },
  (b, x, pick) => {
    const [rows] = b.shape(x);
    if (rows === undefined) return x;
    const index = pick.below(rows);
    return b.take(x, b.select(mask(b, [3], pick), b.full("i32", index, [3]), b.full("i32", rows - 1, [3])));
  },
  (b, x, pick) => {
    const [count] = b.shape(x);
    return count === undefined ? x : b.scatterAdd(x, b.full("i32", pick.below(3), [count]), 3);
  },
  (b, x, pick) => {
    const axes = range(b.shape(x).length).filter(() => pick.below(2) === 1);
    return b.sum(x, axes);
  },
  (b, x, pick) => {
    const axes = range(b.shape(x).length).filter(() => pick.below(2) === 1);
    return b.logSumExp(x, axes);
  },
  // Contracts the last axis of x with the last of another value of that size, or multiplies outright.
  (b, x, pick, values) => {
    const shape = b.shape(x);
    const size = shape.at(-1);
    if (size === undefined) return x;
    const other = pick.of(values.filter((id) => b.shape(id).at(-1) === size));
    const lhs = range(shape.length);
    const rest = b.shape(other).length - 1;
    const summed = shape.length - 1;
    const fresh = range(rest).map((axis) => shape.length + axis);
    const out = pick.of([
      [...lhs.slice(0, -1), ...fresh],
      [...fresh, ...lhs.slice(0, -1)],
      [...lhs, ...fresh],
    ]);
    return out.length > 4 ? x : b.einsum(tame(b, x), tame(b, other), { lhs, rhs: [...fresh, summed], out });
  },
];

/**
 * A random smooth graph: parameters p0.. (f32), at most 60 steps, output `objective` (f32 []). `finish` may add more.
 */
export function buildRandomGraph(
  numbers: readonly number[],
  finish: (b: GraphBuilder, objective: NodeId, parameters: readonly NodeId[]) => void = () => {},
): RandomGraph {
  const pick = new Choices(numbers);
  const origin: Origin = { path: "", at: "random.bert:1:1", label: "start", pass: "test" };
  const b = new GraphBuilder(origin);
  const shapes: readonly Shape[] = [[], [3], [2, 3], [3, 2, 2]];
  const parameters = shapes.map((shape, index) => b.parameter(`p${index}`, shape));
  const values: NodeId[] = [...parameters];
  for (let count = 0; count < 60 && !pick.done; count++) {
    const step = pick.of(steps);
    const x = pick.of(values.slice(-4));
    const y = b.withOrigin({ label: `step${count}`, path: `layer.${count % 3}` }, () =>
      step(b, x, pick, values),
    );
    if (elementCount(b.shape(y)) <= 200) values.push(y);
  }
  const ends = values.slice(-3).map((id) => b.sum(tame(b, id), range(b.shape(id).length)));
  const objective = ends.reduce((a, c) => b.add(a, c));
  b.output("objective", objective);
  finish(b, objective, parameters);
  const random = randomNumbers(numbers.length + (numbers[0] ?? 0));
  const drawn = shapes.map((shape, index) => {
    const elements = Array.from({ length: elementCount(shape) }, () => 2 * random() - 1);
    return [`p${index}`, tensor({ dtype: "f32", shape }, elements)] as const;
  });
  return { graph: b.build(), leaves: { parameters: new Map(drawn) } };
}

/** The drawn numbers behind a random graph. */
export const graphNumbers: fc.Arbitrary<readonly number[]> = fc.array(fc.nat({ max: 2 ** 20 }), {
  minLength: 1,
  maxLength: 120,
  size: "max",
});
