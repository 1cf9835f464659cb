import type { NodeId } from "../graph/index.ts";
import type { WorkGraph } from "./work-graph.ts";

/**
 * Which nodes stand behind a barrier. What reads a value through one is to be computed later than kernels before the barrier: in one of
 * them, its result would have to be kept after all.
 */
export class Barriers {
  /** Behind which barrier a node stands, numbered from 1; 0: behind none. */
  readonly #behind: Int32Array;
  /** The same by barriers within the node's own expression alone. */
  readonly #reads: Int32Array;

  /** @param isVertex whether a node is computed on its own, not within its readers */
  constructor(work: WorkGraph, isVertex: (id: NodeId) => boolean) {
    this.#behind = new Int32Array(work.nodes.length);
    this.#reads = new Int32Array(work.nodes.length);
    for (const node of work.nodes) {
      let [behind, reads] = node.op === "barrier" ? [node.attrs.number + 1, node.attrs.number + 1] : [0, 0];
      for (const input of node.inputs) {
        behind = Math.max(behind, this.#behind[input]!);
        if (!isVertex(input)) reads = Math.max(reads, this.#reads[input]!);
      }
      this.#behind[node.id] = behind;
      this.#reads[node.id] = reads;
    }
  }

  /** The greatest number of the barriers that `id` itself reads through, plus 1; 0: none. */
  turnOf(id: NodeId): number {
    return this.#reads[id]!;
  }

  /** Whether `id` reads through a barrier that all of `vertices` stand before. */
  separate(vertices: readonly NodeId[], id: NodeId): boolean {
    const reads = this.#reads[id]!;
    return reads > 0 && vertices.every((vertex) => this.#behind[vertex]! < reads);
  }
}
