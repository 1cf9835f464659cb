import { type Node, type NodeId, type NodeOf, type OpName, ops, type TensorType } from "../graph/index.ts";
import type { Accessor, Expr, KernelBuilder } from "../kernel/index.ts";
import type { WorkGraph } from "./work-graph.ts";

function lowerOp<K extends OpName>(
  b: KernelBuilder,
  node: NodeOf<K>,
  inputs: readonly Accessor[],
  at: readonly Expr[],
  types: readonly TensorType[],
): Expr {
  const { lower } = ops[node.op];
  if (lower === "by schedule") throw new Error(`schedule: ${node.op} has no element-wise form`);
  return lower(b, inputs, at, node, types);
}

/** Elements of nodes as scalar expressions of one builder. Whatever is stored or realized elsewhere becomes a load. */
export class Lowering {
  readonly b: KernelBuilder;
  readonly #work: WorkGraph;
  readonly #realized: ReadonlySet<NodeId>;
  readonly #memo = new Map<NodeId, Map<string, Expr>>();
  /** Answers for nodes that the kernel itself computes; undefined: load it. */
  readonly #own: (id: NodeId, index: Expr, at: readonly Expr[]) => Expr | undefined;

  constructor(
    work: WorkGraph,
    realized: ReadonlySet<NodeId>,
    b: KernelBuilder,
    own: (id: NodeId, index: Expr, at: readonly Expr[]) => Expr | undefined = () => undefined,
  ) {
    this.#work = work;
    this.#realized = realized;
    this.b = b;
    this.#own = own;
  }

  /** Element of node `id` at `at`, one i32 expression an axis. */
  element(id: NodeId, at: readonly Expr[]): Expr {
    const node = this.#work.node(id);
    if (this.#realized.has(id) || this.#work.isStorage(id)) {
      const index = this.b.linearize(at, node.type.shape);
      return this.#own(id, index, at) ?? this.b.load(node.type.dtype, id, index);
    }
    return this.compute(id, at);
  }

  /** The same, computed here even if it is realized. */
  compute(id: NodeId, at: readonly Expr[]): Expr {
    const node = this.#work.node(id);
    let known = this.#memo.get(id);
    if (known === undefined) {
      known = new Map();
      this.#memo.set(id, known);
    }
    const key = at.map((e) => e.id).join(",");
    const before = known.get(key);
    if (before !== undefined) return before;
    const made = this.#lower(node, at);
    known.set(key, made);
    return made;
  }

  /** Forgets what was computed: what the kernel owns has changed its meaning. */
  forget(): void {
    this.#memo.clear();
  }

  #lower(node: Node, at: readonly Expr[]): Expr {
    if (node.op === "view") {
      const index = this.b.addIndex(
        this.b.linearize(at, node.attrs.shape),
        this.b.constant("i32", node.attrs.offset),
      );
      return this.element(node.inputs[0]!, [index]);
    }
    const inputs = node.inputs.map((input) => (index: readonly Expr[]) => this.element(input, index));
    const types = node.inputs.map((input) => this.#work.node(input).type);
    return lowerOp(this.b, node as NodeOf<OpName>, inputs, at, types);
  }
}
