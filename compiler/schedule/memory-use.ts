import type { NodeId } from "../graph/index.ts";
import type { Dispatch } from "./dispatch.ts";
import { producersOf } from "./domain.ts";
import type { Group } from "./fuse.ts";
import type { BuildContext } from "./kernels.ts";
import type { LiveRange } from "./memory.ts";

/** A node that a kernel computes as a whole: inside the kernel alone, or for others to read. */
export interface PlannedVertex {
  /** In the graph; above its nodes for a copy that the schedule has added. */
  readonly node: NodeId;
  /** Position of its dispatch, counted from 0; of the last where it takes several. */
  readonly step: number;
  readonly sizeBytes: number;
  /** `arena`: stored from this step to its last reader; `fixed`: in a buffer of its own; `kernel`: nowhere stored. */
  readonly place: "arena" | "fixed" | "kernel";
  /** Outputs, new states and what has a fixed place. */
  readonly isRequired: boolean;
  /** The vertices whose values it is made of. */
  readonly sources: readonly NodeId[];
}

/** What a schedule stores and when, in terms of the nodes of its graph. */
export interface MemoryUse {
  /** Bytes of the arenas that hold something needed, by dispatch. */
  readonly liveBytes: readonly number[];
  /** By node. */
  readonly vertices: readonly PlannedVertex[];
}

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
      sizeBytes: work.count(node) * 4,
      place: placeOf(node),
      isRequired: work.isRequired(node) || node >= work.graph.nodes.length,
      sources: [...new Set(plan.sourcesOf(node).flatMap((source) => producersOf(work, source)))],
    }),
  );
  return { liveBytes, vertices: vertices.sort((a, b) => a.node - b.node) };
}
