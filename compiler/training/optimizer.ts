import { type GraphBuilder, GraphError, type NodeId } from "../graph/index.ts";
import type { ParameterGroup, Segment } from "./layout.ts";
import type { Optimizer } from "./recipe.ts";

/** What an optimizer's expression needs that is the same for every element: f32 [] nodes. */
export interface StepScalars {
  readonly learningRate: NodeId;
  /** Adam's `1 / (1 - beta^t)`, t = step + 1; absent for the others. */
  readonly correction?: { readonly first: NodeId; readonly second: NodeId };
}

export interface GroupUpdate {
  /** The new values of the group's parameters, f32 [size]. */
  readonly parameters: NodeId;
  /** The new values of the slots, in the order of `slotsOf`. */
  readonly slots: readonly NodeId[];
}

/** The scalars of one step. @param step i32 [], counts from 0 */
export function stepScalars(b: GraphBuilder, optimizer: Optimizer, rate: NodeId, step: NodeId): StepScalars {
  if (optimizer.kind !== "adam") return { learningRate: rate };
  const count = b.cast(b.add(step, b.constant("i32", 1)), "f32");
  return {
    learningRate: rate,
    correction: {
      first: biasCorrection(b, optimizer.beta1, count),
      second: biasCorrection(b, optimizer.beta2, count),
    },
  };
}

/**
 * One optimizer step of a group, elementwise over f32 [size]. Gaps between parameters hold zeros and stay zero.
 * - sgd: `p - lr g`
 * - momentum (Sutskever 2013, as Optax `trace`): `u = mu u + g`, `p - lr u`; Nesterov: `p - lr (g + mu u)`
 * - adam (Kingma and Ba 2015, algorithm 1; eps outside the root as there and in Optax):
 *   `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`
 * - its decay (Loshchilov and Hutter 2019, algorithm 2, decay times lr as in Optax): `- lr decay p` more
 * where `lr` is the step's rate times that of the element's segment.
 * @param slots old values of the slots, in the order of `slotsOf`
 * @param gradient clipped and averaged
 */
export function updateGroup(
  b: GraphBuilder,
  optimizer: Optimizer,
  scalars: StepScalars,
  group: ParameterGroup,
  parameters: NodeId,
  slots: readonly NodeId[],
  gradient: NodeId,
): GroupUpdate {
  const everywhere = (scalar: NodeId): NodeId => b.broadcast(scalar, [group.size], []);
  const times = (x: NodeId, factor: number): NodeId => b.mul(x, b.fullLike(x, factor));
  const rate = (): NodeId => {
    const same = everywhere(scalars.learningRate);
    if (group.segments.every((segment) => segment.rate === 1)) return same;
    return b.mul(
      same,
      bySegment(b, group, (segment) => segment.rate),
    );
  };
  const descend = (direction: NodeId): NodeId => b.sub(parameters, b.mul(direction, rate()));

  switch (optimizer.kind) {
    case "sgd":
      return { parameters: descend(gradient), slots: [] };
    case "momentum": {
      const velocity = b.add(times(slot(slots, 0), optimizer.momentum), gradient);
      const direction = optimizer.nesterov ? b.add(times(velocity, optimizer.momentum), gradient) : velocity;
      return { parameters: descend(direction), slots: [velocity] };
    }
    case "adam": {
      const { beta1, beta2, eps, weightDecay } = optimizer;
      if (scalars.correction === undefined) throw new GraphError("Adam without its bias corrections");
      const first = b.add(times(slot(slots, 0), beta1), times(gradient, 1 - beta1));
      const second = b.add(times(slot(slots, 1), beta2), times(b.mul(gradient, gradient), 1 - beta2));
      const mean = b.mul(first, everywhere(scalars.correction.first));
      const spread = b.sqrt(b.mul(second, everywhere(scalars.correction.second)));
      const scaled = b.div(mean, b.add(spread, b.fullLike(spread, eps)));
      if (!group.segments.some(({ decayed }) => decayed))
        return { parameters: descend(scaled), slots: [first, second] };
      const decays = bySegment(b, group, ({ decayed }) => (decayed ? weightDecay : 0));
      const decay = b.mul(parameters, decays);
      return { parameters: descend(b.add(scaled, decay)), slots: [first, second] };
    }
    default:
      return optimizer satisfies never;
  }
}

function slot(slots: readonly NodeId[], index: number): NodeId {
  const id = slots[index];
  if (id === undefined) throw new GraphError(`the optimizer's slot ${index} has no state`);
  return id;
}

/** f32 [size]: a number for every segment of a group. */
function bySegment(
  b: GraphBuilder,
  { size, segments }: ParameterGroup,
  numberOf: (segment: Segment) => number,
): NodeId {
  const shape = [size];
  const runs: { value: number; end: number }[] = [];
  for (const segment of segments) {
    const value = numberOf(segment);
    const last = runs.at(-1);
    if (last !== undefined && last.value === value) last.end = segment.end;
    else runs.push({ value, end: segment.end });
  }
  const last = runs.pop();
  if (last === undefined) throw new GraphError("a group of parameters without a segment");
  return runs.reduceRight(
    (rest, { value, end }) => {
      const isBefore = b.lt(b.iota(shape, 0), b.full("i32", end, shape));
      return b.select(isBefore, b.full("f32", value, shape), rest);
    },
    b.full("f32", last.value, shape),
  );
}

/**
 * `1 / (1 - base^count)` for 0 <= base < 1 and count >= 1, accurate to a few units in the last place of an f32.
 *
 * With x = count ln(base) it is 1 / (1 - e^x). Near x = 0 the difference would cancel (`1 - 0.999` in f32 has four
 * digits left, and WGSL grants `pow` near 1 an absolute error of 2^-21 on top), so for x > -1/2 it is taken from
 * x / (e^x - 1) = 1 - x/2 + x^2/12 - x^4/720 + x^6/30240 - x^8/1209600 + ..., the series of the Bernoulli numbers
 * (Abramowitz and Stegun 23.1.1), whose next term x^10/47900160 is below 2^-35 there.
 * @param count f32 []
 */
function biasCorrection(b: GraphBuilder, base: number, count: NodeId): NodeId {
  const constant = (value: number): NodeId => b.constant("f32", value);
  const one = constant(1);
  if (base === 0) return one;
  const x = b.mul(count, constant(Math.log(base)));
  const square = b.mul(x, x);
  let even = constant(-1 / 1209600);
  for (const coefficient of [1 / 30240, -1 / 720, 1 / 12, 1])
    even = b.add(b.mul(even, square), constant(coefficient));
  const near = b.div(b.sub(b.mul(x, constant(0.5)), even), x);
  const far = b.div(one, b.sub(one, b.exp(x)));
  return b.select(b.lt(constant(-0.5), x), near, far);
}
