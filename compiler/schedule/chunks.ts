import { type Graph, GraphBuilder, type Node, type NodeId, type NodeOf } from "../graph/index.ts";
import { growRegion, type Region } from "./region.ts";
import { dropUnitAxes } from "./unit-axes.ts";
import {
  ADDED,
  ALIGNED_ELEMENTS,
  isHero,
  isReduction,
  isRounding,
  matmulAxes,
  WorkGraph,
} from "./work-graph.ts";

/** Columns of scores that are there at once: enough to keep a GPU busy with a few dozen rows. */
const LONGEST_CHUNK = 3072;

/** The pass of nodes that are there for a chunk alone. */
export const CHUNKED = "chunks";

const LEAST_F32 = -3.4028234663852886e38;

/** A contraction over rows and a long axis (logits of a vocabulary), and what is made of it. */
interface LongRegion extends Region {
  readonly shape: readonly number[];
  /** The long axis. */
  readonly axis: number;
  /** Elements of that axis in every chunk but the last, which has what is left. */
  readonly size: number;
  readonly count: number;
  /** Sinks by how many sinks of the region they wait for, one after another. */
  readonly phases: readonly (readonly NodeId[])[];
}

/**
 * Walks the long axis of a contraction in chunks where its results are only reduced or contracted again, with a logsumexp over
 * that axis: cross-entropy behind a decoder, whatever is done to the logits between. Neither logits nor their gradient are
 * ever there as a whole; the backward phase computes those of a chunk again, but for the chunk at which the forward phase ended.
 * `barrier`s keep the second computation from being shared with the first, and the kernels of different chunks apart.
 *
 * In: any verified graph. Keeps: values up to the order of summation.
 * @param longest elements of the axis that are there at once
 */
export function chunkLongScores(graph: Graph, longest: number = LONGEST_CHUNK): Graph {
  if (!graph.nodes.some((node) => node.op === "logsumexp")) return graph;
  const plain = dropUnitAxes(graph, ({ type }) => Math.max(...type.shape) > longest);
  const regions = findRegions(plain, longest);
  return regions.length === 0 ? graph : new Chunking(plain, regions).run();
}

function findRegions(graph: Graph, longest: number): readonly LongRegion[] {
  const work = new WorkGraph(graph);
  const regions: LongRegion[] = [];
  const seen = new Set<NodeId>();
  const isLong = (node: NodeOf<"einsum">): boolean => isLongScore(work, node, longest);
  for (const node of graph.nodes) {
    if (node.op !== "einsum" || seen.has(node.id) || !isLong(node)) continue;
    const region = growRegion(work, node, isLong);
    for (const id of region.scores) seen.add(id);
    const { shape } = node.type;
    const axis = longestAxis(shape);
    if (region.escapes || ![...region.members].every((id) => isPointwise(work, id))) continue;
    if (![...region.sinks].every(([id]) => canSplit(work, region, id))) continue;
    const isNormalizer = ([id]: readonly [NodeId, NodeId]): boolean => {
      const sink = work.node(id);
      return sink.op === "logsumexp" && sink.attrs.axes.includes(axis);
    };
    if (![...region.sinks].some(isNormalizer)) continue;
    const count = Math.ceil(shape[axis]! / longest);
    const size = Math.ceil(shape[axis]! / count / ALIGNED_ELEMENTS) * ALIGNED_ELEMENTS;
    regions.push({ ...region, shape, axis, size, count, phases: phasesOf(graph, region) });
  }
  return regions;
}

/** Whether every element of a member is made of elements at its place alone. */
function isPointwise(work: WorkGraph, id: NodeId): boolean {
  const { op, inputs, type } = work.node(id);
  if (op === "uniform" || op === "iota") return true;
  return inputs.every((input) => String(work.node(input).type.shape) === String(type.shape));
}

function longestAxis(shape: readonly number[]): number {
  return shape.indexOf(Math.max(...shape));
}

/** One large matrix: a contraction without axes that both operands have, one of its axes longer than a chunk. */
function isLongScore(work: WorkGraph, node: NodeOf<"einsum">, longest: number): boolean {
  if (!isHero(node) || node.type.dtype !== "f32" || work.isRequired(node.id)) return false;
  return matmulAxes(node)!.batch.length === 0 && Math.max(...node.type.shape) > longest;
}

/** Whether a sink's other operand lies outside the region. */
function canSplit(work: WorkGraph, { members, scores, sinks }: Region, id: NodeId): boolean {
  const node = work.node(id);
  if (node.type.dtype !== "f32") return false;
  if (isReduction(node)) return true;
  const input = sinks.get(id)!;
  const others = node.inputs.filter((other) => other !== input);
  return others.length === 1 && !others.some((other) => members.has(other) || scores.has(other));
}

function phasesOf(graph: Graph, { sinks }: Region): readonly (readonly NodeId[])[] {
  const phase = new Int32Array(graph.nodes.length);
  const phases: NodeId[][] = [];
  for (const node of graph.nodes) {
    const after = (input: NodeId): number => phase[input]! + (sinks.has(input) ? 1 : 0);
    phase[node.id] = node.inputs.reduce((most, input) => Math.max(most, after(input)), 0);
    if (!sinks.has(node.id)) continue;
    while (phases.length <= phase[node.id]!) phases.push([]);
    phases[phase[node.id]!]!.push(node.id);
  }
  return phases;
}

/** The elements of the long axis that are there, and when: what is computed in one turn may be shared. */
interface Turn {
  readonly start: number;
  readonly end: number;
  readonly chunk: number;
  /** Of its barriers. */
  readonly number: number;
  /** Nodes of the region as they are in this turn. */
  readonly made: Map<NodeId, NodeId>;
}

class Chunking {
  readonly #graph: Graph;
  readonly #b = new GraphBuilder({ path: "", at: "", label: "chunk", pass: ADDED });
  readonly #made = new Map<NodeId, NodeId>();
  readonly #regionOf = new Map<NodeId, LongRegion>();
  readonly #inside = new Set<NodeId>();
  readonly #turns = new Map<number, Turn>();
  readonly #firstNumber = new Map<LongRegion, number>();

  constructor(graph: Graph, regions: readonly LongRegion[]) {
    this.#graph = graph;
    let number = graph.nodes.reduce(
      (n, { op, attrs }) => (op === "barrier" ? Math.max(n, attrs.number + 1) : n),
      0,
    );
    for (const region of regions) {
      for (const id of region.sinks.keys()) this.#regionOf.set(id, region);
      for (const id of [...region.scores, ...region.members]) this.#inside.add(id);
      this.#firstNumber.set(region, number);
      number += region.count * region.phases.length;
    }
  }

  run(): Graph {
    for (const { id } of this.#graph.nodes) if (!this.#inside.has(id)) this.#outside(id);
    for (const { name, node } of this.#graph.outputs) this.#b.output(name, this.#outside(node));
    for (const { state, node } of this.#graph.updates) this.#b.update(state, this.#outside(node));
    return this.#b.build();
  }

  /** A node outside the regions, or one inside that has no scores in it (a mask, random numbers), as a whole. */
  #outside(id: NodeId): NodeId {
    const known = this.#made.get(id);
    if (known !== undefined) return known;
    const node = this.#graph.nodes[id]!;
    const region = this.#regionOf.get(id);
    if (region !== undefined) {
      this.#runPhase(region, region.phases.find((phase) => phase.includes(id))!);
      return this.#made.get(id)!;
    }
    const inputs = node.inputs.map((input) => this.#outside(input));
    const made = this.#b.withOrigin(node.origin, () => this.#b.make(node.op, inputs, node.attrs));
    this.#made.set(id, made);
    return made;
  }

  /** All sinks of a phase, chunk by chunk; every other phase goes backwards and starts where the one before ended. */
  #runPhase(region: LongRegion, phase: readonly NodeId[]): void {
    const index = region.phases.indexOf(phase);
    const chunks = Array.from({ length: region.count }, (_, i) => i);
    if (index % 2 === 1) chunks.reverse();
    const parts = new Map<NodeId, NodeId[]>(phase.map((id) => [id, []]));
    chunks.forEach((chunk, i) => {
      const turn = this.#turn(region, chunk, index * (region.count - 1) + i);
      for (const id of phase) {
        const node = this.#graph.nodes[id]!;
        const own = parts.get(id)!;
        own[chunk] = this.#b.withOrigin({ ...node.origin, pass: CHUNKED }, () => {
          const part = this.#sink(region, turn, node);
          if (keptAxis(region, node) !== undefined) return part;
          const before = own[chunks[i - 1] ?? -1];
          const kept = before === undefined ? undefined : this.#b.barrier(before, turn.number);
          if (!isReduction(node)) return kept === undefined ? part : this.#b.add(kept, part);
          return this.#joined(node.op, kept ?? this.#neutral(node, turn), part);
        });
      }
    });
    for (const id of phase) {
      const node = this.#graph.nodes[id]!;
      const whole = this.#b.withOrigin(node.origin, () =>
        this.#join(region, node, parts.get(id)!, chunks.at(-1)!),
      );
      this.#made.set(id, whole);
    }
  }

  #turn(region: LongRegion, chunk: number, position: number): Turn {
    const number = this.#firstNumber.get(region)! + position;
    const known = this.#turns.get(number);
    if (known !== undefined) return known;
    const start = chunk * region.size;
    const end = Math.min(start + region.size, region.shape[region.axis]!);
    const turn: Turn = { start, end, chunk, number, made: new Map() };
    this.#turns.set(number, turn);
    return turn;
  }

  /** One chunk's part in a sink. */
  #sink(region: LongRegion, turn: Turn, node: Node): NodeId {
    const b = this.#b;
    const input = region.sinks.get(node.id)!;
    const own = this.#member(region, turn, input);
    // A reduction over the long axis reads what the turn before has left, which tells its turn; another is taken in by a matmul.
    if (node.op !== "einsum") return b.make(node.op, [own], node.attrs);
    const { lhs, rhs } = node.attrs;
    const mine = node.inputs[0] === input ? lhs : rhs;
    const operands = node.inputs.map((id, i) => {
      if (id === input) return own;
      const axis = (i === 0 ? lhs : rhs).indexOf(mine[region.axis]!);
      return axis < 0 ? b.barrier(this.#outside(id), turn.number) : this.#slice(region, turn, id, axis);
    });
    return b.make(node.op, operands, node.attrs);
  }

  /** The parts of a sink as a whole. */
  #join(region: LongRegion, node: Node, parts: readonly NodeId[], last: number): NodeId {
    const axis = keptAxis(region, node);
    if (axis === undefined) return parts[last]!;
    return this.#b.withOrigin({ pass: ADDED }, () => this.#b.concat(parts, axis));
  }

  /** A reduction over two parts from its results over each. */
  #joined(op: "sum" | "reduce_max" | "logsumexp", x: NodeId, y: NodeId): NodeId {
    const b = this.#b;
    if (op === "sum") return b.add(x, y);
    const top = b.max(x, y);
    if (op === "reduce_max") return top;
    return b.add(top, b.log(b.add(b.exp(b.sub(x, top)), b.exp(b.sub(y, top)))));
  }

  /** The result of a reduction over nothing, from memory: so the first chunk's kernel is that of the others. */
  #neutral(node: Node, turn: Turn): NodeId {
    const b = this.#b;
    const { dtype, shape } = node.type;
    const value = b.withOrigin({ label: "nothing", pass: ADDED }, () => {
      const [zero, least] = [b.full(dtype, 0, shape), b.full(dtype, LEAST_F32, shape)];
      return node.op === "sum" ? b.add(zero, zero) : b.add(zero, least);
    });
    return b.barrier(value, turn.number);
  }

  /** A node of the region in a turn. */
  #member(region: LongRegion, turn: Turn, id: NodeId): NodeId {
    const known = turn.made.get(id);
    if (known !== undefined) return known;
    const node = this.#graph.nodes[id]!;
    const made = this.#b.withOrigin({ ...node.origin, pass: CHUNKED }, () => {
      if (node.op === "einsum" && region.scores.has(id)) return this.#scores(region, turn, node);
      const isComputed = region.members.has(id) && node.op !== "uniform" && node.op !== "iota";
      if (!isComputed) return this.#slice(region, turn, id, region.axis);
      const inputs = node.inputs.map((input) => this.#member(region, turn, input));
      return this.#b.make(node.op, inputs, node.attrs);
    });
    turn.made.set(id, made);
    return made;
  }

  #scores(region: LongRegion, turn: Turn, node: NodeOf<"einsum">): NodeId {
    const { lhs, rhs, out } = node.attrs;
    const label = out[region.axis]!;
    const operands = node.inputs.map((id, i) => {
      const axis = (i === 0 ? lhs : rhs).indexOf(label);
      return axis < 0 ? this.#b.barrier(this.#outside(id), turn.number) : this.#slice(region, turn, id, axis);
    });
    return this.#b.make("einsum", operands, node.attrs);
  }

  /** The elements of `id` in a turn; `axis` is its long axis. */
  #slice(region: LongRegion, turn: Turn, id: NodeId, axis: number): NodeId {
    const b = this.#b;
    const node = this.#graph.nodes[id]!;
    const sized = (shape: readonly number[], at: number) =>
      shape.map((size, i) => (i === at ? turn.end - turn.start : size));
    if (node.op === "broadcast") {
      const { shape, axes } = node.attrs;
      const [input] = node.inputs;
      const of = axes.indexOf(axis);
      const from =
        of >= 0
          ? this.#slice(region, turn, input!, of)
          : this.#isConstant(input!)
            ? this.#outside(input!)
            : b.barrier(this.#outside(input!), turn.number);
      return b.broadcast(from, sized(shape, axis), axes);
    }
    if (node.op === "iota") {
      const positions = b.iota(sized(node.attrs.shape, axis), node.attrs.axis);
      if (node.attrs.axis !== axis) return positions;
      return b.add(positions, b.broadcast(this.#start(region, turn), b.shape(positions), []));
    }
    // Rounded after it is cut: a chunk rounds its own parameters.
    if (isRounding(node))
      return b.make(node.op, [this.#slice(region, turn, node.inputs[0]!, axis)], node.attrs);
    const from = b.barrier(this.#outside(id), turn.number);
    const { shape } = node.type;
    return b.slice(
      from,
      shape.map((_, i) => (i === axis ? turn.start : 0)),
      shape.map((size, i) => (i === axis ? turn.end : size)),
    );
  }

  #isConstant(id: NodeId): boolean {
    return this.#graph.nodes[id]!.op === "constant";
  }

  /**
   * Where a chunk starts, i32[], from a table of all starts: written into the code, it would make a kernel of its own of every
   * chunk. Entries lie as far apart as bindings must.
   */
  #start(region: LongRegion, turn: Turn): NodeId {
    const b = this.#b;
    const at = turn.chunk * ALIGNED_ELEMENTS;
    const table = b.withOrigin({ label: "starts" }, () => {
      const position = b.iota([region.count * ALIGNED_ELEMENTS], 0);
      return b.mul(
        b.div(position, b.fullLike(position, ALIGNED_ELEMENTS)),
        b.fullLike(position, region.size),
      );
    });
    return b.reshape(b.slice(b.barrier(table, turn.number), [at], [at + 1]), []);
  }
}

/** Where the long axis is in a sink's result; undefined where the sink sums over it. */
function keptAxis({ sinks, axis }: LongRegion, node: Node): number | undefined {
  if (isReduction(node)) {
    const { axes } = node.attrs;
    return axes.includes(axis) ? undefined : axis - axes.filter((other) => other < axis).length;
  }
  if (node.op !== "einsum") return undefined;
  const { lhs, rhs, out } = node.attrs;
  const at = out.indexOf((node.inputs[0] === sinks.get(node.id) ? lhs : rhs)[axis]!);
  return at < 0 ? undefined : at;
}
