import type { NodeId, NodeOf } from "../graph/index.ts";
import { isMovement } from "./realize.ts";
import { growRegion, type Region, sidesOf } from "./region.ts";
import { isHero, isReduction, matmulAxes, type WorkGraph } from "./work-graph.ts";

/**
 * Contractions whose result is never stored. `scores` are contractions of one shape, read element by element; what is made of
 * them is only ever reduced or contracted again along one side. Kernels that walk that side recompute the scores in
 * blocks: attention with any change of its scores, forward and backward (Dao et al. 2022, arXiv:2205.14135).
 */
export interface StreamRegion {
  readonly shape: readonly number[];
  readonly scores: ReadonlySet<NodeId>;
  /** Axes of the scores, by position: of both operands, of the left alone, of the right alone. */
  readonly axes: {
    readonly batch: readonly number[];
    readonly m: readonly number[];
    readonly n: readonly number[];
  };
}

/** What leaves a region: a reduction over one side of the scores, or a contraction over it with another tensor. */
export interface StreamSink {
  readonly region: StreamRegion;
  /** What is walked and summed over: a side, or `over`, some of the axes that both operands have. */
  readonly stream: "m" | "n" | "batch";
  readonly over: readonly number[];
  /** The operand that lies in the region. */
  readonly input: NodeId;
}

export interface Streams {
  readonly sinks: ReadonlyMap<NodeId, StreamSink>;
  readonly scores: ReadonlySet<NodeId>;
  /** Nodes computed inside kernels alone, never stored. */
  readonly interior: ReadonlySet<NodeId>;
  /** Sums over a side and more, by the axes of that side: summed over those first, their region could be walked. */
  readonly splits: ReadonlyMap<NodeId, readonly number[]>;
}

export const NO_STREAMS: Streams = {
  sinks: new Map(),
  scores: new Set(),
  interior: new Set(),
  splits: new Map(),
};

/** Each block of scores is contracted anew by every kernel that needs it: only short contractions are worth it. */
const LONGEST_SCORE = 128;
/** An invocation holds a row block of each sum, so they must be narrow. */
const WIDEST_SUM = 128;
const NARROWEST_SIDE = 4;

type Einsum = NodeOf<"einsum">;

export function findStreams(work: WorkGraph, maxBindings: number): Streams {
  const sinks = new Map<NodeId, StreamSink>();
  const scores = new Set<NodeId>();
  const interior = new Set<NodeId>();
  const splits = new Map<NodeId, readonly number[]>();
  const seen = new Set<NodeId>();
  for (const node of work.nodes) {
    if (node.op !== "einsum" || seen.has(node.id) || !isScore(work, node)) continue;
    const found = growRegion(work, node, (other) => isScore(work, other));
    for (const id of found.scores) seen.add(id);
    if (found.escapes) continue;
    if (
      [found.scores, found.members, found.sinks.keys()].some((ids) =>
        [...ids].some((id) => work.apart.has(id)),
      )
    )
      continue;
    const region: StreamRegion = {
      shape: node.type.shape,
      scores: found.scores,
      axes: sidesOf(node),
    };
    const own = [...found.sinks].map(([id, input]) => [id, sinkOf(work, region, id, input, found)] as const);
    // Without a normalizer the scores are read once, finished, by a contraction: a matmul's epilogue stores them as well.
    const isNormalized = own.some(([id]) => work.node(id).op === "logsumexp");
    if (!isNormalized && !readsNormalizer(work, region, found)) continue;
    if (own.some(([, sink]) => sink === undefined)) {
      for (const [id, sink] of own) {
        const axes = sink === undefined ? sideWithin(work, region, id) : undefined;
        if (axes !== undefined) splits.set(id, axes);
      }
      continue;
    }
    if (own.some(([id]) => readsOf(work, id, found).size > maxBindings - 2)) continue;
    for (const [id, sink] of own) sinks.set(id, sink!);
    for (const id of found.scores) scores.add(id);
    for (const id of found.members) interior.add(id);
  }
  return { sinks, scores, interior, splits };
}

/** Whether a region's scores are computed a second time: their normalizer is that of other scores of their shape, kept. */
function readsNormalizer(work: WorkGraph, { shape }: StreamRegion, { members }: Region): boolean {
  const isNormalizer = (id: NodeId): boolean => {
    const node = work.node(id);
    if (isMovement(node)) return node.inputs.length === 1 && isNormalizer(node.inputs[0]!);
    return node.op === "logsumexp" && String(work.node(node.inputs[0]!).type.shape) === String(shape);
  };
  return [...members].some((member) =>
    work.node(member).inputs.some((input) => !members.has(input) && isNormalizer(input)),
  );
}

/** A side all of whose axes a sum goes over, and over others too. */
function sideWithin(
  work: WorkGraph,
  { axes, shape }: StreamRegion,
  id: NodeId,
): readonly number[] | undefined {
  const node = work.node(id);
  if (node.op !== "sum") return undefined;
  const wide = (list: readonly number[]) => list.filter((axis) => shape[axis] !== 1);
  const summed = wide(node.attrs.axes);
  return [wide(axes.n), wide(axes.m)].find(
    (side) => side.length < summed.length && side.every((axis) => summed.includes(axis)),
  );
}

function isScore(work: WorkGraph, node: Einsum): boolean {
  if (!isHero(node) || node.type.dtype !== "f32" || work.isRequired(node.id)) return false;
  const { batch, m, n, k } = matmulAxes(node)!;
  // Without axes that both operands have it is one large matrix, a decoder's logits: contracting all of it two times more takes
  // longer than reading it (SwiftShader: a step of bert-small 1.5 to 3 times).
  if (batch.length === 0) return false;
  const size = (labels: readonly number[]): number =>
    labels.reduce((total, label) => total * sizeOfLabel(work, node, label), 1);
  return size(k) <= LONGEST_SCORE && size(m) >= NARROWEST_SIDE && size(n) >= NARROWEST_SIDE;
}

function sizeOfLabel(work: WorkGraph, node: Einsum, label: number): number {
  const [lhs, rhs] = node.inputs;
  const { attrs } = node;
  const at = attrs.lhs.indexOf(label);
  return at >= 0 ? work.node(lhs!).type.shape[at]! : work.node(rhs!).type.shape[attrs.rhs.indexOf(label)]!;
}

function sinkOf(
  work: WorkGraph,
  region: StreamRegion,
  id: NodeId,
  input: NodeId,
  { members, scores }: Region,
): StreamSink | undefined {
  const node = work.node(id);
  const isInside = (other: NodeId) => members.has(other) || scores.has(other);
  const side = (axes: readonly number[]): "m" | "n" | undefined => {
    const wide = (list: readonly number[]) =>
      String(list.filter((axis) => region.shape[axis] !== 1).sort((a, b) => a - b));
    return (["m", "n"] as const).find((name) => wide(region.axes[name]) === wide(axes));
  };
  if (isReduction(node)) {
    const { axes } = node.attrs;
    if (node.op === "reduce_max" || node.type.dtype !== "f32") return undefined;
    const stream = side(axes);
    if (stream !== undefined) return { region, stream, over: axes, input };
    const isBatch = node.op === "sum" && axes.every((axis) => region.axes.batch.includes(axis));
    return isBatch ? { region, stream: "batch", over: axes, input } : undefined;
  }
  if (node.op !== "einsum" || node.type.dtype !== "f32") return undefined;
  const [first, second] = [node.inputs[0]!, node.inputs[1]!];
  if (first === second || isInside(first === input ? second : first)) return undefined;
  const { out } = node.attrs;
  const { mine, other, free } = operandsOf(node, input);
  const contracted = mine.filter((label) => !out.includes(label));
  const stream = side(contracted.map((label) => mine.indexOf(label)));
  if (stream === undefined) return undefined;
  const outer = region.axes[stream === "m" ? "n" : "m"].map((axis) => mine[axis]!);
  if (outer.some((label) => other.includes(label)) || free.length === 0) return undefined;
  const width = free.reduce((n, label) => n * sizeOfLabel(work, node, label), 1);
  return width % 4 === 0 && width <= WIDEST_SUM
    ? { region, stream, over: region.axes[stream], input }
    : undefined;
}

/** Labels of a contraction: of the operand `input`, of the other, and those that only the other has. */
export function operandsOf(node: Einsum, input: NodeId) {
  const isLeft = node.inputs[0] === input;
  const [mine, other] = isLeft ? [node.attrs.lhs, node.attrs.rhs] : [node.attrs.rhs, node.attrs.lhs];
  return {
    mine,
    other,
    otherId: node.inputs[isLeft ? 1 : 0]!,
    free: node.attrs.out.filter((label) => !mine.includes(label)),
  };
}

/** Tensors that a sink's kernel would read, scores recomputed. */
function readsOf(work: WorkGraph, sink: NodeId, { members, scores }: Region): ReadonlySet<NodeId> {
  const found = new Set<NodeId>();
  const seen = new Set<NodeId>();
  const visit = (id: NodeId): void => {
    if (seen.has(id)) return;
    seen.add(id);
    const node = work.node(id);
    const isOpen = id === sink || members.has(id) || scores.has(id);
    if (!isOpen && (work.isStorage(id) || isHero(node) || work.isRequired(id))) found.add(id);
    else if (isOpen || isMovement(node)) node.inputs.forEach(visit);
    else if (node.op !== "constant" && node.op !== "iota") found.add(id);
  };
  visit(sink);
  return found;
}
