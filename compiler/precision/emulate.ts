import { type Graph, GraphBuilder, type Node, type NodeId } from "../graph/index.ts";

/** A graph without f16 that gives the same numbers: what was cast to f16 is rounded and stays f32. */
export function emulateF16(graph: Graph): Graph {
  if (graph.nodes.every(({ type }) => type.dtype !== "f16")) return graph;
  const b = new GraphBuilder({ path: "", at: "", label: "half", pass: "precision" });
  const made: NodeId[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => made[input]!);
    made.push(b.withOrigin(node.origin, () => inF32(b, node, inputs)));
  }
  for (const { name, node } of graph.outputs) b.output(name, made[node]!);
  for (const { state, node } of graph.updates) b.update(state, made[node]!);
  return b.build();
}

function inF32(b: GraphBuilder, node: Node, inputs: readonly NodeId[]): NodeId {
  if (node.type.dtype === "f16") {
    if (node.op === "cast") return b.roundF16(b.cast(inputs[0]!, "f32"));
    if (node.op === "constant") return b.constant("f32", node.attrs.value);
  }
  if (node.op === "cast") return b.cast(inputs[0]!, node.attrs.dtype);
  return b.make(node.op, inputs, node.attrs);
}
