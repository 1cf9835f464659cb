import { elementSizeBytes, type MemoryUse, type NodeId, type PlannedVertex } from "../graph/index.ts";
import type { Dispatch } from "./dispatch.ts";
import { producersOf } from "./domain.ts";
import type { Group } from "./fuse.ts";
import type { BuildContext } from "./kernels.ts";
import type { LiveRange } from "./memory.ts";

/** @param live what lies in the arenas, by dispatch */
export function memoryUseOf(
  { work, plan, homes }: BuildContext,
  dispatches: readonly Dispatch[],
  live: readonly LiveRange[],
): MemoryUse {
  const stepOf = new Map<Group, number>();
  dispatches.forEach(({ groups }, step) => {
    for (const group of groups) stepOf.set(group, step);
  });
  const liveBytes: number[] = dispatches.map(() => 0);
  for (const { first, last, sizeBytes } of live)
    for (let step = first; step <= last && step < liveBytes.length; step++) liveBytes[step]! += sizeBytes;
  const placeOf = (id: NodeId): PlannedVertex["place"] => {
    if (!plan.stored.has(id)) return "kernel";
    const { kind } = homes.homeOf(id);
    return kind === "arena" || kind === "piece" ? "arena" : "fixed";
  };
  const vertices = [...plan.groupOf].map(
    ([node, group]): PlannedVertex => ({
      node,
      step: stepOf.get(group)!,
      sizeBytes: work.count(node) * elementSizeBytes(work.node(node).type.dtype),
      place: placeOf(node),
      isRequired: work.isRequired(node) || node >= work.graph.nodes.length,
      sources: [...new Set(plan.sourcesOf(node).flatMap((source) => producersOf(work, source)))],
    }),
  );
  return { liveBytes, vertices: vertices.sort((a, b) => a.node - b.node) };
}
