import { elementCount, type Graph, type GraphBuilder, type NodeOf } from "../graph/index.ts";
import { rewrite } from "./split.ts";

/** Up to so many rows it costs less to read the updates once a row than to find out which of them belong together. */
const FEW_ROWS = 8;

/** The pass of nodes that sum under a mask. */
export const MASKED = "masked sums";

/**
 * Sums of equal indices into a few rows (which segment, which of two classes) as masked sums.
 * In: any verified graph. Out: no scatter_add into `FEW_ROWS` rows or fewer. Keeps: values up to the order of summation;
 * what is not finite stays in its own row, as a mask selects where a product with 0 and 1 would spread it.
 */
export function maskFewRows(graph: Graph): Graph {
  if (!graph.nodes.some((node) => node.op === "scatter_add" && node.attrs.rows <= FEW_ROWS)) return graph;
  return rewrite(graph, (b, node, inputs) => {
    if (node.op !== "scatter_add" || node.attrs.rows > FEW_ROWS) return b.make(node.op, inputs, node.attrs);
    return b.withOrigin({ pass: MASKED }, () => maskedSums(b, node, inputs));
  });
}

/** sum over i of (index(i) = row ? update(i, column) : 0), for every row and column. */
function maskedSums(b: GraphBuilder, node: NodeOf<"scatter_add">, inputs: readonly number[]): number {
  const [updates, indices] = [inputs[0]!, inputs[1]!];
  const items = elementCount(b.shape(indices));
  const columns = elementCount(b.shape(updates)) / items;
  const shape = [node.attrs.rows, items, columns];
  const index = b.broadcast(b.reshape(indices, [items]), shape, [1]);
  const update = b.broadcast(b.reshape(updates, [items, columns]), shape, [1, 2]);
  const masked = b.select(b.eq(index, b.iota(shape, 0)), update, b.fullLike(update, 0));
  return b.reshape(b.sum(masked, [1]), node.type.shape);
}
