import type { Graph, MemoryUse } from "../graph/index.ts";
import { applyRecomputation } from "./apply.ts";
import { chooseRecomputation } from "./choose.ts";
import { orderForMemory } from "./order.ts";
import { printRecomputation } from "./types.ts";

/** A graph as scheduled, and the bytes that the schedule needs beside inputs and states. */
export interface Measured<S> {
  readonly graph: Graph;
  readonly schedule: S;
  readonly scratchBytes: number;
  readonly use: MemoryUse;
}

export interface Fitted<S> extends Measured<S> {
  readonly fits: boolean;
  /** Values that are computed again. */
  readonly recomputed: number;
  /** What was decided, for a person. Empty where nothing is computed again. */
  readonly decisions: readonly string[];
}

/** Decisions on top of one another, each at the peak that the one before has left. */
const MOST_ROUNDS = 3;
/** Schedules a round: a decision is made before kernels are fused anew, so it may miss its aim. */
const MOST_TRIES = 3;

/**
 * Schedules a graph so that it fits, computing values again where it must.
 * @param start the graph as scheduled without a limit
 * @param measure schedules a graph
 * @param limitBytes of what a schedule needs beside inputs and states
 * @param flopsPerByte floating-point operations that a device does while it moves a byte
 * @returns the first schedule that fits, or the smallest one found
 */
export function fitMemory<S>(
  start: Measured<S>,
  measure: (graph: Graph) => Measured<S>,
  limitBytes: number,
  flopsPerByte: number,
): Fitted<S> {
  let best: Fitted<S> = { ...start, fits: start.scratchBytes <= limitBytes, recomputed: 0, decisions: [] };
  if (!best.fits) {
    const ordered = measure(orderForMemory(start.graph, start.use));
    if (ordered.scratchBytes < best.scratchBytes)
      best = { ...best, ...ordered, fits: ordered.scratchBytes <= limitBytes };
  }
  for (let round = 0; round < MOST_ROUNDS && !best.fits; round++) {
    const from = best;
    const alive = from.use.liveBytes.reduce((most, bytes) => Math.max(most, bytes), 0);
    // What lies beside the arenas, and what their plan cannot fill.
    let aimBytes = limitBytes - (from.scratchBytes - alive);
    for (let attempt = 0; attempt < MOST_TRIES && !best.fits; attempt++) {
      const chosen = chooseRecomputation(from.graph, from.use, { limitBytes: aimBytes, flopsPerByte });
      if (chosen === undefined) break;
      const next = measure(applyRecomputation(from.graph, from.use, chosen));
      if (next.scratchBytes < best.scratchBytes) {
        best = {
          ...next,
          fits: next.scratchBytes <= limitBytes,
          recomputed: from.recomputed + chosen.again.size,
          decisions: [...from.decisions, printRecomputation(from.graph, chosen)],
        };
      }
      if (chosen.liveBytes > aimBytes) break;
      aimBytes -= next.scratchBytes - limitBytes;
    }
    if (best === from) break;
  }
  return best;
}
