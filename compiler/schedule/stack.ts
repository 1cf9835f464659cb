import { elementCount } from "../graph/index.ts";
import {
  type AxisExpr,
  type Expr,
  KernelBuilder,
  type KernelTensor,
  type PartKernel,
} from "../kernel/index.ts";
import { rulesOf } from "./dispatch.ts";
import { type BuildContext, uniqueName } from "./kernels.ts";
import { canBeRemade, type RemadeKernel, remade, type Target } from "./remake.ts";
import { type Access, overlap, type Spans } from "./spans.ts";

/** Kernels that can be stacked: they have an axis of independent repetitions, which becomes longer. */
export type StackableKernel = RemadeKernel;

/** Blocks of rows belong to one kernel's rows: more rows would make blocks that cross its end. */
export function isStackable(kernel: PartKernel): kernel is StackableKernel {
  return canBeRemade(kernel) && (kernel.kind !== "row" || kernel.blocks === undefined);
}

/**
 * Kernels equal but for their tensors as one, with more elements, rows or batches: kernel i's tensors lie i strides behind the
 * first's, so the code is that of one.
 * @param kernels at least two of one identity, none of which reads what another writes
 * @returns why it is impossible, if it is; then nothing has been changed
 */
export function stack(
  context: BuildContext,
  spans: Spans,
  kernels: readonly StackableKernel[],
): StackableKernel | string {
  const sorted = inBufferOrder(context, kernels);
  const first = sorted[0]!;
  const accesses = spans.accesses(parametersOf(sorted));
  if (typeof accesses === "string") return accesses;
  const tensors = boundTensors(context, first.tensors, accesses, sorted.length);
  const comments = [...new Set(sorted.flatMap((kernel) => kernel.comments))];
  const flops = sorted.reduce((n, kernel) => n + kernel.flops, 0);
  const rules = rulesOf(sorted, "stacked");
  const shared = { name: `${first.name}_x${sorted.length}`, comments, tensors, flops, rules };
  const b = new KernelBuilder();
  const access = new Map(first.tensors.map((t, i) => [t.tensor, accesses[i]!]));
  const old = repeatedAxisOf(first);
  const repeated = b.axis(old.name, old.extent * sorted.length, old.multiple);
  const position = b.modulo(repeated, old.extent);
  const kernel = b.floorDiv(repeated, old.extent);
  const made = remade(b, first, {
    axis: (axis) => (axis === old ? repeated : undefined),
    position: (axis) => (axis === old ? position : undefined),
    place: (tensor, index) => reach(b, access.get(tensor)!, kernel, index),
  });
  return { ...made, ...shared };
}

/** The axis of independent repetitions. */
function repeatedAxisOf(kernel: StackableKernel): AxisExpr {
  return kernel.kind === "map" ? kernel.axis : kernel.kind === "row" ? kernel.row : kernel.batch;
}

/** Why these kernels of one identity cannot be stacked, if they cannot. */
export function stackObstacle(
  context: BuildContext,
  spans: Spans,
  kernels: readonly StackableKernel[],
): string | undefined {
  return spans.obstacle(parametersOf(inBufferOrder(context, kernels)));
}

/** For each tensor that equal kernels bind, which one it is in each. */
function parametersOf(kernels: readonly PartKernel[]): readonly (readonly number[])[] {
  return kernels[0]!.tensors.map((_, i) => kernels.map((kernel) => kernel.tensors[i]!.tensor));
}

/** By the place of the first tensors that differ and have one, so that distances are equal where they can be. */
function inBufferOrder(
  context: BuildContext,
  kernels: readonly StackableKernel[],
): readonly StackableKernel[] {
  for (const tensors of parametersOf(kernels)) {
    if (new Set(tensors).size < kernels.length) continue;
    const offsets = tensors.map((tensor) => {
      const home = context.homes.homeOf(tensor);
      return home.kind === "arena" ? undefined : home.offset;
    });
    if (offsets.includes(undefined)) continue;
    const place = new Map(kernels.map((kernel, i) => [kernel, offsets[i] ?? 0]));
    return [...kernels].sort((a, b) => place.get(a)! - place.get(b)!);
  }
  return kernels;
}

/** Element `index` of the tensor of kernel `kernel`. */
export function reach(b: KernelBuilder, access: Access, kernel: Expr, index: Expr): Target {
  const start = b.addIndex(b.scaleIndex(kernel, access.stride), b.constant("i32", access.offset));
  return { tensor: access.tensor, index: b.addIndex(start, index) };
}

/** What a kernel over several kernels' tensors binds. */
export function boundTensors(
  context: BuildContext,
  parameters: readonly KernelTensor[],
  accesses: readonly Access[],
  count: number,
): readonly KernelTensor[] {
  const { homes, extraTensors } = context;
  const bound = new Map<number, { elements: number; readonly like: KernelTensor; several: boolean }>();
  parameters.forEach((like, i) => {
    const { tensor, stride } = accesses[i]!;
    const several = tensor !== like.tensor;
    const elements = like.elementCount * (several && stride !== 0 ? count : 1);
    const known = bound.get(tensor);
    if (known === undefined) bound.set(tensor, { elements, like, several });
    else known.elements += elements;
  });
  const writable = new Set(
    parameters.flatMap((t, i) => (t.access === "read_write" ? [homes.bufferKeyOf(accesses[i]!.tensor)] : [])),
  );
  const names = new Set<string>();
  return [...bound].map(([tensor, { elements, like, several }]) => ({
    tensor,
    name: uniqueName(like.name.slice(2), names),
    dtype: like.dtype,
    elementCount: elements,
    ...(several && { boundCount: elementCount(extraTensors.get(tensor)!.type.shape) }),
    access: writable.has(homes.bufferKeyOf(tensor)) ? "read_write" : "read",
    comment: several ? `${count} of ${like.comment}` : like.comment,
  }));
}

/** What of these bindings WebGPU would refuse in one dispatch. */
export function clashOf(
  context: BuildContext,
  spans: Spans,
  tensors: readonly KernelTensor[],
): string | undefined {
  if (tensors.length > context.profile.maxStorageBuffersPerShaderStage)
    return `more than ${context.profile.maxStorageBuffersPerShaderStage} storage buffers`;
  const places = tensors.map((t) => ({ at: spans.locationOf(t.tensor), access: t.access }));
  const overlaps = places.some((a, i) =>
    places.slice(0, i).some((b) => a.access === "read_write" && overlap(a.at, b.at)),
  );
  return overlaps ? "ranges of a buffer that is written overlap" : undefined;
}
