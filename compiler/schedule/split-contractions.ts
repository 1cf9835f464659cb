import {
  elementCount,
  type Graph,
  type GraphBuilder,
  type Node,
  type NodeId,
  type NodeOf,
} from "../graph/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { isSummedByMatmul, rewrite, usersOf } from "./split.ts";
import { FILLING_WORKGROUPS } from "./tile.ts";
import { ADDED, matmulAxes } from "./work-graph.ts";

/** Rows and columns of the smallest block that a GPU's workgroup computes. */
const BLOCK = 32;
/** A shorter contraction is over before a second dispatch, which adds the pieces, has begun. */
const LONG = 512;
/** Pieces shorter than this store more partial results than they save time. */
const SHORTEST_PIECE = 64;

/**
 * Splits contractions that are long and have a result too small to fill a GPU with its blocks ("split-K"): every piece
 * of the contracted axis by itself, as one more batch axis, then the sum of the pieces, always in the same order. The
 * gradient of a weight is one: few features, all tokens of the batch. A sum of the right operand over the same axes, which
 * the contraction's kernel takes in, is split alike.
 *
 * In: any verified graph. Out: on a GPU, contractions whose results alone would keep few of its cores busy have pieces.
 * Keeps: values up to the order of summation. Leaves those of `whole`, which are no kernels of their own.
 */
export function splitContractions(
  graph: Graph,
  profile: DeviceProfile,
  whole: (id: NodeId) => boolean,
): Graph {
  if (profile.deviceClass !== "gpu") return graph;
  const splits = new Map<NodeId, Pieces>();
  for (const node of graph.nodes) {
    const pieces = node.op === "einsum" && !whole(node.id) ? piecesOf(graph, node) : undefined;
    if (pieces !== undefined) splits.set(node.id, pieces);
  }
  if (splits.size === 0) return graph;
  const users = usersOf(graph);
  const sums = new Map<NodeId, { readonly axis: number; readonly pieces: number }>();
  for (const node of graph.nodes) {
    if (node.op !== "sum") continue;
    const matmul = users[node.inputs[0]!]!.find(
      (user) => isSummedByMatmul(node, user) && splits.has(user.id),
    );
    if (matmul?.op !== "einsum") continue;
    const { label, pieces } = splits.get(matmul.id)!;
    sums.set(node.id, { axis: matmul.attrs.rhs.indexOf(label), pieces });
  }
  return rewrite(graph, (b, node, inputs) => {
    const split = splits.get(node.id);
    if (split !== undefined && node.op === "einsum")
      return b.withOrigin({ pass: ADDED }, () => contractInPieces(b, node, inputs, split));
    const sum = sums.get(node.id);
    if (sum !== undefined && node.op === "sum")
      return b.withOrigin({ pass: ADDED }, () => sumInPieces(b, node, inputs[0]!, sum));
    return b.make(node.op, inputs, node.attrs);
  });
}

/** The contracted axis `label`, of so many pieces. */
interface Pieces {
  readonly label: number;
  readonly pieces: number;
}

function piecesOf(graph: Graph, node: NodeOf<"einsum">): Pieces | undefined {
  const { batch, m, n, k } = matmulAxes(node)!;
  const { lhs, rhs } = node.attrs;
  const [left, right] = node.inputs.map((input) => graph.nodes[input]!.type.shape);
  const sizeOf = (label: number): number =>
    lhs.includes(label) ? left![lhs.indexOf(label)]! : right![rhs.indexOf(label)]!;
  const extent = (labels: readonly number[]) => elementCount(labels.map(sizeOf));
  const blocks = extent(batch) * Math.ceil(extent(m) / BLOCK) * Math.ceil(extent(n) / BLOCK);
  const length = extent(k);
  if (length < LONG || 2 * blocks > FILLING_WORKGROUPS || m.length === 0 || n.length === 0) return undefined;
  const most = Math.floor(length / SHORTEST_PIECE);
  const wanted = Math.min(most, Math.ceil(FILLING_WORKGROUPS / blocks));
  // The outermost axis of the left operand first: its pieces are whole rows.
  let best: Pieces | undefined;
  for (const label of k)
    for (let pieces = 2; pieces <= Math.min(most, sizeOf(label)); pieces++) {
      if (sizeOf(label) % pieces !== 0) continue;
      if (best === undefined || (best.pieces < wanted && pieces > best.pieces)) best = { label, pieces };
      else if (pieces >= wanted && pieces < best.pieces) best = { label, pieces };
    }
  return best;
}

/** Axis `axis` as two: pieces, and what lies in one. As it is, where each of its elements is a piece. */
function inPieces(b: GraphBuilder, x: NodeId, axis: number, pieces: number): NodeId {
  const shape = b.shape(x);
  const size = shape[axis]!;
  if (size === pieces) return x;
  return b.reshape(x, [...shape.slice(0, axis), pieces, size / pieces, ...shape.slice(axis + 1)]);
}

function contractInPieces(
  b: GraphBuilder,
  node: NodeOf<"einsum">,
  [left, right]: readonly NodeId[],
  { label, pieces }: Pieces,
): NodeId {
  const { lhs, rhs, out } = node.attrs;
  const isWhole = b.shape(left!)[lhs.indexOf(label)] === pieces;
  const piece = isWhole ? label : Math.max(...lhs, ...rhs) + 1;
  const split = (labels: readonly number[]) =>
    isWhole ? labels : labels.flatMap((each) => (each === label ? [piece, label] : [each]));
  const partial = b.einsum(
    inPieces(b, left!, lhs.indexOf(label), pieces),
    inPieces(b, right!, rhs.indexOf(label), pieces),
    { lhs: split(lhs), rhs: split(rhs), out: [piece, ...out] },
  );
  return b.sum(partial, [0]);
}

function sumInPieces(
  b: GraphBuilder,
  node: Node & { readonly op: "sum" },
  x: NodeId,
  { axis, pieces }: { readonly axis: number; readonly pieces: number },
): NodeId {
  const isWhole = b.shape(x)[axis] === pieces;
  // Axes behind the split one move by one; of the two that it becomes, the second is summed first.
  const inner = node.attrs.axes.flatMap((each) => {
    if (each < axis) return [each];
    if (each === axis) return isWhole ? [] : [axis + 1];
    return [isWhole ? each : each + 1];
  });
  const first =
    inner.length === 0 ? inPieces(b, x, axis, pieces) : b.sum(inPieces(b, x, axis, pieces), inner);
  return b.sum(first, [axis - inner.filter((each) => each < axis).length]);
}
