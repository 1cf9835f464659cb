import { formatBytes } from "../diagnostics/index.ts";
import { elementCount, elementSizeBytes, type Graph, type NodeId } from "../graph/index.ts";

/** A decision: values made before a step and read after it, kept or computed again. */
export interface Recomputation {
  /** The last step before the values are read again: where most bytes are alive. */
  readonly peakStep: number;
  /** Computed again after `peakStep`, right before they are read. */
  readonly again: ReadonlySet<NodeId>;
  /** What the values in `again` are made of: kept until then. */
  readonly kept: ReadonlySet<NodeId>;
  /** Bytes that were read after `peakStep` and are not kept any more. */
  readonly freedBytes: number;
  /** Work of computing again, in the units of {@link workOf}. */
  readonly work: number;
  /** Bytes alive at `peakStep` if nothing is computed again. */
  readonly peakBytes: number;
  /** Most bytes alive at once with it, as far as can be told before kernels are fused anew. */
  readonly liveBytes: number;
}

/** A decision as text: what is computed again and what it is made of, most bytes first. */
export function printRecomputation(
  graph: Graph,
  { peakStep, again, kept, freedBytes, peakBytes, liveBytes }: Recomputation,
): string {
  const bytes = (id: NodeId): number => {
    const { dtype, shape } = graph.nodes[id]!.type;
    return elementSizeBytes(dtype) * elementCount(shape);
  };
  const lines = (ids: ReadonlySet<NodeId>): readonly string[] =>
    [...ids]
      .sort((a, b) => bytes(b) - bytes(a) || a - b)
      .map((id) => {
        const { origin, type, op } = graph.nodes[id]!;
        const where = [origin.path, origin.at].filter((part) => part !== "").join(", ");
        const from = where === "" ? "" : ` (${where})`;
        return `  ${formatBytes(bytes(id)).padStart(10)}  ${origin.label || op} ${type.dtype}[${type.shape.join(", ")}]${from}`;
      });
  return [
    "",
    `after dispatch ${peakStep}, where ${formatBytes(peakBytes)} were alive, ${again.size} values are computed again: they cost less to make ` +
      `than their ${formatBytes(freedBytes)} to keep; then ${formatBytes(liveBytes)} are alive at most, by estimate`,
    ...lines(again),
    `kept for it, ${kept.size} values`,
    ...lines(kept),
    "",
  ].join("\n");
}
