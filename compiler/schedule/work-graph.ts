import {
  type DType,
  elementCount,
  elementSizeBytes,
  type Graph,
  type Node,
  type NodeId,
  type NodeOf,
  type Origin,
} from "../graph/index.ts";

/**
 * The graph as the schedule sees it: users of every node, and copies added where two places ask for one tensor.
 * Mutable only through {@link WorkGraph.copyOf}.
 */
export class WorkGraph {
  readonly graph: Graph;
  /** Nodes that no kernel may compute beside or within another: on this device a kernel that did was wrong. */
  readonly apart: ReadonlySet<NodeId>;
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
  /** Result -> the window of a concatenation that it is computed into, where that is stored for its own sake. */
  readonly windows = new Map<NodeId, Window>();
  readonly #states = new Map<string, NodeId>();
  readonly #windowed = new Map<NodeId, readonly NodeId[]>();
  readonly #required = new Set<NodeId>();
  readonly #updated = new Map<NodeId, string>();
  readonly #overlapping: ReadonlySet<NodeId>;

  constructor(graph: Graph, apart: ReadonlySet<NodeId> = new Set()) {
    this.graph = graph;
    this.apart = apart;
    this.nodes = [...graph.nodes];
    this.users = graph.nodes.map(() => []);
    for (const node of graph.nodes) {
      for (const input of node.inputs) this.users[input]!.push(node.id);
      if (node.op === "state") this.#states.set(node.attrs.name, node.id);
    }
    this.#overlapping = this.#overlappingViews();
    for (const node of graph.nodes) {
      // What one kernel sums in blocks of rows is computed into one tensor.
      const isOfColumns = node.inputs.every((input) => this.nodes[input]!.origin.pass === COLUMNS);
      const pieces = node.op === "concat" && isOfColumns ? this.#piecesOf(node.id) : undefined;
      if (pieces !== undefined) this.#placePieces(node.id, pieces);
    }
    for (const node of graph.nodes) {
      // What a view points into is memory.
      if (node.op === "view" && this.isStorage(node.id))
        this.#required.add(this.stripReshapes(node.inputs[0]!));
      if (node.op !== "pack") continue;
      const parts = node.inputs.map((input, i) => {
        const source = this.stripReshapes(input);
        const place = { pack: node.id, offset: node.attrs.offsets[i]! };
        const fresh = this.packed.has(source) || this.isStorage(source);
        const stored = fresh ? this.copyOf(source) : source;
        this.packed.set(stored, place);
        const pieces = this.#piecesOf(stored);
        if (pieces !== undefined) this.#placePieces(stored, pieces);
        else this.#required.add(stored);
        return stored;
      });
      this.packs.set(node.id, parts);
    }
    for (const { state, node } of graph.updates) {
      const source = this.stripReshapes(node);
      const owned =
        this.packed.has(source) || this.isUpdate(source) || this.isStorage(source) || this.isFill(source);
      const stored = owned ? this.copyOf(source) : source;
      this.#updated.set(stored, state);
      this.#required.add(stored);
      this.updates.push({ state, node: stored });
    }
    for (const { name, node } of graph.outputs) {
      const source = this.stripReshapes(node);
      const state = this.stateUnder(source);
      // A state's old value would be overwritten before anyone reads it.
      const replaced = state !== undefined && this.updates.some((update) => update.state === state);
      const stored = replaced && this.isStorage(source) ? this.copyOf(source) : source;
      this.outputs.push({ name, node: stored, shape: this.nodes[node]!.type.shape });
      if (!this.isStorage(stored)) this.#required.add(stored);
    }
  }

  node(id: NodeId): Node {
    return this.nodes[id]!;
  }

  count(id: NodeId): number {
    return elementCount(this.nodes[id]!.type.shape);
  }

  /** Nodes that are needed after the last kernel: outputs, and updates until they are copied. */
  get kept(): ReadonlySet<NodeId> {
    return new Set([...this.outputs, ...this.updates].map(({ node }) => node));
  }

  /** The state leaf of that name, where the graph reads it. */
  stateNode(name: string): NodeId | undefined {
    return this.#states.get(name);
  }

  /** Outputs, updates and parts of packs: these are stored whatever the cost. */
  isRequired(id: NodeId): boolean {
    return this.#required.has(id) && !this.isStorage(id);
  }

  /** Whether a node becomes the new value of a state. */
  isUpdate(id: NodeId): boolean {
    return this.#updated.has(id);
  }

  /** The leaf of the state that a node becomes the new value of, where the graph reads it. */
  stateReplacedBy(id: NodeId): NodeId | undefined {
    const state = this.#updated.get(id);
    return state === undefined ? undefined : this.stateNode(state);
  }

  /** A reshape of a stored tensor is the same memory. */
  stripReshapes(id: NodeId): NodeId {
    let node = this.nodes[id]!;
    while (isSameMemory(node)) node = this.nodes[node.inputs[0]!]!;
    return node.id;
  }

  /** The state that a tensor is, or is a view of. */
  stateUnder(id: NodeId): string | undefined {
    const node = this.nodes[id]!;
    if (node.op === "state") return node.attrs.name;
    return node.op === "view" ? this.stateUnder(this.stripReshapes(node.inputs[0]!)) : undefined;
  }

  /** Whether a node is memory already: no kernel of its own computes it. A view that no binding can point at is read by index. */
  isStorage(id: NodeId): boolean {
    const node = this.nodes[id]!;
    if (node.op === "view")
      return node.attrs.offset % alignedElements(node.type.dtype) === 0 && !this.#overlapping.has(id);
    return isLeafStorage(node) || this.#windowed.has(id);
  }

  /**
   * Views of computed tensors that share elements with another view or are read beside the tensor itself. A kernel that
   * writes into the arena binds all of it as writable, and WebGPU refuses writable bindings that overlap.
   */
  #overlappingViews(): ReadonlySet<NodeId> {
    const pieces = new Map<NodeId, { readonly id: NodeId; readonly first: number; readonly end: number }[]>();
    for (const { id, op } of this.nodes) {
      if (op !== "view") continue;
      let root = id;
      let first = 0;
      for (let node = this.nodes[id]!; node.op === "view"; node = this.nodes[root]!) {
        first += node.attrs.offset;
        root = this.stripReshapes(node.inputs[0]!);
      }
      if (isLeafStorage(this.nodes[root]!)) continue;
      const list = pieces.get(root) ?? [];
      list.push({ id, first, end: first + this.count(id) });
      pieces.set(root, list);
    }
    const found = new Set<NodeId>();
    for (const [root, list] of pieces) {
      const whole = this.#isReadWhole(root);
      for (const a of list) {
        if (whole || list.some((b) => a !== b && a.first < b.end && b.first < a.end)) found.add(a.id);
      }
    }
    return found;
  }

  #isReadWhole(id: NodeId): boolean {
    return this.users[id]!.some((user) => {
      const node = this.nodes[user]!;
      return isSameMemory(node) ? this.#isReadWhole(user) : node.op !== "view";
    });
  }

  /** The results that a windowed concatenation is put together from; undefined for any other node. */
  windowedPieces(id: NodeId): readonly NodeId[] | undefined {
    return this.#windowed.get(id);
  }

  /** Contractions and reductions that a concatenation added by the schedule alone reads, with where they start along its axis. */
  #piecesOf(id: NodeId): readonly { readonly node: NodeId; readonly start: number }[] | undefined {
    const whole = this.nodes[id]!;
    if (whole.op !== "concat" || whole.origin.pass !== ADDED) return undefined;
    const pieces: { readonly node: NodeId; readonly start: number }[] = [];
    let start = 0;
    const collect = (inputs: readonly NodeId[]): boolean =>
      inputs.every((input) => {
        const node = this.nodes[input]!;
        if (this.users[input]!.length !== 1 || this.#required.has(input)) return false;
        if (node.op === "concat" && node.attrs.axis === whole.attrs.axis) return collect(node.inputs);
        if (!isHero(node) || node.op === "scatter_add") return false;
        pieces.push({ node: input, start });
        start += node.type.shape[whole.attrs.axis]!;
        return true;
      });
    return collect(whole.inputs) ? pieces : undefined;
  }

  #placePieces(id: NodeId, pieces: readonly { readonly node: NodeId; readonly start: number }[]): void {
    const whole = this.nodes[id]!;
    if (whole.op !== "concat") return;
    const { axis } = whole.attrs;
    const inner = elementCount(whole.type.shape.slice(axis + 1));
    for (const { node, start } of pieces) {
      const width = this.nodes[node]!.type.shape[axis]! * inner;
      this.windows.set(node, {
        of: id,
        offset: start * inner,
        width,
        pitch: whole.type.shape[axis]! * inner,
      });
      this.#required.add(node);
    }
    this.#windowed.set(
      id,
      pieces.map(({ node }) => node),
    );
  }

  /** Whether a tensor is one constant: others had better not wait for the place where it is stored, nor read it there. */
  isFill(id: NodeId): boolean {
    const node = this.nodes[id]!;
    return node.op === "broadcast" && this.nodes[this.stripReshapes(node.inputs[0]!)]!.op === "constant";
  }

  /** A node equal to `id` that is stored on its own. */
  copyOf(id: NodeId): NodeId {
    const source = this.nodes[id]!;
    const copy = this.nodes.length;
    const label = this.isFill(id) ? source.origin.label : `copy_${source.origin.label}`;
    const origin: Origin = { ...source.origin, label, pass: "schedule" };
    const { shape } = source.type;
    this.nodes.push({ op: "reshape", id: copy, inputs: [id], attrs: { shape }, type: source.type, origin });
    this.users[id]!.push(copy);
    this.users.push([]);
    return copy;
  }
}

/** Element `outer * width + i` of a tensor as element `outer * pitch + offset + i` of another, 0 <= i < width. */
export interface Window {
  readonly of: NodeId;
  readonly offset: number;
  readonly width: number;
  readonly pitch: number;
}

/** The pass of nodes that are no op of the spec: their moves of data cost no kernel, fused or not. */
export const ADDED = "schedule";

/** The pass of sums over blocks of rows, which a kernel of these rows can take on its way. */
export const COLUMNS = "columns";

/** Whether a node of a stored tensor is the same memory. */
export function isSameMemory({ op }: Node): boolean {
  return op === "reshape" || op === "stop_gradient" || op === "barrier";
}

/** Elements of 4 bytes at whose multiples a binding may begin on every device (256 bytes). */
export const ALIGNED_ELEMENTS = 64;

/** Elements of a type at whose multiples a binding may begin. */
export function alignedElements(dtype: DType): number {
  return (ALIGNED_ELEMENTS * 4) / elementSizeBytes(dtype);
}

/** Whether a node rounds its input to f16, stored as such or, where that is emulated, as f32. */
export function isRounding(node: Node): boolean {
  return (node.op === "cast" && node.attrs.dtype === "f16") || node.op === "round_f16";
}

function isLeafStorage(node: Node): boolean {
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

/** Reductions of one input over some of its axes. */
export function isReduction(node: Node): node is NodeOf<"sum"> | NodeOf<"reduce_max"> | NodeOf<"logsumexp"> {
  return node.op === "sum" || node.op === "reduce_max" || node.op === "logsumexp";
}

/** Sums, maxima, contractions and scatters: what cannot be computed element by element within a user. */
export function isHero(node: Node): boolean {
  switch (node.op) {
    case "sum":
    case "reduce_max":
    case "logsumexp":
    case "scatter_add":
      return true;
    case "einsum":
      return node.attrs.lhs.some((label) => !node.attrs.out.includes(label));
    default:
      return false;
  }
}
