import {
  type Expr,
  KernelBuilder,
  type KernelTensor,
  type PartKernel,
  rootsOf,
  storesOf,
  walk,
} from "../kernel/index.ts";
import type { BuildContext } from "./kernels.ts";
import { canBeRemade, remade } from "./remake.ts";
import type { Home } from "./tensors.ts";
import { alignedElements } from "./work-graph.ts";

/**
 * The same kernel with bindings that begin where it first touches a tensor, as far as bindings can: what differs between
 * kernels in the place of a slice alone is then one kernel.
 */
export function rebased<K extends PartKernel>(context: BuildContext, kernel: K): PartKernel {
  if (!canBeRemade(kernel)) return kernel;
  const starts = startsOf(kernel);
  const moved = new Map<number, { readonly start: number; readonly bound: KernelTensor }>();
  for (const tensor of kernel.tensors) {
    const aligned = alignedElements(tensor.dtype);
    const start = Math.floor((starts.get(tensor.tensor) ?? 0) / aligned) * aligned;
    if (start === 0 || context.work.kept.has(tensor.tensor)) continue;
    moved.set(tensor.tensor, { start, bound: tailOf(context, tensor, start) });
  }
  if (moved.size === 0) return kernel;
  const b = new KernelBuilder();
  const made = remade(b, kernel, {
    axis: () => undefined,
    position: () => undefined,
    place: (tensor, index) => {
      const to = moved.get(tensor);
      if (to === undefined) return { tensor, index };
      return { tensor: to.bound.tensor, index: b.addIndex(index, b.constant("i32", -to.start)) };
    },
  });
  return { ...made, tensors: kernel.tensors.map((tensor) => moved.get(tensor.tensor)?.bound ?? tensor) };
}

/** The least element of each tensor that a kernel can touch. */
function startsOf(kernel: PartKernel): ReadonlyMap<number, number> {
  const starts = new Map<number, number>();
  const touch = (tensor: number, index: Expr): void => {
    starts.set(tensor, Math.min(starts.get(tensor) ?? index.min, index.min));
  };
  walk(rootsOf(kernel), (e) => {
    if (e.kind === "load") touch(e.tensor, e.index);
  });
  for (const { tensor, index } of storesOf(kernel)) touch(tensor, index);
  if (kernel.kind === "matmul" && kernel.rhsSum !== undefined)
    touch(kernel.rhsSum.tensor, kernel.rhsSum.index);
  return starts;
}

/** A tensor from element `start` on, as a tensor of the plan. */
function tailOf(
  { homes, extraTensors, tails, occupied }: BuildContext,
  tensor: KernelTensor,
  start: number,
): KernelTensor {
  let known = tails.get(tensor.tensor);
  if (known === undefined) {
    known = new Map();
    tails.set(tensor.tensor, known);
  }
  const all = tensor.boundCount ?? tensor.elementCount;
  let tail = known.get(start);
  if (tail === undefined) {
    const id = Math.min(0, ...extraTensors.keys()) - 1;
    tail = { id, label: tensor.name, type: { dtype: tensor.dtype, shape: [all - start] } };
    known.set(start, tail);
    occupied.add(tensor.tensor);
    extraTensors.set(id, tail);
    homes.place(id, shifted(homes.homeOf(tensor.tensor), tensor.tensor, start));
  }
  const count = all - start;
  return {
    ...tensor,
    tensor: tail.id,
    elementCount: Math.min(tensor.elementCount, count),
    boundCount: count,
  };
}

function shifted(home: Home, tensor: number, start: number): Home {
  return home.kind === "arena"
    ? { kind: "piece", of: tensor, offset: start }
    : { ...home, offset: home.offset + start };
}
