import { elementSizeBytes, type NodeId } from "../graph/index.ts";
import { type Kernel, type PartKernel, tensorsRead, tensorsWritten } from "../kernel/index.ts";
import type { Group } from "./fuse.ts";
import type { BuildContext } from "./kernels.ts";
import { provenanceOf } from "./provenance.ts";
import { type FusionRule, fusionRuleNames } from "./rules.ts";

/** A kernel in its place among the others, with what is told of it. */
export interface Dispatch<K extends Kernel = Kernel> {
  readonly kernel: K;
  /** What it computes and from which lines of the spec. */
  readonly label: string;
  /** What is computed in it. */
  readonly groups: readonly Group[];
  readonly nodes: readonly NodeId[];
  /** The same by part, where the kernel has parts. */
  readonly nodesOfParts?: readonly (readonly NodeId[])[];
  /** Each tensor of each kernel that was built counts once, whether they share a dispatch or not. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** What reads through barriers runs with its equals alone: with others, what they stand between would be there at once. */
  readonly turn: number;
}

export function dispatchOf(context: BuildContext, kernel: PartKernel, group: Group): Dispatch<PartKernel> {
  const written = tensorsWritten(kernel);
  const read = tensorsRead(kernel);
  const most = mostTouched(kernel);
  const bytes = (tensors: PartKernel["tensors"]) =>
    tensors.reduce((total, t) => total + Math.min(t.elementCount, most) * elementSizeBytes(t.dtype), 0);
  return {
    kernel,
    label: labelOf(context, kernel, [group]),
    groups: [group],
    nodes: provenanceOf(context, group).nodes,
    bytesRead: bytes(kernel.tensors.filter((t) => read.has(t.tensor))),
    bytesWritten: bytes(kernel.tensors.filter((t) => written.has(t.tensor))),
    turn: turnOf(context, group),
  };
}

/** What is kept apart has a turn of its own. */
function turnOf({ work, plan }: BuildContext, { id, vertices }: Group): number {
  if (vertices.some((vertex) => work.apart.has(vertex))) return -1 - id;
  return Math.max(...vertices.map((vertex) => plan.turnOf(vertex)));
}

/** A gather touches no more elements of its table than it has results, a scatter no more than it has items. */
function mostTouched(kernel: PartKernel): number {
  if (kernel.kind === "map") return kernel.axis.extent;
  return kernel.kind === "segment" && "column" in kernel.stage
    ? kernel.item.extent * kernel.stage.column.extent
    : Number.POSITIVE_INFINITY;
}

/** Name, layers and places in the spec. */
function labelOf(context: BuildContext, kernel: Kernel, groups: readonly Group[]): string {
  const origins = groups.map((group) => context.work.node(group.vertices[0]!).origin);
  const list = (of: readonly string[]) => [...new Set(of)].filter((part) => part !== "").join(", ");
  const [paths, places] = [list(origins.map(({ path }) => path)), list(origins.map(({ at }) => at))];
  return [kernel.name, paths, places].filter((part) => part !== "").join("  ");
}

/** Several dispatches as one that runs `kernel`. */
export function joined<K extends Kernel>(
  context: BuildContext,
  kernel: K,
  dispatches: readonly Dispatch[],
): Dispatch<K> {
  const groups = dispatches.flatMap((dispatch) => dispatch.groups);
  const nodes = new Set(dispatches.flatMap((dispatch) => dispatch.nodes));
  return {
    kernel,
    label: labelOf(context, kernel, groups),
    groups,
    nodes: [...nodes].sort((a, b) => a - b),
    bytesRead: dispatches.reduce((n, dispatch) => n + dispatch.bytesRead, 0),
    bytesWritten: dispatches.reduce((n, dispatch) => n + dispatch.bytesWritten, 0),
    turn: dispatches[0]!.turn,
  };
}

/** The rules of several kernels and the one that brought them together, in the order in which they are printed. */
export function rulesOf(kernels: readonly Kernel[], rule: FusionRule): readonly FusionRule[] {
  const rules = new Set<string>([rule, ...kernels.flatMap((kernel) => kernel.rules)]);
  return fusionRuleNames.filter((name) => rules.has(name));
}
