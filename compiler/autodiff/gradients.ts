import { type GraphBuilder, invariant, type NodeId, type NodeOf, type OpName, ops } from "../graph/index.ts";

/**
 * Reverse-mode differentiation, appended to the builder: d objective / d x for each x of `wrt`.
 *
 * Nodes are visited from the objective down, so the cotangents of a node are summed in the order of its users, last
 * made first: the same graph always gives the same sums. Backward nodes carry the origin of the node they
 * differentiate, with pass `autodiff` and label `d_<label>`.
 *
 * @param objective f32 []
 * @param wrt f32 nodes of any shape, leaves or not
 * @returns one node for each of `wrt`, of its shape; zeros where the objective does not depend on it
 * @throws GraphError where a cotangent would have to pass an op without a gradient rule
 * @see Griewank and Walther 2008, "Evaluating Derivatives", 3.2
 */
export function gradients(b: GraphBuilder, objective: NodeId, wrt: readonly NodeId[]): readonly NodeId[] {
  const { dtype, shape } = b.type(objective);
  invariant(dtype === "f32" && shape.length === 0, () => `the objective must be an f32 scalar`);
  for (const id of wrt)
    invariant(b.dtype(id) === "f32", () => `no gradient with respect to %${id}: it is not f32`);

  const active = dependents(b, objective, wrt);
  const cotangents = new Map<NodeId, NodeId>();
  if (active.has(objective))
    cotangents.set(
      objective,
      differential(b, objective, () => b.constant("f32", 1)),
    );
  for (let id = objective; id >= 0; id--) {
    const ct = cotangents.get(id);
    if (ct === undefined) continue;
    const node = b.node(id);
    if (!node.inputs.some((input) => active.has(input))) continue;
    differential(b, id, () => {
      inputCotangents(b, node, ct).forEach((contribution, index) => {
        const input = node.inputs[index]!;
        if (contribution === undefined || !active.has(input)) return;
        const sum = cotangents.get(input);
        cotangents.set(input, sum === undefined ? contribution : b.add(sum, contribution));
      });
    });
  }
  return wrt.map((id) => cotangents.get(id) ?? differential(b, id, () => b.full("f32", 0, b.shape(id))));
}

/** Nodes up to `last` whose f32 value depends on one of `wrt` through f32 values, `wrt` included. */
function dependents(b: GraphBuilder, last: NodeId, wrt: readonly NodeId[]): ReadonlySet<NodeId> {
  const found = new Set<NodeId>(wrt);
  for (let id = 0; id <= last; id++) {
    const { op, type, inputs } = b.node(id);
    if (type.dtype !== "f32" || op === "stop_gradient") continue;
    if (inputs.some((input) => found.has(input))) found.add(id);
  }
  return found;
}

function inputCotangents<K extends OpName>(
  b: GraphBuilder,
  node: NodeOf<K>,
  ct: NodeId,
): readonly (NodeId | undefined)[] {
  const { vjp } = ops[node.op];
  invariant(
    vjp !== "not differentiable",
    () => `${node.op} is not differentiable: %${node.id}, ${node.origin.label}, ${node.origin.at}`,
  );
  return vjp(b, { node, inputs: node.inputs, output: node.id, ct });
}

/** Builds with the origin of the backward of node `id`. */
function differential<T>(b: GraphBuilder, id: NodeId, build: () => T): T {
  const { origin } = b.node(id);
  return b.withOrigin({ ...origin, label: `d_${origin.label}`, pass: "autodiff" }, build);
}
