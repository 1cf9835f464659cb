import { formatOrigin, GraphError, invariant } from "./errors.ts";
import { ops } from "./ops/index.ts";
import type { Leaves } from "./ops/op-def.ts";
import { formatType, sameType } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import type { Graph, NodeOf, OpName } from "./types.ts";

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
  const values = evaluateNodes(graph, leaves);
  return {
    outputs: new Map(graph.outputs.map(({ name, node }) => [name, values[node]!])),
    updates: new Map(graph.updates.map(({ state, node }) => [state, values[node]!])),
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
