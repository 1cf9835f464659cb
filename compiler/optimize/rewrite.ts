import {
  type AttrsOf,
  formatOrigin,
  type Graph,
  GraphBuilder,
  invariant,
  type NodeId,
  type OpName,
  type Origin,
  sameType,
} from "../graph/index.ts";
import type { Rewriter, Rule } from "./rule.ts";

/** Far above what a chain of rewrites needs; two rules that undo each other reach it. */
const MAX_DEPTH = 400;

/**
 * A builder whose nodes are simplest form: each is put through the rules as it is made, its inputs having been
 * before. So one walk over a graph, in order, applies all rules everywhere, in time linear in its size.
 */
class SimplifyingBuilder extends GraphBuilder implements Rewriter {
  readonly #rules: ReadonlyMap<OpName, readonly Rule[]>;
  readonly #simplest = new Map<NodeId, NodeId>();
  readonly #uses = new Map<NodeId, number>();
  readonly #applying: string[] = [];

  constructor(origin: Origin, rules: ReadonlyMap<OpName, readonly Rule[]>) {
    super(origin);
    this.#rules = rules;
  }

  override make<K extends OpName>(op: K, inputs: readonly NodeId[], attrs: AttrsOf<K>): NodeId {
    const id = super.make(op, inputs, attrs);
    const known = this.#simplest.get(id);
    if (known !== undefined) return known;
    const simplest = this.#simplify(op, id);
    this.#simplest.set(id, simplest);
    return simplest;
  }

  uses(id: NodeId): number {
    return this.#uses.get(id) ?? 1;
  }

  countUses(id: NodeId, count: number): void {
    this.#uses.set(id, (this.#uses.get(id) ?? 0) + count);
  }

  #simplify(op: OpName, id: NodeId): NodeId {
    for (const rule of this.#rules.get(op) ?? []) {
      this.#applying.push(rule.name);
      invariant(
        this.#applying.length < MAX_DEPTH,
        () => `the rules go round in circles: ${this.#applying.slice(-8).join("; ")}`,
      );
      const result = rule.apply(this, id);
      this.#applying.pop();
      if (result === null || result === id) continue;
      invariant(
        sameType(this.type(result), this.type(id)),
        () => `${rule.name} changes the type of ${op} (${formatOrigin(this.node(id).origin)})`,
      );
      return result;
    }
    return id;
  }
}

/**
 * The graph with every rule applied wherever it can be, equal nodes shared and dead ones gone.
 * Origins: a node that a rule makes has the origin of the node it stands for.
 */
export function rewrite(graph: Graph, rules: readonly Rule[]): Graph {
  const byRoot = new Map<OpName, Rule[]>();
  for (const rule of rules)
    for (const root of rule.roots) {
      const rows = byRoot.get(root);
      if (rows === undefined) byRoot.set(root, [rule]);
      else rows.push(rule);
    }

  const b = new SimplifyingBuilder({ path: "", at: "", label: "", pass: "optimize" }, byRoot);
  const uses = countUses(graph);
  const ids: NodeId[] = [];
  const here = (id: NodeId): NodeId => {
    const copy = ids[id];
    invariant(copy !== undefined, () => `%${id} is used before it is made`);
    return copy;
  };
  for (const node of graph.nodes) {
    const id = b.withOrigin(node.origin, () => b.make(node.op, node.inputs.map(here), node.attrs));
    b.countUses(id, uses[node.id] ?? 0);
    ids.push(id);
  }
  for (const { name, node } of graph.outputs) b.output(name, here(node));
  for (const { state, node } of graph.updates) b.update(state, here(node));
  return b.build();
}

/** For each node how many inputs, outputs and updates refer to it. */
function countUses(graph: Graph): readonly number[] {
  const uses = new Array<number>(graph.nodes.length).fill(0);
  const use = (id: NodeId): void => {
    uses[id] = (uses[id] ?? 0) + 1;
  };
  for (const node of graph.nodes) node.inputs.forEach(use);
  for (const { node } of graph.outputs) use(node);
  for (const { node } of graph.updates) use(node);
  return uses;
}
