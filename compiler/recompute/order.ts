import { type Graph, GraphBuilder, type MemoryUse, type NodeId, type PlannedVertex } from "../graph/index.ts";

/** A vertex this much smaller than one that it reads is made as soon as it can be: the other need not wait for it. */
const MUCH_SMALLER = 4;

/**
 * The same graph with its nodes in another order, which schedules follow: what takes no memory of its own, a gradient with its fixed
 * place for instance, or much less than what it reads, comes right behind the last vertex that it reads. So what it reads is not
 * kept for it.
 * In: the graph that `use` is of. Out: the same nodes, outputs and updates.
 */
export function orderForMemory(graph: Graph, use: MemoryUse): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "recompute" });
  const rebuilt = new Map<NodeId, NodeId>();
  const make = (id: NodeId): NodeId => {
    const stack = [id];
    while (stack.length > 0) {
      const node = graph.nodes[stack.at(-1)!]!;
      const missing = rebuilt.has(node.id) ? [] : node.inputs.filter((input) => !rebuilt.has(input));
      if (missing.length > 0) {
        stack.push(...missing.reverse());
        continue;
      }
      stack.pop();
      if (rebuilt.has(node.id)) continue;
      const inputs = node.inputs.map((input) => rebuilt.get(input)!);
      rebuilt.set(
        node.id,
        b.withOrigin(node.origin, () => b.make(node.op, inputs, node.attrs)),
      );
    }
    return rebuilt.get(id)!;
  };

  const own = use.vertices.filter(({ node }) => node < graph.nodes.length);
  const vertices = new Map(own.map((vertex) => [vertex.node, vertex]));
  const readers = new Map<NodeId, PlannedVertex[]>();
  for (const vertex of own) {
    for (const source of vertex.sources) {
      const list = readers.get(source);
      if (list === undefined) readers.set(source, [vertex]);
      else list.push(vertex);
    }
  }
  const isSoon = ({ place, sizeBytes, sources }: PlannedVertex): boolean => {
    const largest = Math.max(0, ...sources.map((id) => bytesOf(vertices.get(id))));
    return place === "fixed" || sizeBytes * MUCH_SMALLER <= largest;
  };
  const placed = new Set<NodeId>();
  for (const { node } of own) {
    const waiting = [node];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (placed.has(next)) continue;
      make(next);
      placed.add(next);
      for (const reader of readers.get(next) ?? []) {
        const isReady = reader.sources.every((source) => placed.has(source) || !vertices.has(source));
        if (isReady && isSoon(reader)) waiting.push(reader.node);
      }
    }
  }
  for (const { name, node } of graph.outputs) b.output(name, make(node));
  for (const { state, node } of graph.updates) b.update(state, make(node));
  return b.build();
}

function bytesOf(vertex: PlannedVertex | undefined): number {
  return vertex?.place === "arena" ? vertex.sizeBytes : 0;
}
