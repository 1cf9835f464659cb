import { formatOrigin, GraphError, invariant } from "./errors.ts";
import { inferType, isOpName } from "./node.ts";
import { formatType, sameType } from "./shape.ts";
import type { Graph, Node, NodeId, TensorType } from "./types.ts";

/**
 * Checks every invariant of a graph: ids are positions and inputs come first, types are what the ops' rules infer,
 * attributes are in range, leaves of one name have one type, states are updated once and by a value of their type,
 * output names differ, every node has an origin.
 * @param after the pass that made the graph, for the message
 * @throws GraphError at the first broken one, with node, origin and pass
 */
export function verify(graph: Graph, after?: string): void {
  const where = after === undefined ? "" : ` after ${after}`;
  const leaves = new Map<string, TensorType>();
  graph.nodes.forEach((node, position) => {
    try {
      verifyNode(graph, node, position);
      verifyLeaf(node, leaves);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      throw new GraphError(
        `invalid graph${where}: %${position} = ${node.op}: ${error.message} (${formatOrigin(node.origin)})`,
      );
    }
  });
  const check = (condition: boolean, text: () => string): void =>
    invariant(condition, () => `invalid graph${where}: ${text()}`);
  const exists = (id: NodeId): boolean => Number.isInteger(id) && id >= 0 && id < graph.nodes.length;
  const seen = new Set<string>();
  for (const { name, node } of graph.outputs) {
    check(exists(node), () => `output ${name} is %${node}, of ${graph.nodes.length} nodes`);
    check(!seen.has(name), () => `two outputs named ${name}`);
    seen.add(name);
  }
  const updated = new Set<string>();
  for (const { state, node } of graph.updates) {
    check(exists(node), () => `update of ${state} is %${node}, of ${graph.nodes.length} nodes`);
    check(!updated.has(state), () => `two updates of state ${state}`);
    updated.add(state);
    const type = leaves.get(`state ${state}`);
    const value = graph.nodes[node]!;
    check(
      type === undefined || sameType(type, value.type),
      () =>
        `state ${state} is ${type && formatType(type)}, its update %${node} is ${formatType(value.type)} (${formatOrigin(value.origin)})`,
    );
  }
}

function verifyNode(graph: Graph, node: Node, position: number): void {
  invariant(isOpName(node.op), () => `no such op`);
  invariant(node.id === position, () => `id ${node.id} at position ${position}`);
  for (const input of node.inputs)
    invariant(
      Number.isInteger(input) && input >= 0 && input < position,
      () => `input %${input} is not before it`,
    );
  invariant(node.origin.pass !== "", () => `no pass in its origin`);
  const types = node.inputs.map((input) => graph.nodes[input]!.type);
  const inferred = inferType(node.op, types, node.attrs, node.origin);
  invariant(
    sameType(inferred, node.type),
    () => `type is ${formatType(node.type)}, should be ${formatType(inferred)}`,
  );
}

/** Leaves of one kind and name are the same thing, so they have one type. */
function verifyLeaf(node: Node, leaves: Map<string, TensorType>): void {
  if (node.op !== "input" && node.op !== "parameter" && node.op !== "state") return;
  const { name } = node.attrs;
  invariant(name !== "", () => `no name`);
  const key = `${node.op} ${name}`;
  const known = leaves.get(key) ?? node.type;
  invariant(
    sameType(known, node.type),
    () => `${key} is ${formatType(known)} elsewhere, here ${formatType(node.type)}`,
  );
  leaves.set(key, known);
}
