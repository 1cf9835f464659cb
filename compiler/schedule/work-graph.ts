import { elementCount, type Graph, type Node, type NodeId, type Origin } from "../graph/index.ts";

/**
 * The graph as the schedule sees it: users of every node, and copies added where two places ask for one tensor.
 * Mutable only through {@link WorkGraph.copyOf}.
 */
export class WorkGraph {
  readonly graph: Graph;
  readonly nodes: Node[];
  readonly users: NodeId[][];
  /** Results that must end in memory of their own: node (after reshapes are stripped) by purpose. */
  readonly outputs: { readonly name: string; readonly node: NodeId; readonly shape: readonly number[] }[] =
    [];
  readonly updates: { readonly state: string; readonly node: NodeId }[] = [];
  /** pack node -> the node stored at each of its offsets. */
  readonly packs = new Map<NodeId, readonly NodeId[]>();
  /** Node -> where it lies inside a pack. */
  readonly packed = new Map<NodeId, { readonly pack: NodeId; readonly offset: number }>();
  readonly #states = new Map<string, NodeId>();
  readonly #required = new Set<NodeId>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.nodes = [...graph.nodes];
    this.users = graph.nodes.map(() => []);
    for (const node of graph.nodes) {
      for (const input of node.inputs) this.users[input]!.push(node.id);
      if (node.op === "state") this.#states.set(node.attrs.name, node.id);
    }
    for (const node of graph.nodes) {
      // What a view points into is memory.
      if (node.op === "view" && isStorage(node)) this.#required.add(this.stripReshapes(node.inputs[0]!));
      if (node.op !== "pack") continue;
      const parts = node.inputs.map((input, i) => {
        const source = this.stripReshapes(input);
        const place = { pack: node.id, offset: node.attrs.offsets[i]! };
        const fresh = this.packed.has(source) || isStorage(this.nodes[source]!);
        const stored = fresh ? this.copyOf(source) : source;
        this.packed.set(stored, place);
        this.#required.add(stored);
        return stored;
      });
      this.packs.set(node.id, parts);
    }
    const updated = new Set<NodeId>();
    for (const { state, node } of graph.updates) {
      const source = this.stripReshapes(node);
      const owned = this.packed.has(source) || updated.has(source) || isStorage(this.nodes[source]!);
      const stored = owned ? this.copyOf(source) : source;
      updated.add(stored);
      this.#required.add(stored);
      this.updates.push({ state, node: stored });
    }
    for (const { name, node } of graph.outputs) {
      const stored = this.stripReshapes(node);
      this.outputs.push({ name, node: stored, shape: this.nodes[node]!.type.shape });
      if (!isStorage(this.nodes[stored]!)) this.#required.add(stored);
    }
  }

  node(id: NodeId): Node {
    return this.nodes[id]!;
  }

  count(id: NodeId): number {
    return elementCount(this.nodes[id]!.type.shape);
  }

  /** The state leaf of that name, where the graph reads it. */
  stateNode(name: string): NodeId | undefined {
    return this.#states.get(name);
  }

  /** Outputs, updates and parts of packs: these are stored whatever the cost. */
  isRequired(id: NodeId): boolean {
    return this.#required.has(id) && !isStorage(this.nodes[id]!);
  }

  /** A reshape of a stored tensor is the same memory. */
  stripReshapes(id: NodeId): NodeId {
    let node = this.nodes[id]!;
    while (node.op === "reshape" || node.op === "stop_gradient") node = this.nodes[node.inputs[0]!]!;
    return node.id;
  }

  /** A node equal to `id` that is stored on its own. */
  copyOf(id: NodeId): NodeId {
    const source = this.nodes[id]!;
    const copy = this.nodes.length;
    const origin: Origin = { ...source.origin, label: `copy_${source.origin.label}`, pass: "schedule" };
    const { shape } = source.type;
    this.nodes.push({ op: "reshape", id: copy, inputs: [id], attrs: { shape }, type: source.type, origin });
    this.users[id]!.push(copy);
    this.users.push([]);
    return copy;
  }
}

/** Elements at whose multiples a binding may begin on every device (256 bytes). */
export const ALIGNED_ELEMENTS = 64;

/** Nodes that are memory already: nothing computes them. A view that no binding can point at is read by index. */
export function isStorage(node: Node): boolean {
  if (node.op === "view") return node.attrs.offset % ALIGNED_ELEMENTS === 0;
  return node.op === "input" || node.op === "state" || node.op === "pack" || node.op === "parameter";
}

/** A contraction that a matmul kernel can tile: some axes of either operand alone, and some summed. */
export function matmulAxes(
  node: Node,
):
  | { readonly batch: number[]; readonly m: number[]; readonly n: number[]; readonly k: number[] }
  | undefined {
  if (node.op !== "einsum") return undefined;
  const { lhs, rhs, out } = node.attrs;
  const batch = out.filter((label) => lhs.includes(label) && rhs.includes(label));
  const m = out.filter((label) => lhs.includes(label) && !rhs.includes(label));
  const n = out.filter((label) => rhs.includes(label) && !lhs.includes(label));
  const k = lhs.filter((label) => !out.includes(label));
  return { batch, m, n, k };
}

/** Sums, maxima, contractions and scatters: what cannot be computed element by element within a user. */
export function isHero(node: Node): boolean {
  switch (node.op) {
    case "sum":
    case "reduce_max":
    case "scatter_add":
      return true;
    case "einsum":
      return node.attrs.lhs.some((label) => !node.attrs.out.includes(label));
    default:
      return false;
  }
}
