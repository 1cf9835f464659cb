import { elementCount, type Graph, GraphBuilder, type Node, type NodeId } from "../graph/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { isSummedByMatmul, usersOf } from "./split.ts";
import { ADDED, COLUMNS, isHero, isReduction, isSameMemory, type WorkGraph } from "./work-graph.ts";

/**
 * Rows of a block: at least so many that the blocks' sums, which are stored and read again, are a quarter of one tensor of
 * rows that is read once less; at most so many that a block stays a small part of the work.
 */
const SHORTEST_BLOCK = 8;
const LONGEST_BLOCK = 32;
/** Blocks that keep a processor busy: invocations come in workgroups of 4, of which each core wants several. */
const BLOCKS_OF_PROCESSOR = 64;
/** A block is one workgroup of a GPU, a few invocations for short rows. Below these numbers two kernels with all rows at once fill it better. */
const BLOCKS_OF_GPU = 256;
const BUSY_GPU = 16_384;
/** Reductions of rows near a sum that are looked at: one that shares its sources is hardly ever further off. */
const NEAREST = 4;
/** Sources of a sum that are looked at: those made last. Along a residual stream there is no end of them. */
const MOST_SOURCES = 8;

/** How a sum down columns is made in blocks of rows: element `block * length + column`. */
export interface ColumnBlocks {
  readonly blocks: number;
  /** Rows in each block; the last may have fewer. */
  readonly rows: number;
  readonly length: number;
}

/** Of a node that {@link sumColumnsInBlocks} made; undefined for any other. */
export function columnBlocksOf(work: WorkGraph, id: NodeId): ColumnBlocks | undefined {
  const node = work.node(id);
  if (node.op !== "sum" || node.origin.pass !== COLUMNS) return undefined;
  const [blocks, rows, length] = work.node(node.inputs[0]!).type.shape;
  return { blocks: blocks!, rows: rows!, length: length! };
}

/**
 * Makes sums down the columns of rows in two steps, first over blocks of rows, then over the blocks in their order, where
 * a reduction along the same rows reads the same tensors at about the same time: the gradients of a normalisation's scale and shift,
 * and of a bias before it. A kernel of the rows can then take the first step on its way (`fuse.ts`), and reads for both. What one
 * kernel is likely to sum is put together into one tensor, which takes one binding and one kernel for the second step.
 * In: any verified graph. Out: the reductions come before the sums, so that their kernel is there to join. Keeps: values up to the
 * order of summation.
 * @param isTaken what another kernel computes on its way
 */
export function sumColumnsInBlocks(
  graph: Graph,
  profile: DeviceProfile,
  isTaken: (id: NodeId) => boolean,
): Graph {
  const families = findFamilies(graph, profile, isTaken);
  if (families.length === 0) return graph;
  const familyOf = new Map(families.flatMap((family) => family.sums.map((sum) => [sum, family] as const)));
  const b = new GraphBuilder({ path: "", at: "", label: "columns", pass: ADDED });
  const made: (NodeId | undefined)[] = graph.nodes.map(() => undefined);
  const make = (id: NodeId): NodeId => {
    const family = familyOf.get(id);
    if (made[id] === undefined && family !== undefined) makeFamily(family);
    const known = made[id];
    if (known !== undefined) return known;
    const node = graph.nodes[id]!;
    const inputs = node.inputs.map(make);
    const own = b.withOrigin(node.origin, () => b.make(node.op, inputs, node.attrs));
    made[id] = own;
    return own;
  };
  const makeFamily = ({ sums, beside, blocks }: Family): void => {
    beside.forEach(make);
    const nodes = sums.map((sum) => graph.nodes[sum]!);
    const terms = nodes.map((node) => make(node.inputs[0]!));
    const partial = nodes.map(({ origin }, i) =>
      b.withOrigin({ ...origin, pass: COLUMNS }, () => sumInBlocks(b, terms[i]!, blocks)),
    );
    const all = b.withOrigin({ ...nodes[0]!.origin, pass: ADDED }, () => b.concat(partial, 0));
    nodes.forEach(({ id, origin, type }, i) => {
      const own = b.withOrigin({ ...origin, pass: ADDED }, () =>
        b.slice(all, [i * blocks.blocks, 0], [(i + 1) * blocks.blocks, blocks.length]),
      );
      made[id] = b.withOrigin(origin, () => b.reshape(b.sum(own, [0]), type.shape));
    });
  };
  for (const { id } of graph.nodes) make(id);
  for (const { name, node } of graph.outputs) b.output(name, make(node));
  for (const { state, node } of graph.updates) b.update(state, make(node));
  return b.build();
}

/** x as rows of `length` elements, summed in blocks: [blocks, length]. */
function sumInBlocks(b: GraphBuilder, x: NodeId, { blocks, rows, length }: ColumnBlocks): NodeId {
  const count = elementCount(b.shape(x)) / length;
  const whole = b.withOrigin({ pass: ADDED }, () => {
    const padded = b.pad(b.reshape(x, [count, length]), [0, 0], [blocks * rows - count, 0]);
    return b.reshape(padded, [blocks, rows, length]);
  });
  return b.sum(whole, [1]);
}

/** Rows of neighbouring elements: what a reduction along them and a sum down their columns have in common. */
interface Rows {
  readonly rows: number;
  readonly length: number;
}

/** Sums down the columns of the same rows that one kernel of these rows can take. */
interface Family {
  /** Ascending. */
  readonly sums: NodeId[];
  /** Reductions along the rows. */
  readonly beside: Set<NodeId>;
  readonly key: string;
  readonly blocks: ColumnBlocks;
}

function findFamilies(
  graph: Graph,
  profile: DeviceProfile,
  isTaken: (id: NodeId) => boolean,
): readonly Family[] {
  const users = usersOf(graph);
  const sums = graph.nodes.flatMap((node) => {
    const rows = rowsOf(graph, node, "down");
    const blocks = rows && chooseBlocks(rows, profile);
    if (blocks === undefined || isTaken(node.id) || node.type.dtype !== "f32") return [];
    if (users[node.inputs[0]!]!.some((user) => isSummedByMatmul(node, user))) return [];
    return [{ node, blocks, key: `${rows!.rows}x${rows!.length}` }];
  });
  if (sums.length === 0) return [];
  const wanted = new Set(sums.map(({ key }) => key));
  const keyOf = (id: NodeId): string | undefined => {
    const rows = rowsOf(graph, graph.nodes[id]!, "along");
    return rows && `${rows.rows}x${rows.length}`;
  };
  const known = new Map<NodeId, ReadonlySet<NodeId>>();
  const sources = (id: NodeId): ReadonlySet<NodeId> => {
    const found = known.get(id) ?? sourcesOf(graph, graph.nodes[id]!.inputs[0]!);
    known.set(id, found);
    return found;
  };
  /** Reductions along rows by what they read, element by element. */
  const reading = new Map<string, NodeId[]>();
  for (const { id } of graph.nodes) {
    const key = keyOf(id);
    if (key === undefined || !wanted.has(key) || isTaken(id)) continue;
    for (const source of sources(id)) {
      const place = `${source} ${key}`;
      const list = reading.get(place);
      if (list === undefined) reading.set(place, [id]);
      else list.push(id);
    }
  }
  const families: Family[] = [];
  for (const { node, blocks, key } of sums) {
    const isOfRows = (id: NodeId): boolean => keyOf(id) === key;
    const own = sources(node.id);
    const found = new Set([...own].flatMap((source) => reading.get(`${source} ${key}`) ?? []));
    const nearest = [...found]
      .sort((x, y) => Math.abs(x - node.id) - Math.abs(y - node.id))
      .slice(0, NEAREST);
    const beside = nearest.find((id) =>
      id < node.id ? isMadeAlong(graph, node.id, id, isOfRows) : isReadyAt(graph, id, node.id, isOfRows),
    );
    if (beside === undefined) continue;
    const family = families.slice(-NEAREST).findLast((other) => {
      const first = other.sums[0]!;
      const isReady = (id: NodeId): boolean => isReadyAt(graph, id, first, isOfRows);
      if (other.key !== key || !isReady(beside) || !isReady(node.inputs[0]!)) return false;
      return [...own].some((source) => sources(first).has(source));
    });
    if (family === undefined) families.push({ sums: [node.id], beside: new Set([beside]), key, blocks });
    else {
      family.sums.push(node.id);
      family.beside.add(beside);
    }
  }
  return families;
}

/** The rows of a reduction along them, or of a sum down their columns. */
function rowsOf(graph: Graph, node: Node, direction: "along" | "down"): Rows | undefined {
  if (!isReduction(node) || (direction === "down" && node.op !== "sum")) return undefined;
  const { shape } = graph.nodes[node.inputs[0]!]!.type;
  const { axes } = node.attrs;
  const first = direction === "down" ? 0 : shape.length - axes.length;
  if (axes.some((axis, i) => axis !== first + i)) return undefined;
  const cut = direction === "down" ? axes.length : first;
  const [rows, length] = [elementCount(shape.slice(0, cut)), elementCount(shape.slice(cut))];
  return rows === 1 || length === 1 ? undefined : { rows, length };
}

function chooseBlocks({ rows, length }: Rows, profile: DeviceProfile): ColumnBlocks | undefined {
  const least =
    profile.deviceClass === "software"
      ? BLOCKS_OF_PROCESSOR
      : Math.max(BLOCKS_OF_GPU, BUSY_GPU / Math.min(256, Math.ceil(length / 4)));
  const inBlock = Math.min(LONGEST_BLOCK, Math.floor(rows / least));
  return inBlock < SHORTEST_BLOCK ? undefined : { blocks: Math.ceil(rows / inBlock), rows: inBlock, length };
}

/** Tensors of as many elements as node `id`, of which it is made element by element: the `MOST_SOURCES` made last. */
function sourcesOf(graph: Graph, id: NodeId): ReadonlySet<NodeId> {
  const count = countOf(graph, id);
  const found = new Set<NodeId>();
  const ahead = new Set([id]);
  while (ahead.size > 0 && found.size < MOST_SOURCES) {
    let at = -1;
    for (const next of ahead) at = Math.max(at, next);
    ahead.delete(at);
    const node = graph.nodes[at]!;
    if (node.op === "broadcast" || node.op === "constant" || node.op === "iota") continue;
    if (!staysInPlace(node)) found.add(at);
    else for (const input of node.inputs) if (countOf(graph, input) === count) ahead.add(input);
  }
  return found;
}

function countOf(graph: Graph, id: NodeId): number {
  return elementCount(graph.nodes[id]!.type.shape);
}

/** Whether each element is made of those at the same place, or of one of its row's or column's. */
function staysInPlace(node: Node): boolean {
  switch (node.op) {
    case "input":
    case "parameter":
    case "state":
    case "view":
    case "pack":
    case "transpose":
    case "slice":
    case "pad":
    case "concat":
    case "take":
    case "einsum":
      return false;
    default:
      return !isHero(node) || isSameMemory(node);
  }
}

/** Whether all that stands between `from` and the later `to`, which may need it, is of the same rows: one kernel can make both. */
function isMadeAlong(graph: Graph, to: NodeId, from: NodeId, isOfRows: (id: NodeId) => boolean): boolean {
  const needing = new Set([from]);
  for (let id = from + 1; id < to; id++)
    if (graph.nodes[id]!.inputs.some((input) => needing.has(input))) needing.add(id);
  const seen = new Set<NodeId>();
  const isAlong = (id: NodeId): boolean => {
    if (!needing.has(id) || seen.has(id)) return true;
    seen.add(id);
    const node = graph.nodes[id]!;
    return (isOfRows(id) || staysInPlace(node)) && node.inputs.every(isAlong);
  };
  return graph.nodes[to]!.inputs.every(isAlong);
}

/** Whether node `id` does not need the earlier `at`, and of what comes after that nothing but elements and rows like its own. */
function isReadyAt(graph: Graph, id: NodeId, at: NodeId, isOfRows: (id: NodeId) => boolean): boolean {
  const seen = new Set<NodeId>();
  const isReady = (next: NodeId): boolean => {
    if (next === at) return false;
    if (next < at || seen.has(next)) return true;
    seen.add(next);
    const node = graph.nodes[next]!;
    const isLeaf = node.inputs.length === 0;
    return isLeaf || ((isOfRows(next) || staysInPlace(node)) && node.inputs.every(isReady));
  };
  return isReady(id);
}
