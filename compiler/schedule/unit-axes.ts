import { type Graph, GraphBuilder, type Node, type NodeId } from "../graph/index.ts";
import { isElementwiseOp } from "./region.ts";
import { isReduction } from "./work-graph.ts";

/**
 * Elementwise ops, broadcasts and reductions without axes of size 1, reshaped to what their readers expect: one size of batch
 * or sequence must not hide that two tensors have the same elements in the same order.
 * @param isWanted which nodes; the others stay as they are
 * In: any verified graph. Keeps: values, bitwise.
 */
export function dropUnitAxes(graph: Graph, isWanted: (node: Node) => boolean): Graph {
  const hasUnitAxes = ({ type }: Node): boolean => type.shape.includes(1);
  const isNarrowed = (node: Node): boolean => {
    if (!isWanted(isReduction(node) ? graph.nodes[node.inputs[0]!]! : node)) return false;
    return isReduction(node) ? hasUnitAxes(graph.nodes[node.inputs[0]!]!) : hasUnitAxes(node);
  };
  if (!graph.nodes.some(isNarrowed)) return graph;
  const b = new GraphBuilder({ path: "", at: "", label: "unit axes", pass: "schedule" });
  const whole = new Map<NodeId, NodeId>();
  const narrow = new Map<NodeId, NodeId>();
  /** The node without axes of size 1. */
  const narrowed = (id: NodeId): NodeId => {
    let made = narrow.get(id);
    if (made === undefined) {
      made = b.reshape(whole.get(id)!, withoutUnits(graph.nodes[id]!.type.shape));
      narrow.set(id, made);
    }
    return made;
  };
  for (const node of graph.nodes) {
    b.withOrigin(node.origin, () => {
      const input = node.inputs[0];
      const isReshape = node.op === "reshape" && input !== undefined;
      if (
        isReshape &&
        String(withoutUnits(graph.nodes[input]!.type.shape)) === String(withoutUnits(node.type.shape))
      )
        narrow.set(node.id, narrowed(input));
      const made = isNarrowed(node) ? narrowedNode(b, graph, node, narrowed) : undefined;
      if (made !== undefined) narrow.set(node.id, made);
      const found = narrow.get(node.id);
      const { shape } = node.type;
      whole.set(
        node.id,
        found !== undefined && (made !== undefined || isReshape)
          ? b.reshape(found, shape)
          : b.make(
              node.op,
              node.inputs.map((other) => whole.get(other)!),
              node.attrs,
            ),
      );
    });
  }
  for (const { name, node } of graph.outputs) b.output(name, whole.get(node)!);
  for (const { state, node } of graph.updates) b.update(state, whole.get(node)!);
  return b.build();
}

function withoutUnits(shape: readonly number[]): readonly number[] {
  return shape.filter((size) => size !== 1);
}

/** The node over inputs without axes of size 1; undefined for ops that are not elementwise, broadcasts or reductions. */
function narrowedNode(
  b: GraphBuilder,
  graph: Graph,
  node: Node,
  narrowed: (id: NodeId) => NodeId,
): NodeId | undefined {
  /** Where each axis of a shape is when those of size 1 are gone. */
  const places = (shape: readonly number[]) =>
    shape.map((size, axis) => (size === 1 ? -1 : withoutUnits(shape.slice(0, axis)).length));
  if (isReduction(node)) {
    const input = node.inputs[0]!;
    const place = places(graph.nodes[input]!.type.shape);
    const axes = node.attrs.axes.map((axis) => place[axis]!).filter((axis) => axis >= 0);
    return axes.length === 0 ? narrowed(input) : b.make(node.op, [narrowed(input)], { axes });
  }
  const shape = withoutUnits(node.type.shape);
  switch (node.op) {
    case "broadcast": {
      const from = graph.nodes[node.inputs[0]!]!.type.shape;
      const place = places(node.type.shape);
      const axes = node.attrs.axes.filter((_, i) => from[i] !== 1).map((axis) => place[axis]!);
      return axes.includes(-1) ? undefined : b.broadcast(narrowed(node.inputs[0]!), shape, axes);
    }
    case "iota": {
      const axis = places(node.type.shape)[node.attrs.axis]!;
      return axis < 0 ? undefined : b.iota(shape, axis);
    }
    case "uniform":
      // Numbers are drawn by position in row-major order, which stays.
      return b.uniform(narrowed(node.inputs[0]!), shape);
    default: {
      const isAlike = (input: NodeId) => String(graph.nodes[input]!.type.shape) === String(node.type.shape);
      return node.inputs.length > 0 && isElementwiseOp(node) && node.inputs.every(isAlike)
        ? b.make(node.op, node.inputs.map(narrowed), node.attrs)
        : undefined;
    }
  }
}
