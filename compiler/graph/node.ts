import { formatOrigin, GraphError, invariant } from "./errors.ts";
import { ops } from "./ops/index.ts";
import { formatType } from "./shape.ts";
import type { AttrsOf, Node, NodeId, NodeOf, OpName, Origin, TensorType } from "./types.ts";

export function isOpName(name: string): name is OpName {
  return Object.hasOwn(ops, name);
}

/** A node with the given fields, unchecked but for its op. */
export function nodeOf<K extends OpName>(
  op: K,
  id: NodeId,
  inputs: readonly NodeId[],
  attrs: AttrsOf<K>,
  type: TensorType,
  origin: Origin,
): Node {
  const node: NodeOf<OpName> = { op, id, inputs, attrs, type, origin };
  invariant(isNode(node), () => `no op ${op}`);
  return node;
}

/** The signature of `nodeOf` pairs op and attributes, which a generic object literal forgets. */
function isNode(node: NodeOf<OpName>): node is Node {
  return isOpName(node.op);
}

/**
 * Type of an op's output.
 * @throws GraphError with op, input types and origin
 */
export function inferType<K extends OpName>(
  op: K,
  inputs: readonly TensorType[],
  attrs: AttrsOf<K>,
  origin: Origin,
): TensorType {
  try {
    return ops[op].infer(inputs, attrs);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const types = inputs.map(formatType).join(", ");
    throw new GraphError(`${op}(${types}): ${error.message} (${formatOrigin(origin)})`);
  }
}

/** Equal for equal attributes of an op, names in any order. Every node made asks for it. */
export function attributesKey<K extends OpName>(attrs: AttrsOf<K>): string {
  const values: Readonly<Record<string, unknown>> = { ...attrs };
  let key = "";
  for (const name of Object.keys(values).sort()) key += `${name}:${valueKey(values[name])};`;
  return key;
}

/** As JSON, but that it tells -0 from 0, and NaN from the infinities; sizes and axes are whole numbers. */
function valueKey(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return Array.isArray(value) ? value.join() : JSON.stringify(value);
}
