import { elementCount, type Graph, GraphBuilder, type Node, type NodeId } from "../graph/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { ADDED, matmulAxes } from "./work-graph.ts";

/** Reductions longer than this into fewer rows than `FEW_ROWS` would leave most of a device idle. */
const LONG = 8192;
const FEW_ROWS = 64;
/** Invocations that keep a GPU busy. Columns are walked by one invocation each: too few of them are walked in pieces. */
const BUSY = 16_384;
/** A piece of a column shorter than this is hardly worth the partial result that it stores. */
const SHORTEST_PIECE = 32;

/**
 * Splits long reductions in two: first over pieces, then over the pieces' results and the elements left over where the
 * pieces do not fill the length.
 * In: any verified graph. Out: no reduction over neighbouring axes is both long and into few rows, by the measure of the
 * device's class, but for those of `whole`. Keeps: values up to the order of summation.
 */
export function splitLongReductions(
  graph: Graph,
  profile: DeviceProfile,
  whole: { readonly has: (id: NodeId) => boolean },
): Graph {
  const users = usersOf(graph);
  const splits = graph.nodes.map((node) =>
    whole.has(node.id) ? undefined : splitOf(graph, node, users, profile),
  );
  if (splits.every((split) => split === undefined)) return graph;
  return rewrite(graph, (b, node, inputs) => {
    const split = splits[node.id];
    if (split === undefined) return b.make(node.op, inputs, node.attrs);
    return b.withOrigin({ pass: ADDED }, () => reduceInPieces(b, node, inputs[0]!, split));
  });
}

export function usersOf(graph: Graph): readonly (readonly Node[])[] {
  const users: Node[][] = graph.nodes.map(() => []);
  for (const node of graph.nodes) for (const input of node.inputs) users[input]!.push(node);
  return users;
}

/** x as [...outer, length, ...inner], reduced over `length`: `pieces` of `piece` elements each, and the rest. */
interface Split {
  readonly outer: readonly number[];
  readonly length: number;
  readonly inner: readonly number[];
  readonly pieces: number;
  readonly piece: number;
}

function reduceInPieces(b: GraphBuilder, node: Node, x: NodeId, split: Split): NodeId {
  const { outer, length, inner, pieces, piece } = split;
  const axis = outer.length;
  const reduce = (y: NodeId, over: number) => (node.op === "sum" ? b.sum(y, [over]) : b.reduceMax(y, [over]));
  const flat = b.reshape(x, [...outer, length, ...inner]);
  const part = (start: number, end: number) =>
    b.slice(flat, [...outer.map(() => 0), start, ...inner.map(() => 0)], [...outer, end, ...inner]);
  const covered = pieces * piece;
  const partial = reduce(b.reshape(part(0, covered), [...outer, pieces, piece, ...inner]), axis + 1);
  return reduce(covered === length ? partial : b.concat([partial, part(covered, length)], axis), axis);
}

function splitOf(
  graph: Graph,
  node: Node,
  users: readonly (readonly Node[])[],
  profile: DeviceProfile,
): Split | undefined {
  if (node.op !== "sum" && node.op !== "reduce_max") return undefined;
  const { shape } = graph.nodes[node.inputs[0]!]!.type;
  const { axes } = node.attrs;
  const [first, last] = [axes[0]!, axes.at(-1)!];
  if (last - first !== axes.length - 1) return undefined;
  const [outer, inner] = [shape.slice(0, first), shape.slice(last + 1)];
  const length = elementCount(shape.slice(first, last + 1));
  const rows = elementCount(outer) * elementCount(inner);
  const inRow = elementCount(inner) === 1;
  if (length >= LONG && rows < FEW_ROWS) {
    // Pieces near the square root, yet never so many that their results are long again.
    const least = Math.max(Math.ceil(Math.sqrt(length)), Math.ceil((2 * length) / LONG));
    return { outer, length, inner, ...choosePieces(length, least, inRow) };
  }
  if (profile.deviceClass !== "gpu" || inRow || rows >= BUSY || length < 2 * SHORTEST_PIECE) return undefined;
  if (users[node.inputs[0]!]!.some((user) => isSummedByMatmul(node, user))) return undefined;
  const least = Math.max(SHORTEST_PIECE, Math.ceil((length * rows) / BUSY));
  return length < 2 * least ? undefined : { outer, length, inner, ...choosePieces(length, least, inRow) };
}

/**
 * The least piece from `least` on, four times as long at most, that divides the length: the kernel that makes the elements can
 * then reduce them too. Without one, the piece up to a quarter longer that leaves the fewest elements over.
 * @param inRow whether a piece's elements are neighbours: a multiple of four of them can be read as vec4s
 */
function choosePieces(
  length: number,
  least: number,
  inRow: boolean,
): { readonly pieces: number; readonly piece: number } {
  const step = inRow ? 4 : 1;
  const from = Math.ceil(least / step) * step;
  let piece = from;
  const most = Math.min(4 * least, length / 2);
  for (let size = from; size <= most; size += step) {
    if (length % size === 0) return { pieces: length / size, piece: size };
    if (size <= least * 1.25 && length % size < length % piece) piece = size;
  }
  return { pieces: Math.floor(length / piece), piece };
}

/** Whether a contraction has the sum's operand on its right and sums over the same axes: its kernel takes the sum in. */
export function isSummedByMatmul(node: Node, user: Node): boolean {
  if (node.op !== "sum" || user.op !== "einsum" || user.inputs[1] !== node.inputs[0]) return false;
  const { k } = matmulAxes(user)!;
  const summed = node.attrs.axes.map((axis) => user.attrs.rhs[axis]!);
  return summed.length === k.length && summed.every((label) => k.includes(label));
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
export function rewrite(
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
