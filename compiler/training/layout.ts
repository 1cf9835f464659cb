import { type DType, elementCount, elementSizeBytes, type ForwardGraph, type Shape } from "../graph/index.ts";
import { GOOD_STEPS, LOSS_SCALE } from "./loss-scaling.ts";
import {
  matchesPattern,
  type Optimizer,
  type OptimizerSlot,
  optimizerOf,
  type Recipe,
  slotsOf,
} from "./recipe.ts";

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
  readonly treatment: Treatment;
}

/** What the optimizer does to a parameter that it does not do to all. */
export interface Treatment {
  /** Weight decay. */
  readonly decayed: boolean;
  /** Of the learning rate. */
  readonly rate: number;
}

/** Elements of a group that are treated alike: those before `end` that are in no segment before. */
export interface Segment extends Treatment {
  readonly end: number;
}

/** Parameters that share one flat tensor, so that one elementwise kernel updates them all. */
export interface ParameterGroup {
  readonly index: number;
  /** Elements, gaps between and after parameters included; a multiple of the alignment. */
  readonly size: number;
  /** Never updated: such a group has no slots and no gradient. */
  readonly frozen: boolean;
  /** In order, the last ends at `size`. None is empty but where other groups' are not. */
  readonly segments: readonly Segment[];
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
  /** Those that are trained, then the frozen ones. */
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
export const FROZEN = "frozen";
export const GRADIENTS = "gradients";
export const STEP: StateTensor = { name: "step", dtype: "i32", shape: [1] };
export const SEED: StateTensor = { name: "seed", dtype: "u32", shape: [1] };
/** Steps whose gradient was not finite, so that they changed nothing. `step` does not count them. */
export const SKIPPED: StateTensor = { name: "skipped", dtype: "i32", shape: [1] };
/** Micro-batches of the current step that the `accumulate` entry has run. */
export const MICRO: StateTensor = { name: "micro", dtype: "i32", shape: [1] };

/**
 * Packs the parameters into flat f32 states and lays the optimizer's slots out alike. Groups are runs of the model's
 * parameters, as few as the buffers allow and as equal as they can be; inside a group those that are treated alike stand
 * together, so that weight decay and learning rates are comparisons of the element's index with few numbers. Groups of nearly
 * one size get exactly one size: then they share the kernels that update them. Frozen parameters have groups of their own.
 * @throws ParameterTooLargeError if a parameter exceeds a buffer by itself
 */
export function layoutParameters(
  parameters: ForwardGraph["parameters"],
  recipe: Recipe,
  limits: LayoutLimits,
): StateLayout {
  const optimizer = optimizerOf(recipe.optimizer);
  const slots = slotsOf(optimizer);
  const treatmentOf = treatments(recipe, optimizer);
  const isFrozen = ({ name }: Parameter): boolean => matchesAny(recipe.frozen ?? [], name);

  const alignment = Math.max(1, Math.ceil(limits.alignmentBytes / PARAMETER_BYTES));
  const capacity = Math.floor(limits.maxBufferBytes / PARAMETER_BYTES / alignment) * alignment;
  const paddedCount = (p: Parameter): number => roundUp(elementCount(p.shape), alignment);

  for (const parameter of parameters)
    if (paddedCount(parameter) > capacity) {
      const sizeBytes = elementCount(parameter.shape) * PARAMETER_BYTES;
      throw new ParameterTooLargeError(parameter.name, sizeBytes, limits.maxBufferBytes);
    }

  const trained = parameters.filter((p) => !isFrozen(p));
  const kinds = kindsOf(trained.map(({ name }) => treatmentOf(name)));
  const members = evenRuns(trained, paddedCount, capacity).map((run) =>
    kinds.map((kind) => run.filter(({ name }) => isSame(treatmentOf(name), kind))),
  );
  const total = (list: readonly Parameter[]): number => list.reduce((sum, p) => sum + paddedCount(p), 0);
  /** The most elements that a group has of each kind. */
  const most = kinds.map((_, kind) => Math.max(...members.map((run) => total(run[kind] ?? []))));
  const padded = most.reduce((sum, count) => sum + count, 0);
  const isPadded = padded <= capacity && padded * members.length <= total(trained) * (1 + MOST_PADDING);

  const place = (parameter: Parameter, group: number, offset: number, frozen: boolean): PlacedParameter => ({
    name: parameter.name,
    shape: parameter.shape,
    init: parameter.init,
    buffer: stateName(frozen ? FROZEN : PARAMETERS, group),
    offsetBytes: offset * PARAMETER_BYTES,
    slots: frozen
      ? {}
      : Object.fromEntries(slots.map(({ slot, prefix }) => [slot, stateName(prefix, group)])),
    group,
    offset,
    elementCount: elementCount(parameter.shape),
    treatment: treatmentOf(parameter.name),
  });
  const groups = members.map((run, index): ParameterGroup => {
    let offset = 0;
    let end = 0;
    const placed: PlacedParameter[] = [];
    const segments: Segment[] = [];
    run.forEach((list, kind) => {
      for (const parameter of list) {
        placed.push(place(parameter, index, offset, false));
        offset += paddedCount(parameter);
      }
      end = isPadded ? end + (most[kind] ?? 0) : offset;
      offset = end;
      const treatment = kinds[kind];
      if (treatment !== undefined && (list.length > 0 || isPadded)) segments.push({ ...treatment, end });
    });
    return { index, size: end, frozen: false, segments, parameters: placed };
  });
  for (const run of evenRuns(parameters.filter(isFrozen), paddedCount, capacity)) {
    const index = groups.length;
    let size = 0;
    const placed = run.map((parameter) => {
      size += paddedCount(parameter);
      return place(parameter, index, size - paddedCount(parameter), true);
    });
    groups.push({ index, size, frozen: true, segments: [], parameters: placed });
  }

  const byName = new Map(groups.flatMap((group) => group.parameters.map((p) => [p.name, p] as const)));
  return {
    parameters: parameters.flatMap((p) => byName.get(p.name) ?? []),
    groups,
    slots,
    states: statesOf(groups, slots, recipe),
  };
}

function statesOf(
  groups: readonly ParameterGroup[],
  slots: readonly OptimizerSlot[],
  recipe: Recipe,
): readonly StateTensor[] {
  const flat = (prefix: string, { index, size }: ParameterGroup): StateTensor => ({
    name: stateName(prefix, index),
    dtype: "f32",
    shape: [size],
  });
  const trained = groups.filter(({ frozen }) => !frozen);
  const prefixes = [
    PARAMETERS,
    ...slots.map(({ prefix }) => prefix),
    ...(recipe.accumulate > 1 ? [GRADIENTS] : []),
  ];
  return [
    ...prefixes.flatMap((prefix) => trained.map((group) => flat(prefix, group))),
    ...groups.filter(({ frozen }) => frozen).map((group) => flat(FROZEN, group)),
    STEP,
    SKIPPED,
    SEED,
    ...(recipe.accumulate > 1 ? [MICRO] : []),
    ...(recipe.lossScaling === undefined ? [] : [LOSS_SCALE, GOOD_STEPS]),
  ];
}

function treatments(recipe: Recipe, optimizer: Optimizer): (name: string) => Treatment {
  return (name) => ({
    decayed: optimizer.kind === "adam" && optimizer.weightDecay !== 0 && !matchesAny(optimizer.exclude, name),
    rate: recipe.rates?.find(({ pattern }) => matchesPattern(pattern, name))?.scale ?? 1,
  });
}

/** The different ones among treatments: decayed before others, then in the order they occur in. */
function kindsOf(list: readonly Treatment[]): readonly Treatment[] {
  const kinds: Treatment[] = [];
  for (const treatment of list) if (!kinds.some((kind) => isSame(kind, treatment))) kinds.push(treatment);
  return [...kinds.filter(({ decayed }) => decayed), ...kinds.filter(({ decayed }) => !decayed)];
}

function isSame(a: Treatment, b: Treatment): boolean {
  return a.decayed === b.decayed && a.rate === b.rate;
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, name));
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
