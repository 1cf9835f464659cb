import type { Node, NodeId } from "../graph/index.ts";
import { columnBlocksOf } from "./columns.ts";
import type { FusionRule } from "./rules.ts";
import type { Streams } from "./streams.ts";
import { ADDED, isHero, isRounding, isSameMemory, type WorkGraph } from "./work-graph.ts";

/** Arithmetic weight of one element of an op; movement is free (it is index arithmetic). */
function ownCost(node: Node): number {
  switch (node.op) {
    case "erf":
      return 16;
    case "uniform":
      return 12;
    case "exp":
    case "log":
    case "tanh":
    case "pow":
    case "sin":
    case "cos":
      return 8;
    case "hash":
      return 6;
    case "sqrt":
    case "rsqrt":
      return 4;
    case "div":
    case "take":
    case "concat":
    case "pad":
      return 2;
    case "reshape":
    case "transpose":
    case "broadcast":
    case "slice":
    case "stop_gradient":
    case "barrier":
    case "constant":
    case "iota":
      return 0;
    default:
      return 1;
  }
}

export function isMovement(node: Node): boolean {
  switch (node.op) {
    case "reshape":
    case "transpose":
    case "broadcast":
    case "slice":
    case "stop_gradient":
    case "barrier":
    case "pad":
    case "concat":
      return true;
    default:
      return false;
  }
}

/** Movement that costs nothing whatever reads it, with fusion or without, as in any framework. */
export function isFree(node: Node): boolean {
  if (node.op === "broadcast" || isSameMemory(node)) return true;
  return isMovement(node) && node.origin.pass === ADDED;
}

/** A prologue is computed again for every tile that reads the operand: only this much is worth it. */
const PROLOGUE_COST = 3;
/** From here on, two readers compute a value once and read it rather than computing it twice. */
const SHARED_COST = 6;
/** From here on, a value is computed once rather than once for each element it is broadcast to. */
const BROADCAST_COST = 4;
/** An expression longer than this is cut. */
const LONGEST_EXPRESSION = 96;
/** Distinct tensors that one expression may read: leaves room for stores among the 8 bindings every device has. */
const MOST_READS = 5;

/**
 * Chooses the nodes that are computed once and have a name in the plan; all others are computed inside their users.
 * A realized node is stored only if, after fusion, some other kernel reads it.
 * @param streams what is computed inside kernels that walk scores alone
 * @param maxBindings storage buffers that a kernel may bind
 * @param fuse when false every op is realized, but for constants, counters and what is index arithmetic in any framework
 * @param rules those in force; an op that one of the others would have computed inside its reader is realized
 */
export function chooseRealized(
  work: WorkGraph,
  streams: Streams,
  fuse: boolean,
  maxBindings: number,
  rules: ReadonlySet<FusionRule>,
): ReadonlySet<NodeId> {
  const realized = new Set<NodeId>();
  const cost = new Float64Array(work.nodes.length);
  const reads: (readonly NodeId[])[] = [];
  const readers = fuse ? countReaders(work) : [];
  const steps = new StepsOfOne(work, fuse);
  for (const node of byDependency(work)) {
    if (work.isStorage(node.id)) {
      cost[node.id] = 1;
      reads[node.id] = [node.id];
      continue;
    }
    let own = ownCost(node);
    const sources = new Set<NodeId>();
    for (const input of node.inputs) {
      if (realized.has(input)) {
        own += 1;
        sources.add(input);
      } else {
        own += cost[input]!;
        for (const source of reads[input]!) sources.add(source);
      }
    }
    cost[node.id] = own;
    reads[node.id] = [...sources];
    const choose =
      fuse && !work.apart.has(node.id)
        ? worthRealizing(work, node, own, reads[node.id]!, readers[node.id]!, steps) ||
          isRuledOut(work, node, rules)
        : !(node.op === "constant" || node.op === "iota" || isFree(node));
    const isInterior = streams.interior.has(node.id);
    if (work.isRequired(node.id) || isHero(node) || (choose && !isInterior)) realized.add(node.id);
  }
  while (cutWideReads(work, streams, realized, maxBindings));
  return realized;
}

/** Realizes inputs of nodes that would bind too many tensors, the widest first. @returns whether there were any */
function cutWideReads(
  work: WorkGraph,
  streams: Streams,
  realized: Set<NodeId>,
  maxBindings: number,
): boolean {
  const reads: ReadonlySet<NodeId>[] = [];
  let cut = false;
  for (const node of byDependency(work)) {
    const readsOf = (input: NodeId): readonly NodeId[] =>
      realized.has(input) ? [input] : [...reads[input]!];
    // Sums of equal indices also bind their chains, see `SegmentKernel`.
    const most = maxBindings - (node.op === "scatter_add" ? 3 : 1);
    let found = new Set(work.isStorage(node.id) ? [node.id] : node.inputs.flatMap(readsOf));
    const isOpen = !streams.sinks.has(node.id) && !streams.scores.has(node.id);
    while (isOpen && realized.has(node.id) && found.size > most) {
      const widest = node.inputs.reduce((a, b) => (readsOf(b).length > readsOf(a).length ? b : a));
      if (readsOf(widest).length < 2) break;
      realized.add(widest);
      cut = true;
      found = new Set(node.inputs.flatMap(readsOf));
    }
    reads[node.id] = found;
  }
  return cut;
}

/** Copies come after the nodes they copy, though their ids are greater than those of their users' users. */
function byDependency(work: WorkGraph): readonly Node[] {
  return work.nodes;
}

function worthRealizing(
  work: WorkGraph,
  node: Node,
  cost: number,
  reads: readonly NodeId[],
  readers: ReadonlySet<NodeId>,
  steps: StepsOfOne,
): boolean {
  if (node.op === "constant" || node.op === "iota") return false;
  const count = work.count(node.id);
  if (isMovement(node)) return false;
  // What is read behind a barrier is kept for that; of a value made of nothing, kernels that differ in it alone are then one.
  if (work.users[node.id]!.some((user) => work.node(user).op === "barrier")) return true;
  if (cost > LONGEST_EXPRESSION) return true;
  if (reads.length > MOST_READS) return !feedsOneResult(work, node.id);
  // A kernel that makes what it rounds writes half the bytes that its readers then read. Parameters, and pieces of something
  // larger, are rounded where they are read: a copy of them would be written and read for few readers.
  if (isRounding(node) && feedsHero(work, node.id)) {
    const isCut = isMovement(work.node(node.inputs[0]!));
    if (!isCut && reads.some((source) => !work.isStorage(source))) return true;
  }
  if (cost > PROLOGUE_COST && feedsMatmul(work, node.id)) return true;
  if (feedsScatterIndices(work, node.id)) return true;
  if (finishesContraction(work, node, reads)) return true;
  // A condition takes as much memory as the number that it is told from.
  // Where the number is rounded, its terms are read instead.
  const isOfRounded = node.inputs.some((input) =>
    work.users[input]!.some((user) => isRounding(work.node(user))),
  );
  if (node.type.dtype === "bool" && cost <= SHARED_COST * (isOfRounded ? 2 : 1)) return false;
  // A value made of (almost) nothing, such as a dropout mask, is cheaper made again than read.
  const bigReads = reads.filter((source) => work.count(source) * 16 >= count).length;
  if (bigReads < 2 && steps.take(node)) return false;
  if (readers.size >= 2 && bigReads >= 1 && (cost >= SHARED_COST || bigReads >= 2)) return true;
  return cost >= BROADCAST_COST && reads.length > 0 && isBroadcast(work, node.id, count);
}

/** Whether some reader of a node would compute it by a rule that is switched off. */
function isRuledOut(work: WorkGraph, node: Node, rules: ReadonlySet<FusionRule>): boolean {
  if (node.op === "constant" || node.op === "iota" || isFree(node)) return false;
  if (isMovement(node)) return !rules.has("movement");
  const isReadBy = (id: NodeId, wanted: (reader: Node) => boolean): boolean =>
    work.users[id]!.some((user) => {
      const reader = work.node(user);
      return isMovement(reader) ? isReadBy(user, wanted) : wanted(reader);
    });
  return (
    (!rules.has("elementwise") && isReadBy(node.id, (reader) => !isHero(reader))) ||
    (!rules.has("rows") && isReadBy(node.id, (reader) => isHero(reader) && reader.op !== "einsum")) ||
    (!rules.has("prologue") && isReadBy(node.id, (reader) => isHero(reader) && reader.op === "einsum"))
  );
}

/**
 * Steps on the way to one node of their size, but for sums down columns: what needs them elsewhere reads that node, and a kernel
 * of rows that takes the sums on its way makes the steps again of what it reads anyway.
 */
class StepsOfOne {
  readonly #work: WorkGraph;
  /** Nodes that nothing but sums down columns reads. */
  readonly #forColumns: readonly boolean[];
  readonly #taken = new Set<NodeId>();

  constructor(work: WorkGraph, fuse: boolean) {
    this.#work = work;
    const found: boolean[] = work.nodes.map(() => false);
    for (let id = work.nodes.length - 1; fuse && id >= 0; id--) {
      const users = work.users[id]!;
      const isInside = users.length > 0 && !work.isRequired(id) && !isHero(work.node(id));
      const isRead = columnBlocksOf(work, id) !== undefined;
      found[id] = isRead || (isInside && users.every((user) => found[user]!));
    }
    this.#forColumns = found;
  }

  /** Whether a node is such a step, or leads on from one. Called in dependency order, for nodes that are to be computed inside others. */
  take({ id, inputs }: Node): boolean {
    const work = this.#work;
    const users = work.users[id]!;
    const [next, ...others] = users.filter((user) => !this.#forColumns[user]!);
    if (next === undefined || others.length > 0) return false;
    const leadsOn = users.length > 1 || inputs.some((input) => this.#taken.has(input));
    const node = work.node(next);
    const isStep = leadsOn && !isHero(node) && !isMovement(node) && work.count(next) === work.count(id);
    if (isStep) this.#taken.add(id);
    return isStep;
  }
}

/** The heroes and required nodes that would compute each node, if nothing else were realized (at most 4 are told apart). */
function countReaders(work: WorkGraph): ReadonlySet<NodeId>[] {
  const readers: Set<NodeId>[] = work.nodes.map(() => new Set<NodeId>());
  for (let id = work.nodes.length - 1; id >= 0; id--) {
    for (const user of work.users[id]!) {
      const node = work.node(user);
      if (isHero(node) || work.isRequired(user)) readers[id]!.add(user);
      else for (const reader of readers[user]!) if (readers[id]!.size < 4) readers[id]!.add(reader);
    }
  }
  return readers;
}

/** Whether a node is a step on the way to one stored result of its size, which reads the same whether it is cut or not. */
function feedsOneResult(work: WorkGraph, id: NodeId): boolean {
  const [user, ...others] = work.users[id]!;
  if (user === undefined || others.length > 0) return false;
  const node = work.node(user);
  if (isHero(node) || isMovement(node) || work.count(user) !== work.count(id)) return false;
  return work.isRequired(user) || feedsOneResult(work, user);
}

/** Whether a matmul reads the node, directly or moved. */
function feedsMatmul(work: WorkGraph, id: NodeId): boolean {
  return work.users[id]!.some((user) => {
    const node = work.node(user);
    if (node.op === "einsum") return isHero(node);
    return isMovement(node) && feedsMatmul(work, user);
  });
}

/**
 * Whether the node is the last before other kernels of what is made of one contraction alone: computed in that kernel's epilogue
 * it is stored in the contraction's place, and its readers need not read what it took in (a bias).
 */
function finishesContraction(work: WorkGraph, node: Node, reads: readonly NodeId[]): boolean {
  if (!feedsHero(work, node.id)) return false;
  return reads.some((source) => {
    if (work.node(source).op !== "einsum" || work.count(source) !== work.count(node.id)) return false;
    let id = source;
    while (id !== node.id && work.users[id]!.length === 1 && !work.isRequired(id)) id = work.users[id]![0]!;
    return id === node.id;
  });
}

/** Whether a reduction or contraction reads the node, directly or moved. */
function feedsHero(work: WorkGraph, id: NodeId): boolean {
  return work.users[id]!.some((user) => {
    const node = work.node(user);
    return isHero(node) || (isMovement(node) && feedsHero(work, user));
  });
}

function feedsScatterIndices(work: WorkGraph, id: NodeId): boolean {
  return work.users[id]!.some((user) => {
    const node = work.node(user);
    if (node.op === "scatter_add") return node.inputs[1] === id;
    return isSameMemory(node) && feedsScatterIndices(work, user);
  });
}

/** Whether some user repeats the node eight times or more. */
function isBroadcast(work: WorkGraph, id: NodeId, count: number): boolean {
  return work.users[id]!.some((user) => {
    const node = work.node(user);
    if (node.op === "broadcast") return work.count(user) >= 8 * count;
    return isSameMemory(node) && isBroadcast(work, user, count);
  });
}
