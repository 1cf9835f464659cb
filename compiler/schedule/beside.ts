import { elementSizeBytes } from "../graph/index.ts";
import {
  type BesideKernel,
  type Kernel,
  kernelIdentity,
  launchOf,
  type PartKernel,
  tensorsWritten,
  workgroupBytesOf,
} from "../kernel/index.ts";
import { type Dispatch, joined, rulesOf } from "./dispatch.ts";
import { type BuildContext, uniqueName } from "./kernels.ts";
import type { FusionRule } from "./rules.ts";
import type { Apart } from "./schedule.ts";
import { chooseSlots, type SlotPlan } from "./slots.ts";
import { Spans } from "./spans.ts";
import { clashOf, isStackable, stack, stackObstacle } from "./stack.ts";
import { joinTerms } from "./terms.ts";

/** Below both, starting a dispatch costs more than running the kernel, wherever its inputs come from. */
const SMALL_BYTES = 256 * 1024;
const SMALL_FLOPS = 4e6;
/**
 * From here on a kernel takes so much longer than the start of a dispatch that company gains nothing, while a driver may compile
 * two long kernels in one module more slowly than apart (SwiftShader: the two walks of a decoder's backward in 1.5 times).
 */
const LARGE_FLOPS = 1.05e8;
/** Kernels share an input worth reading together if it is this part of the smaller one's traffic. */
const WORTH_SHARING = 1 / 8;

/**
 * Fewer dispatches with the same kernels: sums of contractions become one, equal kernels with a common input are stacked, and
 * what then is independent runs side by side.
 * @param mayGrow whether a little more memory may be needed for it
 */
export function mergeDispatches(
  context: BuildContext,
  built: readonly Dispatch<PartKernel>[],
  rules: ReadonlySet<FusionRule>,
  mayGrow: boolean,
): { readonly dispatches: readonly Dispatch[]; readonly apart: readonly Apart[] } {
  const spans = new Spans(context);
  const summed = rules.has("terms") ? joinTerms(context, spans, built) : built;
  let stacked = summed;
  const apart: Apart[] = [];
  if (rules.has("stacked")) {
    const plan = chooseStacks(context, spans, summed, mayGrow);
    apart.push(...apartOf(plan, summed));
    stacked = plan.slots.flatMap((slot) => {
      const equal = slot.map((i) => summed[i]!);
      return applyStack(context, spans, equal);
    });
  }
  if (!rules.has("side_by_side")) return { dispatches: stacked, apart };
  const plan = chooseBeside(context, spans, stacked, mayGrow);
  const dispatches = plan.slots.map((slot) => {
    const independent = slot.map((i) => stacked[i]!);
    return runBeside(context, independent);
  });
  return { dispatches, apart: [...apart, ...apartOf(plan, stacked)] };
}

function apartOf(plan: SlotPlan, dispatches: readonly Dispatch[]): readonly Apart[] {
  return plan.refusals.map(({ slot, kernel, reason }) => ({
    first: slot.map((i) => dispatches[i]!.label).join(" | "),
    second: dispatches[kernel]!.label,
    reason,
  }));
}

function chooseStacks(
  context: BuildContext,
  spans: Spans,
  dispatches: readonly Dispatch<PartKernel>[],
  mayGrow: boolean,
): SlotPlan {
  const kernels = dispatches.map((dispatch) => dispatch.kernel);
  const traffic = dispatches.map(trafficOf);
  const identities = new Map<PartKernel, string>();
  const identityOf = (kernel: PartKernel): string => {
    const identity = identities.get(kernel) ?? kernelIdentity(kernel);
    identities.set(kernel, identity);
    return identity;
  };
  return chooseSlots(kernels, spans, context.work.kept, mayGrow, (slot, i) => {
    if (dispatches[slot[0]!]!.turn !== dispatches[i]!.turn) return "";
    const [first, own] = [kernels[slot[0]!]!, kernels[i]!];
    if (first.kind !== own.kind || first.flops !== own.flops || first.tensors.length !== own.tensors.length)
      return "";
    const gain = sharedBytes(slot, i, traffic);
    if (gain < WORTH_SHARING * traffic[i]!.bytes && !traffic[i]!.isSmall) return "";
    if (identityOf(first) !== identityOf(own)) return "";
    const members = [...slot, i].map((member) => kernels[member]!).filter(isStackable);
    if (members.length <= slot.length) return "";
    return stackObstacle(context, spans, members) ?? gain;
  });
}

/** One dispatch, or those that were given where a tensor has got its place elsewhere since. */
function applyStack(
  context: BuildContext,
  spans: Spans,
  dispatches: readonly Dispatch<PartKernel>[],
): readonly Dispatch<PartKernel>[] {
  const kernels = dispatches.map((dispatch) => dispatch.kernel).filter(isStackable);
  if (kernels.length < 2) return dispatches;
  const kernel = stack(context, spans, kernels);
  return typeof kernel === "string" ? dispatches : [joined(context, kernel, dispatches)];
}

function chooseBeside(
  context: BuildContext,
  spans: Spans,
  dispatches: readonly Dispatch<PartKernel>[],
  mayGrow: boolean,
): SlotPlan {
  const kernels = dispatches.map((dispatch) => dispatch.kernel);
  const traffic = dispatches.map(trafficOf);
  return chooseSlots(kernels, spans, context.work.kept, mayGrow, (slot, i) => {
    if (dispatches[slot[0]!]!.turn !== dispatches[i]!.turn) return "";
    const gain = sharedBytes(slot, i, traffic);
    const least = slot.reduce((n, member) => Math.min(n, traffic[member]!.bytes), traffic[i]!.bytes);
    // Beside a large kernel, a small one of its own would make a pipeline that no other layer shares.
    const areSmall = [...slot, i].every((member) => traffic[member]!.isSmall);
    if (gain < WORTH_SHARING * least && !areSmall) return "";
    if ([...slot, i].some((member) => kernels[member]!.flops >= LARGE_FLOPS)) return "";
    const all = [...slot, i].map((member) => dispatches[member]!);
    if (new Set(all.flatMap(({ kernel }) => blockedSize(kernel) ?? [])).size > 1)
      return "their workgroups share blocks of two sizes";
    const kernelsOfAll = partsFor(all).map((part) => part.kernel);
    const workgroups = kernelsOfAll.reduce((n, kernel) => n + launchOf(kernel).workgroups, 0);
    if (workgroups > context.profile.maxComputeWorkgroupsPerDimension ** 2)
      return "more workgroups than a dispatch may have";
    const workgroupBytes = kernelsOfAll.reduce((n, kernel) => n + workgroupBytesOf(kernel), 0);
    if (workgroupBytes > context.profile.maxComputeWorkgroupStorageSize)
      return "more workgroup memory than there is";
    return clashOf(context, spans, tensorsOf(context, kernelsOfAll)) ?? gain;
  });
}

/** The longest first, so that no workgroup of it starts when all else is done; all in workgroups of its size, or of a block's. */
function partsFor(dispatches: readonly Dispatch<PartKernel>[]): readonly Dispatch<PartKernel>[] {
  const sorted = [...dispatches].sort((a, b) => effortOf(b) - effortOf(a));
  const first = sorted[0]!.kernel;
  const workgroupSize =
    sorted.map(({ kernel }) => blockedSize(kernel)).find((size) => size !== undefined) ?? first.workgroupSize;
  return sorted.map((dispatch) => ({ ...dispatch, kernel: resized(dispatch.kernel, workgroupSize) }));
}

function runBeside(context: BuildContext, dispatches: readonly Dispatch<PartKernel>[]): Dispatch {
  if (dispatches.length < 2) return dispatches[0]!;
  const sorted = partsFor(dispatches);
  const kernels = sorted.map(({ kernel }) => kernel);
  const { workgroupSize } = kernels[0]!;
  const tensors = tensorsOf(context, kernels);
  const bound = new Map(tensors.map((t) => [t.tensor, t]));
  const kernel: BesideKernel = {
    kind: "beside",
    name: kernels.map((part) => part.name).join(" | "),
    rules: rulesOf(kernels, "side_by_side"),
    comments: kernels.flatMap((part) => part.comments),
    tensors,
    workgroupSize,
    flops: kernels.reduce((n, part) => n + part.flops, 0),
    parts: kernels.map((part) => ({ ...part, tensors: part.tensors.map((t) => bound.get(t.tensor)!) })),
  };
  return { ...joined(context, kernel, sorted), nodesOfParts: sorted.map(({ nodes }) => nodes) };
}

/** The tensors of several kernels, each once, under names that differ and with one access a buffer. */
function tensorsOf(context: BuildContext, kernels: readonly PartKernel[]): Kernel["tensors"] {
  const { homes } = context;
  const written = new Set(
    kernels.flatMap((kernel) => [...tensorsWritten(kernel)].map((tensor) => homes.bufferKeyOf(tensor))),
  );
  const all = new Map(kernels.flatMap((kernel) => kernel.tensors.map((t) => [t.tensor, t] as const)));
  const names = new Set<string>();
  return [...all.values()].map((t) => ({
    ...t,
    name: uniqueName(t.name.slice(2), names),
    access: written.has(homes.bufferKeyOf(t.tensor)) ? "read_write" : "read",
  }));
}

/** The size of its workgroups where they can have no other: each shares a block. */
function blockedSize(kernel: PartKernel): number | undefined {
  return kernel.kind === "matmul" && kernel.block !== undefined ? kernel.workgroupSize : undefined;
}

/** The same kernel in workgroups of another size, a power of two. */
function resized(kernel: PartKernel, workgroupSize: number): PartKernel {
  if (kernel.kind !== "row" || kernel.invocationsPerRow === 1) return { ...kernel, workgroupSize };
  return { ...kernel, workgroupSize, invocationsPerRow: workgroupSize };
}

/** What a kernel moves, as far as choosing its company goes. */
interface Traffic {
  readonly bytes: number;
  readonly isSmall: boolean;
  /** Bytes of each tensor. */
  readonly tensors: ReadonlyMap<number, number>;
}

function trafficOf(dispatch: Dispatch): Traffic {
  const bytes = bytesOf(dispatch);
  return {
    bytes,
    isSmall: bytes < SMALL_BYTES && dispatch.kernel.flops < SMALL_FLOPS,
    tensors: new Map(
      dispatch.kernel.tensors.map((t) => [t.tensor, elementSizeBytes(t.dtype) * t.elementCount]),
    ),
  };
}

/** Bytes of the tensors that a kernel has in common with those of a slot. */
function sharedBytes(slot: readonly number[], kernel: number, traffic: readonly Traffic[]): number {
  let shared = 0;
  for (const [tensor, bytes] of traffic[kernel]!.tensors)
    if (slot.some((member) => traffic[member]!.tensors.has(tensor))) shared += bytes;
  return shared;
}

function bytesOf(dispatch: Dispatch): number {
  return dispatch.bytesRead + dispatch.bytesWritten;
}

/** Comparable over kernels: a byte from memory takes about as long as ten operations. */
function effortOf(dispatch: Dispatch): number {
  return dispatch.kernel.flops + 10 * bytesOf(dispatch);
}
