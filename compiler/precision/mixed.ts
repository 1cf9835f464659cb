import { type Graph, GraphBuilder, type Node, type NodeId, type NodeOf } from "../graph/index.ts";

const PRECISION = { path: "", at: "", label: "half", pass: "precision" };

/**
 * Rounds the operands of every contraction to f16; its products are exact and summed in f32, as tensor cores do it
 * (Micikevicius et al. 2018, arXiv:1710.03740, 3.3). What the schedule then finds to be read through casts alone is stored as f16.
 *
 * A sum that goes over an operand as the contraction does (a bias gradient beside its weight's) reads the rounded values too: it is
 * a contraction with ones, and else the operand would have to be kept twice.
 */
export function mixedPrecision(graph: Graph): Graph {
  return new MixedPrecision(graph).run();
}

class MixedPrecision {
  readonly #graph: Graph;
  readonly #b = new GraphBuilder(PRECISION);
  /** Nodes of the graph as they are now, and rounded, by id. */
  readonly #made: NodeId[] = [];
  readonly #halves = new Map<NodeId, NodeId>();
  /** Node -> the axes, as a text, over which some contraction sums it. */
  readonly #contracted = new Map<NodeId, Set<string>>();
  /** A product with a constant that is contracted, where a sum reads the other factor. */
  readonly #scaled = new Map<NodeId, { readonly of: NodeId; readonly by: number }>();

  constructor(graph: Graph) {
    this.#graph = graph;
    for (const node of graph.nodes) {
      if (!isContraction(node)) continue;
      const { lhs, rhs, out } = node.attrs;
      [lhs, rhs].forEach((labels, i) => {
        const axes = labels.flatMap((label, axis) => (out.includes(label) ? [] : [axis]));
        const known = this.#contracted.get(node.inputs[i]!) ?? new Set();
        this.#contracted.set(node.inputs[i]!, known.add(String(axes)));
      });
    }
    for (const node of graph.nodes) this.#takeOutFactor(node);
  }

  run(): Graph {
    const { nodes, outputs, updates } = this.#graph;
    for (const node of nodes) this.#made.push(this.#b.withOrigin(node.origin, () => this.#make(node)));
    for (const { name, node } of outputs) this.#b.output(name, this.#made[node]!);
    for (const { state, node } of updates) this.#b.update(state, this.#made[node]!);
    return this.#b.build();
  }

  #make(node: Node): NodeId {
    const b = this.#b;
    if (!isContraction(node)) {
      const isRounded = this.#isSummedAlong(node);
      const inputs = node.inputs.map((input) => (isRounded ? this.#half(input) : this.#made[input]!));
      return b.make(node.op, inputs, node.attrs);
    }
    const factors = node.inputs.map((input) => this.#scaled.get(input) ?? { of: input, by: 1 });
    const made = b.make(
      node.op,
      factors.map(({ of }) => this.#half(of)),
      node.attrs,
    );
    const by = factors.reduce((product, factor) => product * factor.by, 1);
    return by === 1 ? made : b.mul(made, b.fullLike(made, by));
  }

  /**
   * `sum(x) c` beside a contraction of `x c`, as it is left of a bias gradient behind dropout: the contraction takes x as well and is
   * multiplied afterwards, so that one rounded tensor serves both.
   */
  #takeOutFactor(node: Node): void {
    if (node.op !== "sum" || node.type.dtype !== "f32") return;
    const of = node.inputs[0]!;
    for (const { id, op, inputs } of this.#graph.nodes) {
      if (op !== "mul" || !inputs.includes(of)) continue;
      const by = this.#constant(inputs[inputs[0] === of ? 1 : 0]!);
      const axes = this.#contracted.get(id);
      if (by === undefined || axes?.has(String(node.attrs.axes)) !== true) continue;
      this.#scaled.set(id, { of, by });
      this.#contracted.set(of, new Set([...(this.#contracted.get(of) ?? []), ...axes]));
    }
  }

  #constant(id: NodeId): number | undefined {
    const node = this.#graph.nodes[id]!;
    if (node.op === "broadcast") return this.#constant(node.inputs[0]!);
    return node.op === "constant" ? node.attrs.value : undefined;
  }

  #isSummedAlong(node: Node): boolean {
    if (node.op !== "sum" || node.type.dtype !== "f32") return false;
    return this.#contracted.get(node.inputs[0]!)?.has(String(node.attrs.axes)) ?? false;
  }

  /** A node's value in f16. Moves of data come after the cast, so that all who read the value moved share it. */
  #half(id: NodeId): NodeId {
    const known = this.#halves.get(id);
    if (known !== undefined) return known;
    const node = this.#graph.nodes[id]!;
    const half = this.#b.withOrigin({ ...node.origin, pass: PRECISION.pass }, () =>
      isMove(node)
        ? this.#b.make(node.op, [this.#half(node.inputs[0]!)], node.attrs)
        : this.#b.cast(this.#made[id]!, "f16"),
    );
    this.#halves.set(id, half);
    return half;
  }
}

/** Sums of products of floats: an einsum that sums nothing is elementwise arithmetic. */
function isContraction(node: Node): node is NodeOf<"einsum"> {
  return (
    node.op === "einsum" &&
    node.type.dtype === "f32" &&
    node.attrs.lhs.some((label) => !node.attrs.out.includes(label))
  );
}

/** Ops whose every element is one of their input's. */
function isMove(node: Node): boolean {
  switch (node.op) {
    case "reshape":
    case "transpose":
    case "broadcast":
    case "stop_gradient":
    case "barrier":
      return true;
    default:
      return false;
  }
}
