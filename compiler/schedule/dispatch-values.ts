import type { NodeId } from "../graph/index.ts";
import { tensorsWritten } from "../kernel/index.ts";
import type { BufferRange } from "../program/index.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Group } from "./fuse.ts";
import type { BuildContext } from "./kernels.ts";

/** A node's value in memory. */
export interface StoredValue {
  readonly node: NodeId;
  readonly range: BufferRange;
  /** Element `outer * width + i` of the value is element `outer * pitch + offset + i` of the range. Default: they are the same. */
  readonly window?: { readonly offset: number; readonly width: number; readonly pitch: number };
}

/** What a dispatch makes of what lies in memory, in terms of the nodes of `Schedule.nodes`. */
export interface DispatchValues {
  /** Counted from 0. A sum of equal indices runs in stages: its result is there after the last. */
  readonly dispatch: number;
  /** The dispatch before which the sources are there: the first stage. */
  readonly from: number;
  /** Nodes that are read, not computed, one after another. */
  readonly sources: readonly StoredValue[];
  /** Nodes that are computed of those, ascending. */
  readonly nodes: readonly NodeId[];
  readonly results: readonly StoredValue[];
}

/** @param rangeOf where a tensor lies; undefined where the plan stores it nowhere */
export function dispatchValues(
  context: BuildContext,
  dispatches: readonly Dispatch[],
  rangeOf: (tensor: number) => BufferRange | undefined,
): readonly DispatchValues[] {
  const first = new Map<Group, number>();
  const last = new Map<Group, number>();
  dispatches.forEach(({ groups }, at) => {
    for (const group of groups) {
      if (!first.has(group)) first.set(group, at);
      last.set(group, at);
    }
  });
  return dispatches.flatMap((dispatch, at) => {
    const ending = dispatch.groups.filter((group) => last.get(group) === at);
    const staged = ending.filter((group) => first.get(group) !== at);
    const whole = ending.filter((group) => first.get(group) === at);
    return [...staged.map((group) => [group]), whole].flatMap((groups): DispatchValues[] => {
      const made = valuesOf(context, dispatch, groups, rangeOf);
      return made.results.length === 0 ? [] : [{ dispatch: at, from: first.get(groups[0]!)!, ...made }];
    });
  });
}

function valuesOf(
  { work, plan }: BuildContext,
  { kernel }: Dispatch,
  groups: readonly Group[],
  rangeOf: (tensor: number) => BufferRange | undefined,
): Pick<DispatchValues, "sources" | "nodes" | "results"> {
  const written = [...tensorsWritten(kernel)].flatMap((tensor) => rangeOf(tensor) ?? []);
  const results = groups.flatMap(({ vertices }) =>
    vertices.flatMap((node): StoredValue[] => {
      const window = work.windows.get(node);
      const range = plan.stored.has(node) ? rangeOf(window?.of ?? node) : undefined;
      if (range === undefined || !written.some((other) => overlap(other, range))) return [];
      return [{ node, range, ...(window !== undefined && { window }) }];
    }),
  );
  const sources = new Map<NodeId, StoredValue>();
  const nodes = new Set<NodeId>();
  const visit = (id: NodeId): void => {
    if (nodes.has(id) || sources.has(id)) return;
    const group = plan.groupOf.get(id);
    const isElsewhere =
      work.isStorage(id) || (group !== undefined && !groups.includes(group) && plan.stored.has(id));
    const range = isElsewhere ? rangeOf(id) : undefined;
    if (range !== undefined) {
      sources.set(id, { node: id, range });
      return;
    }
    nodes.add(id);
    work.node(id).inputs.forEach(visit);
  };
  for (const { node } of results) {
    nodes.add(node);
    work.node(node).inputs.forEach(visit);
  }
  return { results, sources: [...sources.values()], nodes: [...nodes].sort((a, b) => a - b) };
}

function overlap(a: BufferRange, b: BufferRange): boolean {
  return (
    a.buffer === b.buffer &&
    a.offsetBytes < b.offsetBytes + b.sizeBytes &&
    b.offsetBytes < a.offsetBytes + a.sizeBytes
  );
}
