import { attributesKey, type Node, type NodeId } from "../graph/index.ts";
import { columnBlocksOf } from "./columns.ts";
import type { Streams } from "./streams.ts";
import type { WorkGraph } from "./work-graph.ts";

/** What is computed of the tensors that are read, whichever they are. */
export interface Structure {
  /** Equal for two computations exactly if one is the other with other tensors, that of `tensors[i]` in each in the same place. */
  readonly kind: number;
  /** What is read, in the order in which it is met. */
  readonly tensors: readonly NodeId[];
}

/** The place of a tensor that a computation of the structure reads. */
export function placeOf({ tensors }: Structure, tensor: NodeId): number {
  const place = tensors.indexOf(tensor);
  if (place < 0) throw new Error(`schedule: %${tensor} is no tensor of its structure`);
  return place;
}

/**
 * Tells equal computations from others: a deep model repeats its layers, so what is decided of the nodes of one layer holds for
 * those of the others. Looks at ops, attributes, types and at which nodes are one; never at names or origins.
 */
export class Structures {
  readonly #work: WorkGraph;
  readonly #realized: ReadonlySet<NodeId>;
  readonly #streams: Streams;
  readonly #numbers = new Map<string, number>();
  readonly #classes: number[] = [];

  constructor(work: WorkGraph, realized: ReadonlySet<NodeId>, streams: Streams) {
    this.#work = work;
    this.#realized = realized;
    this.#streams = streams;
  }

  /** Of realized nodes that one kernel computes, in this order; what else is realized or stored is read. */
  of(vertices: readonly NodeId[]): Structure {
    // A walk of the graph from the vertices, written down: a number where a node was met before, else what it is and its inputs.
    const met = new Map<NodeId, number>();
    const tensors: NodeId[] = [];
    const text: number[] = [];
    const visit = (id: NodeId, isComputed: boolean): void => {
      const before = met.get(id);
      if (before !== undefined) {
        text.push(before);
        return;
      }
      text.push(met.size, isComputed ? this.#classOf(id) : -1 - this.#classOfRead(id));
      met.set(id, met.size);
      if (!isComputed) tensors.push(id);
      else
        for (const input of this.#work.node(id).inputs)
          visit(input, vertices.includes(input) || !this.#isRead(input));
    };
    for (const vertex of vertices) visit(vertex, true);
    for (const vertex of vertices) text.push(met.get(vertex)!);
    return { kind: this.numberOf(text.join(" ")), tensors };
  }

  /** A number that equal texts share. */
  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  #isRead(id: NodeId): boolean {
    return this.#work.isStorage(id) || (this.#realized.has(id) && !this.#streams.scores.has(id));
  }

  #classOf(id: NodeId): number {
    let known = this.#classes[id];
    if (known === undefined) {
      const node = this.#work.node(id);
      known = this.numberOf(
        `${node.op} ${node.inputs.length} ${attributesKey(node.attrs)} ${typeKey(node)} ${this.#walkOf(id)}${this.#inBlocks(id)}`,
      );
      this.#classes[id] = known;
    }
    return known;
  }

  /** A sum that a kernel of rows takes in blocks, which another sum of these shapes is not. */
  #inBlocks(id: NodeId): string {
    return columnBlocksOf(this.#work, id) === undefined ? "" : "in blocks";
  }

  #classOfRead(id: NodeId): number {
    return this.numberOf(`read ${typeKey(this.#work.node(id))}`);
  }

  /** Which side of the scores a result of a walk over them goes along. */
  #walkOf(id: NodeId): string {
    const sink = this.#streams.sinks.get(id);
    if (sink === undefined) return "";
    const { batch, m, n } = sink.region.axes;
    const operand = this.#work.node(id).inputs.indexOf(sink.input);
    return `${sink.stream} ${sink.over} of ${sink.region.shape}: ${batch}; ${m}; ${n} in ${operand}`;
  }
}

function typeKey({ type }: Node): string {
  return `${type.dtype} ${type.shape}`;
}
