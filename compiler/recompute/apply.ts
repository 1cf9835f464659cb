import { type Graph, GraphBuilder, type MemoryUse, type Node, type NodeId } from "../graph/index.ts";
import type { Recomputation } from "./types.ts";

/**
 * The graph that computes the values of `again` a second time for whoever reads them after the peak.
 *
 * A second computation reads what was kept through a `barrier`, so that the builder does not share it with the first, and
 * stands right before the first vertex that reads it: schedules follow the order of nodes.
 * In: the graph that `use` is of. Out: the same outputs and updates, bitwise.
 */
export function applyRecomputation(graph: Graph, use: MemoryUse, { peakStep, again }: Recomputation): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "recompute" });
  const steps = new Map(use.vertices.map(({ node, step }) => [node, step]));
  const isEarly = (id: NodeId): boolean => (steps.get(id) ?? Number.POSITIVE_INFINITY) <= peakStep;
  const number = graph.nodes.reduce(
    (n, { op, attrs }) => (op === "barrier" ? Math.max(n, attrs.number + 1) : n),
    0,
  );

  const firstOf = new Map<NodeId, NodeId>();
  const laterOf = new Map<NodeId, NodeId>();
  const secondOf = new Map<NodeId, NodeId>();
  const make = (node: Node, inputs: readonly NodeId[], pass = node.origin.pass): NodeId =>
    b.withOrigin({ ...node.origin, pass }, () => b.make(node.op, inputs, node.attrs));

  /** A node as it is before the peak. */
  const first = (id: NodeId): NodeId =>
    inOrder(
      firstOf,
      id,
      (node) => node.inputs,
      (node) =>
        make(
          node,
          node.inputs.map((input) => firstOf.get(input)!),
        ),
    );
  /** A node as a vertex after the peak reads it. */
  const later = (id: NodeId): NodeId =>
    inOrder(
      laterOf,
      id,
      (node) => (isEarly(node.id) ? [] : node.inputs),
      (node) => {
        if (again.has(node.id)) return second(node.id);
        return isEarly(node.id)
          ? first(node.id)
          : make(
              node,
              node.inputs.map((input) => laterOf.get(input)!),
            );
      },
    );
  /** A node as what is computed again reads it. */
  const second = (id: NodeId): NodeId =>
    inOrder(
      secondOf,
      id,
      (node) => (isEarly(node.id) && !again.has(node.id) ? [] : node.inputs),
      (node) => {
        if (isEarly(node.id) && !again.has(node.id)) {
          const kept = first(node.id);
          return b.withOrigin({ ...node.origin, pass: "recompute" }, () => b.barrier(kept, number));
        }
        const inputs = node.inputs.map((input) => secondOf.get(input)!);
        const isNew = node.inputs.some((input, i) => inputs[i] !== first(input));
        if (isNew) return make(node, inputs, "recompute");
        if (!again.has(node.id)) return first(node.id);
        const [from, ...rest] = inputs;
        return make(node, [b.barrier(from!, number), ...rest], "recompute");
      },
    );
  /** Makes what `id` needs, then `id`; without recursion, as graphs are deep. */
  const inOrder = (
    made: Map<NodeId, NodeId>,
    id: NodeId,
    needs: (node: Node) => readonly NodeId[],
    build: (node: Node) => NodeId,
  ): NodeId => {
    const stack = [id];
    while (stack.length > 0) {
      const node = graph.nodes[stack.at(-1)!]!;
      if (!made.has(node.id)) {
        const missing = needs(node).filter((input) => !made.has(input));
        if (missing.length > 0) {
          stack.push(...missing.reverse());
          continue;
        }
        made.set(node.id, build(node));
      }
      stack.pop();
    }
    return made.get(id)!;
  };

  for (const { id } of graph.nodes) {
    if (!steps.has(id)) continue;
    if (isEarly(id)) first(id);
    else later(id);
  }
  for (const { name, node } of graph.outputs) b.output(name, later(node));
  for (const { state, node } of graph.updates) b.update(state, later(node));
  return b.build();
}
