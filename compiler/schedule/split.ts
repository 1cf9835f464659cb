import { elementCount, type Graph, GraphBuilder, type NodeId } from "../graph/index.ts";

/** Reductions longer than this into fewer rows than `FEW_ROWS` would leave most of a device idle. */
const LONG = 8192;
const FEW_ROWS = 64;

/**
 * Splits long reductions over trailing axes into two: first over pieces, then over the pieces' results.
 * In: any verified graph. Out: no trailing reduction of `LONG` or more into fewer than `FEW_ROWS` rows, where its length
 * has a divisor near its square root. Keeps: values up to the order of summation.
 */
export function splitLongReductions(graph: Graph): Graph {
  const isLong = (node: Graph["nodes"][number]): boolean =>
    (node.op === "sum" || node.op === "reduce_max") && splitOf(graph, node.id) !== undefined;
  if (!graph.nodes.some(isLong)) return graph;
  return rewrite(graph, (b, node, inputs) => {
    const split = splitOf(graph, node.id);
    if (split === undefined) return b.make(node.op, inputs, node.attrs);
    const x = b.reshape(inputs[0]!, [...split.rows, split.pieces, split.length]);
    const rank = split.rows.length;
    if (node.op === "sum") return b.sum(b.sum(x, [rank + 1]), [rank]);
    return b.reduceMax(b.reduceMax(x, [rank + 1]), [rank]);
  });
}

/**
 * Splits concatenations of more tensors than one kernel may read into concatenations of concatenations.
 * In: any verified graph. Out: no concat of more than `most` inputs. Keeps: values.
 */
export function splitWideConcats(graph: Graph, most: number): Graph {
  if (!graph.nodes.some((node) => node.op === "concat" && node.inputs.length > most)) return graph;
  return rewrite(graph, (b, node, inputs) => {
    if (node.op !== "concat") return b.make(node.op, inputs, node.attrs);
    let parts = inputs;
    while (parts.length > most) {
      const joined: NodeId[] = [];
      for (let i = 0; i < parts.length; i += most)
        joined.push(b.concat(parts.slice(i, i + most), node.attrs.axis));
      parts = joined;
    }
    return b.concat(parts, node.attrs.axis);
  });
}

/**
 * Splits sums in two: first over the given axes, then over the others.
 * In: any verified graph. Keeps: values up to the order of summation.
 */
export function splitSums(graph: Graph, splits: ReadonlyMap<NodeId, readonly number[]>): Graph {
  return rewrite(graph, (b, node, inputs) => {
    const first = splits.get(node.id);
    if (node.op !== "sum" || first === undefined) return b.make(node.op, inputs, node.attrs);
    const rest = node.attrs.axes.filter((axis) => !first.includes(axis));
    const before = (axis: number) => first.filter((other) => other < axis).length;
    return b.sum(
      b.sum(inputs[0]!, first),
      rest.map((axis) => axis - before(axis)),
    );
  });
}

/** Each node made again by `make`, from its new inputs. */
function rewrite(
  graph: Graph,
  make: (b: GraphBuilder, node: Graph["nodes"][number], inputs: readonly NodeId[]) => NodeId,
): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "split", pass: "schedule" });
  const rebuilt: NodeId[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => rebuilt[id]!);
    rebuilt.push(b.withOrigin(node.origin, () => make(b, node, inputs)));
  }
  for (const { name, node } of graph.outputs) b.output(name, rebuilt[node]!);
  for (const { state, node } of graph.updates) b.update(state, rebuilt[node]!);
  return b.build();
}

function splitOf(
  graph: Graph,
  id: NodeId,
): { readonly rows: readonly number[]; readonly pieces: number; readonly length: number } | undefined {
  const node = graph.nodes[id]!;
  if (node.op !== "sum" && node.op !== "reduce_max") return undefined;
  const { shape } = graph.nodes[node.inputs[0]!]!.type;
  const { axes } = node.attrs;
  const rank = shape.length - axes.length;
  if (axes.some((axis) => axis < rank)) return undefined;
  const rows = shape.slice(0, rank);
  const length = elementCount(shape.slice(rank));
  if (length < LONG || elementCount(rows) >= FEW_ROWS) return undefined;
  // The divisor nearest above the square root, with pieces that vec4 can walk if there are any.
  const root = Math.sqrt(length);
  for (let piece = Math.ceil(root); piece <= root * 16; piece++) {
    if (length % piece === 0 && (piece % 4 === 0 || length % 4 !== 0))
      return { rows, pieces: length / piece, length: piece };
  }
  return undefined;
}
