import { type DType, elementCount, elementSizeBytes, type ForwardGraph, type Shape } from "../graph/index.ts";
import { GOOD_STEPS, LOSS_SCALE } from "./loss-scaling.ts";
import { matchesPattern, type OptimizerSlot, optimizerOf, type Recipe, slotsOf } from "./recipe.ts";

type Parameter = ForwardGraph["parameters"][number];

/** Of one element: parameters and slots are f32 whatever the contractions take. */
const PARAMETER_BYTES = elementSizeBytes("f32");

/** A parameter in its state buffer. `name` to `slots` are what a `ProgramParameter` holds. */
export interface PlacedParameter extends Parameter {
  /** Name of the state that holds the value, e.g. `parameters.0`. */
  readonly buffer: string;
  readonly offsetBytes: number;
  /** Optimizer slot to the state that holds it, at the same offset. */
  readonly slots: Readonly<Record<string, string>>;
  /** Index into `StateLayout.groups`. */
  readonly group: number;
  /** Where it starts in its group and how much it holds, in elements. */
  readonly offset: number;
  readonly elementCount: number;
  readonly decayed: boolean;
}

/** Parameters that share one flat tensor, so that one elementwise kernel updates them all. */
export interface ParameterGroup {
  readonly index: number;
  /** Elements, gaps between and after parameters included; a multiple of the alignment. */
  readonly size: number;
  /** Elements before this one belong to decayed parameters (or gaps), the rest to none. */
  readonly decayedCount: number;
  /** In order of their offsets. */
  readonly parameters: readonly PlacedParameter[];
}

/** A buffer that lives from step to step. */
export interface StateTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface StateLayout {
  /** In the order of the model, whatever the order in the buffers. */
  readonly parameters: readonly PlacedParameter[];
  readonly groups: readonly ParameterGroup[];
  readonly slots: readonly OptimizerSlot[];
  /** Every state that the step graphs read or write. */
  readonly states: readonly StateTensor[];
}

export interface LayoutLimits {
  /** The least of `maxBufferSize` and `maxStorageBufferBindingSize`, as a group is bound as a whole. */
  readonly maxBufferBytes: number;
  /** `minStorageBufferOffsetAlignment`: parameters start at its multiples, so that a binding can point at one. */
  readonly alignmentBytes: number;
}

/** One parameter alone is more than a buffer can hold. */
export class ParameterTooLargeError extends Error {
  constructor(
    readonly parameter: string,
    readonly sizeBytes: number,
    readonly maxBufferBytes: number,
  ) {
    super(
      `the parameter ${parameter} takes ${sizeBytes} bytes; this device binds at most ${maxBufferBytes} bytes at once`,
    );
    this.name = "ParameterTooLargeError";
  }
}

export const stateName = (prefix: string, group: number): string => `${prefix}.${group}`;
export const PARAMETERS = "parameters";
export const GRADIENTS = "gradients";
export const STEP: StateTensor = { name: "step", dtype: "i32", shape: [1] };
export const SEED: StateTensor = { name: "seed", dtype: "u32", shape: [1] };
/** Steps whose gradient was not finite, so that they changed nothing. `step` does not count them. */
export const SKIPPED: StateTensor = { name: "skipped", dtype: "i32", shape: [1] };
/** Micro-batches of the current step that the `accumulate` entry has run. */
export const MICRO: StateTensor = { name: "micro", dtype: "i32", shape: [1] };

/**
 * Packs the parameters into flat f32 states and lays the optimizer's slots out alike. Groups are runs of the model's
 * parameters, as few as the buffers allow and as equal as they can be; inside a group the decayed ones come first, so that
 * weight decay is a comparison of the element's index with one number. Groups of nearly one size get exactly one size:
 * then they share the kernels that update them.
 * @throws ParameterTooLargeError if a parameter exceeds a buffer by itself
 */
export function layoutParameters(
  parameters: ForwardGraph["parameters"],
  recipe: Recipe,
  limits: LayoutLimits,
): StateLayout {
  const optimizer = optimizerOf(recipe.optimizer);
  const slots = slotsOf(optimizer);
  const isDecayed = (name: string): boolean =>
    optimizer.kind === "adam" &&
    optimizer.weightDecay !== 0 &&
    !optimizer.exclude.some((pattern) => matchesPattern(pattern, name));

  const alignment = Math.max(1, Math.ceil(limits.alignmentBytes / PARAMETER_BYTES));
  const capacity = Math.floor(limits.maxBufferBytes / PARAMETER_BYTES / alignment) * alignment;
  const paddedCount = (p: Parameter): number => roundUp(elementCount(p.shape), alignment);

  for (const parameter of parameters)
    if (paddedCount(parameter) > capacity) {
      const sizeBytes = elementCount(parameter.shape) * PARAMETER_BYTES;
      throw new ParameterTooLargeError(parameter.name, sizeBytes, limits.maxBufferBytes);
    }
  const members = evenRuns(parameters, paddedCount, capacity).map((group) => ({
    decayed: group.filter((p) => isDecayed(p.name)),
    rest: group.filter((p) => !isDecayed(p.name)),
  }));
  const total = (list: readonly Parameter[]): number => list.reduce((sum, p) => sum + paddedCount(p), 0);
  const most = {
    decayed: Math.max(...members.map(({ decayed }) => total(decayed))),
    rest: Math.max(...members.map(({ rest }) => total(rest))),
  };
  const padded = most.decayed + most.rest;
  const isPadded = padded <= capacity && padded * members.length <= total(parameters) * (1 + MOST_PADDING);

  const groups = members.map(({ decayed, rest }, index): ParameterGroup => {
    let offset = 0;
    const place = (parameter: Parameter, isOneDecayed: boolean): PlacedParameter => {
      const placed: PlacedParameter = {
        name: parameter.name,
        shape: parameter.shape,
        init: parameter.init,
        buffer: stateName(PARAMETERS, index),
        offsetBytes: offset * PARAMETER_BYTES,
        slots: Object.fromEntries(slots.map(({ slot, prefix }) => [slot, stateName(prefix, index)])),
        group: index,
        offset,
        elementCount: elementCount(parameter.shape),
        decayed: isOneDecayed,
      };
      offset += paddedCount(parameter);
      return placed;
    };
    const first = decayed.map((p) => place(p, true));
    if (isPadded) offset = most.decayed;
    const decayedCount = offset;
    const placed = [...first, ...rest.map((p) => place(p, false))];
    return { index, size: isPadded ? padded : offset, decayedCount, parameters: placed };
  });

  const byName = new Map(groups.flatMap((group) => group.parameters.map((p) => [p.name, p] as const)));
  const prefixes = [
    PARAMETERS,
    ...slots.map(({ prefix }) => prefix),
    ...(recipe.accumulate > 1 ? [GRADIENTS] : []),
  ];
  return {
    parameters: parameters.flatMap((p) => byName.get(p.name) ?? []),
    groups,
    slots,
    states: [
      ...prefixes.flatMap((prefix) =>
        groups.map(
          ({ index, size }): StateTensor => ({ name: stateName(prefix, index), dtype: "f32", shape: [size] }),
        ),
      ),
      STEP,
      SKIPPED,
      SEED,
      ...(recipe.accumulate > 1 ? [MICRO] : []),
      ...(recipe.lossScaling === undefined ? [] : [LOSS_SCALE, GOOD_STEPS]),
    ],
  };
}

/** What equal groups may cost: the share of the parameters that their padding may take. */
const MOST_PADDING = 1 / 32;

/** Cuts a list into as few runs as the capacity allows, the largest of them as small as it can be. */
function evenRuns(
  parameters: readonly Parameter[],
  countOf: (parameter: Parameter) => number,
  capacity: number,
): readonly (readonly Parameter[])[] {
  const filled = (limit: number): Parameter[][] => {
    const runs: Parameter[][] = [];
    let used = limit;
    for (const parameter of parameters) {
      const count = countOf(parameter);
      if (used + count > limit) {
        runs.push([]);
        used = 0;
      }
      runs[runs.length - 1]!.push(parameter);
      used += count;
    }
    return runs;
  };
  const fewest = filled(capacity).length;
  let [low, high] = [Math.max(0, ...parameters.map(countOf)), capacity];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (filled(middle).length > fewest) low = middle + 1;
    else high = middle;
  }
  return filled(high);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
