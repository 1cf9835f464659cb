import type { NodeId } from "./types.ts";

/** A node that a kernel of a schedule computes as a whole: inside the kernel alone, or for others to read. */
export interface PlannedVertex {
  /** In the graph; above its nodes for a copy that the schedule has added. */
  readonly node: NodeId;
  /** Position of its dispatch, counted from 0; of the last where it takes several. */
  readonly step: number;
  readonly sizeBytes: number;
  /** `arena`: in memory from this step to its last reader; `fixed`: in a buffer of its own; `kernel`: nowhere stored. */
  readonly place: "arena" | "fixed" | "kernel";
  /** Outputs, new states and what has a fixed place: computing it again gains nothing, as it must end in memory. */
  readonly isRequired: boolean;
  /** The vertices whose values it is made of. */
  readonly sources: readonly NodeId[];
}

/** What a schedule of a graph stores and when. The schedule says it, recomputation decides by it. */
export interface MemoryUse {
  /** Bytes of the arenas that hold something needed, by dispatch; without what is `fixed`. */
  readonly liveBytes: readonly number[];
  readonly vertices: readonly PlannedVertex[];
}
