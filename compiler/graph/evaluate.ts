import { formatOrigin, GraphError, invariant } from "./errors.ts";
import { ops } from "./ops/index.ts";
import type { Leaves } from "./ops/op-def.ts";
import { formatType, sameType } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import type { Graph, NodeId, NodeOf, OpName } from "./types.ts";

export interface Evaluation {
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** New values of the states that the graph updates. */
  readonly updates: ReadonlyMap<string, Tensor>;
}

/**
 * The reference meaning of a graph, in float64.
 * @throws GraphError where a leaf has no value or one of another type, or an index is out of range
 */
export function evaluate(graph: Graph, leaves: Leaves): Evaluation {
  const results = [...graph.outputs, ...graph.updates].map(({ node }) => node);
  const lastUse = new Map<NodeId, NodeId>();
  for (const { id, inputs } of graph.nodes) for (const input of inputs) lastUse.set(input, id);
  for (const id of results) lastUse.set(id, Number.POSITIVE_INFINITY);
  const values = new Map<NodeId, Tensor>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => values.get(id)!);
    values.set(node.id, evaluateNode(node, inputs, leaves));
    // A training step's values together can exceed memory.
    for (const id of [...node.inputs, node.id]) if ((lastUse.get(id) ?? 0) <= node.id) values.delete(id);
  }
  return {
    outputs: new Map(graph.outputs.map(({ name, node }) => [name, values.get(node)!])),
    updates: new Map(graph.updates.map(({ state, node }) => [state, values.get(node)!])),
  };
}

/** The value of every node, by id. */
export function evaluateNodes(graph: Graph, leaves: Leaves): readonly Tensor[] {
  const values: Tensor[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => values[id]!);
    values.push(evaluateNode(node, inputs, leaves));
  }
  return values;
}

/** The value of one node from those of its inputs. */
export function evaluateNode<K extends OpName>(
  node: NodeOf<K>,
  inputs: readonly Tensor[],
  leaves: Leaves,
): Tensor {
  try {
    const value = ops[node.op].evaluate(inputs, node, leaves);
    invariant(sameType(value, node.type), () => `the value is ${formatType(value)}`);
    return value;
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    throw new GraphError(`%${node.id} = ${node.op}: ${error.message} (${formatOrigin(node.origin)})`);
  }
}
