// In: an optimized graph and a device profile.
// Out: `Schedule`: kernels in order with the buffer ranges they bind, and a memory plan.
// Assumes: the graph is verified; views and packs lie at offsets that the device can bind.
// Guarantees: every output and update is computed once; no kernel reads what has not been written or is overwritten.
// Start reading at: `schedule` below, then realize.ts, fuse.ts, kernels.ts.
import { elementCount, elementSizeBytes, type Graph, type MemoryUse, type NodeId } from "../graph/index.ts";
import { type PartKernel, partsOf, tensorsRead, tensorsWritten } from "../kernel/index.ts";
import type { BufferRange, DeviceProfile, TensorPlace, Tuning } from "../program/index.ts";
import { mergeDispatches } from "./beside.ts";
import { chunkLongScores } from "./chunks.ts";
import { sumColumnsInBlocks } from "./columns.ts";
import { type Dispatch, dispatchOf } from "./dispatch.ts";
import { dispatchValues } from "./dispatch-values.ts";
import { KernelPatterns } from "./equal-kernels.ts";
import { type FusionPlan, fuse, type Group } from "./fuse.ts";
import { overwriteAtPeak } from "./in-place.ts";
import type { BuildContext, PlanTensor } from "./kernels.ts";
import { maskFewRows } from "./mask-rows.ts";
import { type LiveRange, planMemory } from "./memory.ts";
import { memoryUseOf } from "./memory-use.ts";
import { chooseRealized } from "./realize.ts";
import { rebased } from "./rebase.ts";
import { type FusionRule, rulesWithout } from "./rules.ts";
import type { Apart, Schedule, ScheduledStep, Unfused } from "./schedule.ts";
import { buildSegment } from "./segment.ts";
import { splitLongReductions, splitSums, splitWideConcats } from "./split.ts";
import { splitContractions } from "./split-contractions.ts";
import { findStreams, NO_STREAMS, type Streams } from "./streams.ts";
import { Structures } from "./structure.ts";
import { orderGroups, TensorHomes } from "./tensors.ts";
import { distrustedNodes, ONE_OP_A_KERNEL, tuned, type UnknownVariants } from "./tuning.ts";
import { WorkGraph } from "./work-graph.ts";

export { type DataFlow, dataFlowOf } from "./data-flow.ts";
export type { DispatchValues, StoredValue } from "./dispatch-values.ts";
export { draftsOf } from "./draft.ts";
export { planMemory } from "./memory.ts";
export { kernelShape, printSchedule } from "./print.ts";
export { type FusionRule, fusionRuleNames, fusionRules, isFusionRule } from "./rules.ts";
export type { Apart, ArenaTensor, Schedule, ScheduledDispatch, ScheduledStep, Unfused } from "./schedule.ts";
export {
  type KernelProblem,
  ONE_OP_A_KERNEL,
  problemsOf,
  UnknownVariantError,
  type UnknownVariants,
  withVariant,
} from "./tuning.ts";

export interface ScheduleOptions {
  /** False: one kernel an op (constants, counters, broadcasts and reshapes aside). */
  readonly fuse: boolean;
  /** Rules that are switched off. Default: none. */
  readonly without?: readonly FusionRule[];
  /** Whether kernels are ordered and joined so that no more is kept than must be. Default false. */
  readonly savesMemory?: boolean;
  /** Variants that were measured to be the best. Default: none, the cost model decides. */
  readonly tuning?: Tuning;
  /** Default `refuse`. */
  readonly unknownVariants?: UnknownVariants;
}

/** WebGPU guarantees this much alignment of bound sizes for vec4 access. */
const SIZE_ALIGNMENT = 16;

/**
 * @throws TensorTooLargeError naming the tensor where one does not fit into a buffer of the device
 * @throws UnknownVariantError where tuning data names a variant that a kernel cannot have on this device
 */
export function schedule(graph: Graph, profile: DeviceProfile, options: ScheduleOptions): Schedule {
  return schedulePrepared(prepare(graph, profile, options), profile, options).schedule;
}

/** An equal graph whose contractions, reductions, scatters and concatenations are such that kernels can take them. */
export function prepare(graph: Graph, profile: DeviceProfile, options: ScheduleOptions): Graph {
  const rules = rulesWithout(options.without ?? []);
  const chunked = options.fuse && rules.has("chunks") ? chunkLongScores(graph) : graph;
  const masked = options.fuse && rules.has("masked_sums") ? maskFewRows(chunked) : chunked;
  return splitGraph(masked, profile, options.fuse, rules);
}

/**
 * As {@link schedule}, with what is stored and when, for a graph that `prepare` made or that was made of one.
 * @throws TensorTooLargeError, UnknownVariantError
 */
export function schedulePrepared(
  graph: Graph,
  profile: DeviceProfile,
  options: ScheduleOptions,
): { readonly schedule: Schedule; readonly use: MemoryUse } {
  const { tuning } = options;
  if (tuning === undefined) {
    const { context, dispatches, apart } = planDispatches(graph, profile, options, new Set());
    return layOut(context, dispatches, apart);
  }
  const { plan, distrusted } = planTrusted(graph, profile, options, tuning);
  const made = tuned(plan.dispatches, tuning, profile, options.unknownVariants ?? "refuse");
  const { schedule: laid, use } = layOut(plan.context, made.dispatches, plan.apart);
  return { schedule: { ...laid, tuned: { ...made.chosen, ...distrusted }, ignored: made.ignored }, use };
}

interface DispatchPlan {
  readonly context: BuildContext;
  readonly dispatches: readonly Dispatch[];
  readonly apart: readonly Apart[];
}

/** A plan without the kernels that tuning data has as wrong on the device; @returns also those that it would have had. */
function planTrusted(
  graph: Graph,
  profile: DeviceProfile,
  options: ScheduleOptions,
  tuning: Tuning,
): { readonly plan: DispatchPlan; readonly distrusted: Tuning } {
  const keptApart = new Set<NodeId>();
  const distrusted: Record<string, string> = {};
  for (;;) {
    const plan = planDispatches(graph, profile, options, keptApart);
    const before = keptApart.size;
    for (const [key, nodes] of options.fuse ? distrustedNodes(plan.dispatches, tuning) : []) {
      distrusted[key] = ONE_OP_A_KERNEL;
      for (const node of nodes) keptApart.add(node);
    }
    // What one op makes of another's kernel may be distrusted as well; a kernel of one op stays.
    if (keptApart.size === before) return { plan, distrusted };
  }
}

/** @param keptApart nodes that are computed by a kernel each */
function planDispatches(
  graph: Graph,
  profile: DeviceProfile,
  options: ScheduleOptions,
  keptApart: ReadonlySet<NodeId>,
): DispatchPlan {
  const maxBindings = profile.maxStorageBuffersPerShaderStage;
  const { fuse: enabled, savesMemory = false } = options;
  const rules = rulesWithout(options.without ?? []);
  const work = new WorkGraph(graph, keptApart);
  const streams = enabled && rules.has("attention") ? findStreams(work, maxBindings) : NO_STREAMS;
  const realized = chooseRealized(work, streams, enabled, maxBindings, rules);
  const structures = new Structures(work, realized, streams);
  const planned = (countsUpdatesInPlace: boolean): Plan => {
    const options = { enabled, maxBindings, countsUpdatesInPlace, rules };
    const plan = fuse(work, realized, streams, structures, options);
    const overwrites = rules.has("in_place");
    return planKernels(work, realized, plan, profile, structures, {
      updatesInPlace: overwrites,
      overwritesAtPeak: overwrites && enabled,
      savesMemory,
    });
  };
  const hopeful = planned(true);
  const fits = hopeful.built.every(({ kernel }) => kernel.tensors.length <= maxBindings);
  const { context, built } = fits ? hopeful : planned(false);
  return enabled
    ? { context, ...mergeDispatches(context, built, rules, !savesMemory) }
    : { context, dispatches: built, apart: [] };
}

/** The graph with reductions and concatenations as kernels can take them; sums that a walk over scores takes stay whole. */
function splitGraph(
  graph: Graph,
  profile: DeviceProfile,
  fuses: boolean,
  rules: ReadonlySet<FusionRule>,
): Graph {
  const walks = fuses && rules.has("attention");
  const maxBindings = profile.maxStorageBuffersPerShaderStage;
  let walked = graph;
  let streams = walks ? findStreams(new WorkGraph(graph), maxBindings) : NO_STREAMS;
  if (streams.splits.size > 0) {
    walked = splitSums(graph, streams.splits);
    streams = findStreams(new WorkGraph(walked), maxBindings);
  }
  const isWalked = (id: NodeId) => streams.sinks.has(id) || streams.scores.has(id);
  const inBlocks = fuses && rules.has("columns") ? sumColumnsInBlocks(walked, profile, isWalked) : walked;
  const found = (from: Graph, known: Streams): Streams =>
    from === walked || !walks ? known : findStreams(new WorkGraph(from), maxBindings);
  const { sinks, scores } = found(inBlocks, streams);
  const pieces = fuses
    ? splitContractions(inBlocks, profile, (id) => sinks.has(id) || scores.has(id))
    : inBlocks;
  const stillWhole = pieces === inBlocks ? sinks : found(pieces, streams).sinks;
  return splitWideConcats(splitLongReductions(pieces, profile, stillWhole), maxBindings - 1);
}

interface Plan {
  readonly context: BuildContext;
  readonly built: readonly Dispatch<PartKernel>[];
}

function planKernels(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  plan: FusionPlan,
  profile: DeviceProfile,
  structures: Structures,
  options: {
    readonly updatesInPlace: boolean;
    readonly overwritesAtPeak: boolean;
    readonly savesMemory: boolean;
  },
): Plan {
  const homes = new TensorHomes(work, plan, options.updatesInPlace);
  const extraTensors = new Map<number, PlanTensor>();
  const context: BuildContext = {
    work,
    realized,
    plan,
    homes,
    profile,
    structures,
    extraTensors,
    tails: new Map(),
    occupied: new Set(),
  };
  const patterns = new KernelPatterns(context);
  const kernels = orderGroups(plan, homes, options.savesMemory).flatMap((group) =>
    (group.kind === "segment" ? buildSegment(context, group) : [patterns.kernelOf(group)]).map((kernel) => ({
      kernel,
      group,
    })),
  );
  const placed = options.overwritesAtPeak ? overwriteAtPeak(context, kernels) : kernels;
  const built = placed.map(({ kernel, group }) => dispatchOf(context, rebased(context, kernel), group));
  return { context, built };
}

function layOut(
  context: BuildContext,
  dispatches: readonly Dispatch[],
  apart: readonly Apart[],
): { readonly schedule: Schedule; readonly use: MemoryUse } {
  const { work, homes, profile, extraTensors } = context;
  const typeOf = (id: number) => extraTensors.get(id)?.type ?? work.node(id).type;
  const elementBytes = (id: number) => elementSizeBytes(typeOf(id).dtype);
  const bytesOf = (id: number): number => {
    const { shape } = typeOf(id);
    return Math.ceil((elementCount(shape) * elementBytes(id)) / SIZE_ALIGNMENT) * SIZE_ALIGNMENT;
  };
  const end = dispatches.length;
  const ranges = new Map<number, { first: number; last: number }>();
  const touch = (id: number, at: number): void => {
    const home = homes.homeOf(id);
    if (home.kind !== "arena" && home.kind !== "piece") return;
    const base = home.kind === "piece" ? home.of : id;
    const range = ranges.get(base);
    if (range === undefined) ranges.set(base, { first: at, last: at });
    else range.last = Math.max(range.last, at);
  };
  dispatches.forEach(({ kernel }, at) => {
    for (const { tensor } of kernel.tensors) touch(tensor, at);
  });
  for (const { node } of work.outputs) touch(node, end);
  for (const { node } of work.updates) touch(node, end);
  const live: LiveRange[] = [...ranges].map(([id, range]) => ({ id, sizeBytes: bytesOf(id), ...range }));
  const largest = Math.min(profile.maxBufferSize, profile.maxStorageBufferBindingSize);
  const alignment = profile.minStorageBufferOffsetAlignment;
  const tooLarge = live.find((range) => range.sizeBytes > largest);
  if (tooLarge !== undefined)
    throw new TensorTooLargeError(describeTensor(context, tooLarge.id), tooLarge.sizeBytes, largest);
  const memory = planMemory(live, alignment, largest);

  const packNames = new Map([...work.packs.keys()].map((id, i) => [id, `packed.${i}`]));
  const rangeOf = (id: number): BufferRange => {
    const home = homes.homeOf(id);
    const sizeBytes = bytesOf(id);
    const at = (buffer: string, offset: number): BufferRange => {
      const offsetBytes = offset * elementBytes(id);
      if (offsetBytes % alignment !== 0)
        throw new Error(`schedule: ${describeTensor(context, id)} at unaligned offset ${offset}`);
      return { buffer, offsetBytes, sizeBytes };
    };
    switch (home.kind) {
      case "input":
        return at(`input.${home.name}`, home.offset);
      case "state":
        return at(home.name, home.offset);
      case "packed":
        return at(packNames.get(home.pack)!, home.offset);
      case "arena":
      case "piece": {
        const place = memory.places.get(home.kind === "piece" ? home.of : id)!;
        const inner = home.kind === "piece" ? at("", home.offset).offsetBytes : 0;
        return { buffer: `arena.${place.arena}`, offsetBytes: place.offsetBytes + inner, sizeBytes };
      }
      default:
        return home satisfies never;
    }
  };

  const storedRange = (id: number): BufferRange | undefined => {
    const home = homes.homeOf(id);
    const base = home.kind === "piece" ? home.of : id;
    const isPlaced = (home.kind !== "arena" && home.kind !== "piece") || memory.places.has(base);
    return isPlaced ? rangeOf(id) : undefined;
  };

  const steps: ScheduledStep[] = [];
  for (const { kernel, label, bytesRead, bytesWritten, nodes } of dispatches) {
    for (const part of partsOf(kernel)) {
      const { stage } = part.kind === "segment" ? part : { stage: undefined };
      if (stage?.kind === "columns" || stage?.kind === "sum")
        steps.push({ kind: "clear", range: rangeOf(stage.outTensor) });
    }
    const bindings = kernel.tensors.map((t) => rangeOf(t.tensor));
    const positions = (touched: ReadonlySet<number>) =>
      kernel.tensors.flatMap((t, i) => (touched.has(t.tensor) ? [i] : []));
    const [reads, writes] = [positions(tensorsRead(kernel)), positions(tensorsWritten(kernel))];
    steps.push({ kind: "dispatch", kernel, bindings, label, bytesRead, bytesWritten, reads, writes, nodes });
  }
  for (const { state, node } of work.updates) {
    if (homes.inPlace.has(node)) continue;
    const from = rangeOf(node);
    steps.push({ kind: "copy", from, to: { buffer: state, offsetBytes: 0, sizeBytes: from.sizeBytes } });
  }
  const place = (name: string, id: NodeId, shape: readonly number[]): TensorPlace => {
    const { buffer, offsetBytes } = rangeOf(id);
    return { name, dtype: work.node(id).type.dtype, shape, buffer, offsetBytes };
  };
  const inputs = work.nodes.flatMap((node) =>
    node.op === "input" || node.op === "parameter" ? [place(node.attrs.name, node.id, node.type.shape)] : [],
  );
  const schedule: Schedule = {
    steps,
    outputs: work.outputs.map(({ name, node, shape }) => place(name, node, shape)),
    inputs,
    scratch: [
      ...memory.arenaBytes.map((sizeBytes, i) => ({ name: `arena.${i}`, sizeBytes })),
      ...[...packNames].map(([id, name]) => ({ name, sizeBytes: bytesOf(id) })),
    ],
    nodes: work.nodes,
    values: dispatchValues(context, dispatches, storedRange),
    unfused: refusalsOf(context, dispatches),
    apart,
    arenaTensors: live.map(({ id, first, last }) => {
      const { buffer, offsetBytes, sizeBytes } = rangeOf(id);
      return { label: describeTensor(context, id), buffer, offsetBytes, sizeBytes, first, last };
    }),
  };
  return { schedule, use: memoryUseOf(context, dispatches, live) };
}

function describeTensor(context: BuildContext, id: number): string {
  const extra = context.extraTensors.get(id);
  if (extra !== undefined) return extra.label;
  const { origin, type, op } = context.work.node(id);
  const where = [origin.path, origin.at].filter((part) => part !== "").join(", ");
  return `${origin.label || op} ${type.dtype}[${type.shape.join(", ")}]${where === "" ? "" : ` (${where})`}`;
}

function refusalsOf(context: BuildContext, scheduled: readonly Dispatch[]): readonly Unfused[] {
  const { plan } = context;
  const dispatchesOf = new Map<Group, number[]>();
  scheduled.forEach(({ groups }, at) => {
    for (const group of groups) dispatchesOf.set(group, [...(dispatchesOf.get(group) ?? []), at]);
  });
  const dispatchesAt = (id: NodeId): readonly number[] => dispatchesOf.get(plan.groupOf.get(id)!)!;
  const refused = plan.refusals
    .filter(({ producer, consumer }) => plan.groupOf.get(producer) !== plan.groupOf.get(consumer))
    .flatMap(({ producer, consumer, reason }) =>
      dispatchesAt(consumer).map((consumerDispatch) => ({
        producer: describeTensor(context, producer),
        consumer: describeTensor(context, consumer),
        producerDispatch: dispatchesAt(producer).at(-1)!,
        consumerDispatch,
        reason,
      })),
    );
  const stages = [...dispatchesOf].flatMap(([group, dispatches]) => {
    const name = describeTensor(context, group.vertices[0]!);
    return dispatches.flatMap((consumerDispatch, i) =>
      dispatches.slice(0, i).map((producerDispatch) => ({
        producer: name,
        consumer: name,
        producerDispatch,
        consumerDispatch,
        reason: "a sum of equal indices runs in stages",
      })),
    );
  });
  return [...refused, ...stages];
}

/** A tensor larger than a buffer of the device: the spec's sizes must shrink. */
export class TensorTooLargeError extends Error {
  override readonly name = "TensorTooLargeError";
  readonly tensor: string;
  readonly sizeBytes: number;
  readonly limitBytes: number;
  constructor(tensor: string, sizeBytes: number, limitBytes: number) {
    super(`${tensor} takes ${sizeBytes} bytes, a buffer of this device ${limitBytes} at most`);
    this.tensor = tensor;
    this.sizeBytes = sizeBytes;
    this.limitBytes = limitBytes;
  }
}
