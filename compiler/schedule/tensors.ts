import type { NodeId } from "../graph/index.ts";
import type { FusionPlan, Group } from "./fuse.ts";
import { isHero, type WorkGraph } from "./work-graph.ts";

/** Which buffer a tensor lies in, before offsets in the arena are known. Arenas count as one buffer. */
export type Home =
  | { readonly kind: "arena" }
  | { readonly kind: "input"; readonly name: string; readonly offset: number }
  | { readonly kind: "state"; readonly name: string; readonly offset: number }
  | { readonly kind: "packed"; readonly pack: NodeId; readonly offset: number }
  /** A piece of an arena tensor. */
  | { readonly kind: "piece"; readonly of: NodeId; readonly offset: number };

/**
 * Homes of all tensors. Updates go straight into their state where no invocation can read what another has overwritten,
 * else through the arena and a copy.
 */
export class TensorHomes {
  /** Updated node -> state that it is computed into. */
  readonly inPlace: ReadonlyMap<NodeId, string>;
  /** Groups that must run before another because it overwrites a state that they read. */
  readonly orderedBefore: ReadonlyMap<Group, ReadonlySet<Group>>;
  readonly #work: WorkGraph;
  readonly #placed = new Map<number, Home>();

  /** @param mayReplace false: every update goes through the arena and a copy */
  constructor(work: WorkGraph, plan: FusionPlan, mayReplace: boolean) {
    this.#work = work;
    const inPlace = new Map<NodeId, string>();
    const ordered = new Map<Group, Set<Group>>();
    const readers = stateReaders(work, plan);
    for (const { state, node } of mayReplace ? work.updates : []) {
      const group = plan.groupOf.get(node);
      if (group === undefined || !canOverwrite(work, plan, group, node, state)) continue;
      const others = [...(readers.get(state) ?? [])].filter((g) => g !== group);
      if (others.some((reader) => waitsFor(reader, group, ordered))) continue;
      inPlace.set(node, state);
      let before = ordered.get(group);
      if (before === undefined) {
        before = new Set();
        ordered.set(group, before);
      }
      for (const reader of others) before.add(reader);
    }
    this.inPlace = inPlace;
    this.orderedBefore = ordered;
  }

  /** Puts a tensor of the plan somewhere else than into an arena of its own. */
  place(tensor: number, home: Home): void {
    this.#placed.set(tensor, home);
  }

  homeOf(tensor: NodeId): Home {
    const placed = this.#placed.get(tensor);
    if (placed !== undefined) return placed;
    if (tensor < 0) return { kind: "arena" };
    const state = this.inPlace.get(tensor);
    if (state !== undefined) return { kind: "state", name: state, offset: 0 };
    const packed = this.#work.packed.get(tensor);
    if (packed !== undefined) return { kind: "packed", pack: packed.pack, offset: packed.offset };
    const node = this.#work.node(tensor);
    switch (node.op) {
      case "input":
      case "parameter":
        return { kind: "input", name: node.attrs.name, offset: 0 };
      case "state":
        return { kind: "state", name: node.attrs.name, offset: 0 };
      case "pack":
        return { kind: "packed", pack: tensor, offset: 0 };
      case "view": {
        if (!this.#work.isStorage(tensor)) return { kind: "arena" };
        const base = this.homeOf(this.#work.stripReshapes(node.inputs[0]!));
        const { offset } = node.attrs;
        if (base.kind === "arena")
          return { kind: "piece", of: this.#work.stripReshapes(node.inputs[0]!), offset };
        return { ...base, offset: base.offset + offset };
      }
      default:
        return { kind: "arena" };
    }
  }

  /** One word a buffer: two tensors with the same word are bound from the same buffer. */
  bufferKeyOf(tensor: NodeId): string {
    const home = this.homeOf(tensor);
    switch (home.kind) {
      case "arena":
      case "piece":
        return "arena";
      case "input":
      case "state":
        return `${home.kind} ${home.name}`;
      case "packed":
        return `packed ${home.pack}`;
      default:
        return home satisfies never;
    }
  }

  /** The id under which a kernel binds a result: the state itself where the result replaces it. */
  bindingOf(tensor: NodeId): NodeId {
    const state = this.inPlace.get(tensor);
    return (state === undefined ? undefined : this.#work.stateNode(state)) ?? tensor;
  }
}

/** Groups that read each state, itself or a view of it. */
function stateReaders(work: WorkGraph, plan: FusionPlan): ReadonlyMap<string, ReadonlySet<Group>> {
  const readers = new Map<string, Set<Group>>();
  for (const group of plan.groups) {
    for (const vertex of group.vertices) {
      for (const source of plan.sourcesOf(vertex)) {
        const state = work.stateUnder(source);
        if (state === undefined) continue;
        const set = readers.get(state);
        if (set === undefined) readers.set(state, new Set([group]));
        else set.add(group);
      }
    }
  }
  return readers;
}

/**
 * Whether a group may put `node` where `state` lies: each invocation reads only the element of the state that it is about
 * to replace. A kernel of rows stores its rows' results last; where it also stores elements, an invocation that
 * shares the row may still be reading.
 */
function canOverwrite(work: WorkGraph, plan: FusionPlan, group: Group, node: NodeId, state: string): boolean {
  const readsOwn = (isOwn: (vertex: NodeId, source: NodeId) => boolean): boolean =>
    group.vertices.every((vertex) =>
      plan.sourcesOf(vertex).every((source) => {
        if (work.stateUnder(source) !== state) return true;
        return work.node(source).op === "state" && isOwn(vertex, source);
      }),
    );
  if (group.kind === "map") return readsOwn((vertex, source) => plan.placeOf(vertex, source) === "full");
  const shape = group.rowShape;
  if (group.kind !== "row" || shape === undefined || shape.length === 1) return false;
  if (group.columnBlocks !== undefined) return false;
  const isOfRow = (id: NodeId): boolean => work.count(id) === shape.rows;
  return (
    isOfRow(node) &&
    group.vertices.every((vertex) => isOfRow(vertex) || !plan.stored.has(vertex)) &&
    readsOwn(
      (vertex, source) =>
        isOfRow(vertex) && !isHero(work.node(vertex)) && plan.placeInRows(vertex, source, shape) === "row",
    )
  );
}

/** Whether `group` runs after `target` in any order that the plan allows. */
function waitsFor(group: Group, target: Group, ordered: ReadonlyMap<Group, ReadonlySet<Group>>): boolean {
  const seen = new Set<Group>();
  const stack = [group];
  while (stack.length > 0) {
    const next = stack.pop()!;
    if (next === target) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    stack.push(...next.before, ...(ordered.get(next) ?? []));
  }
  return false;
}

/**
 * Groups in an order in which every kernel finds its sources computed and its states not yet overwritten.
 * @param savesMemory a kernel that waits for a late source does not draw all that this source needs before the kernels in between:
 * these may free memory
 */
export function orderGroups(plan: FusionPlan, homes: TensorHomes, savesMemory: boolean): readonly Group[] {
  const positions = savesMemory ? readyPositions(plan) : new Map<Group, number>();
  const positionOf = (group: Group): number => positions.get(group) ?? group.firstPosition;
  const byPosition = (a: Group, b: Group): number =>
    positionOf(a) - positionOf(b) || a.firstPosition - b.firstPosition;
  const order: Group[] = [];
  const done = new Set<Group>();
  const waiting = new Set<Group>();
  const visit = (group: Group): void => {
    if (done.has(group)) return;
    if (waiting.has(group)) throw new Error("schedule: kernels wait for each other in a circle");
    waiting.add(group);
    const before = [...group.before, ...(homes.orderedBefore.get(group) ?? [])];
    for (const other of before.sort(byPosition)) visit(other);
    done.add(group);
    order.push(group);
  };
  // Those that only overwrite states go last, as late as their readers.
  for (const group of [...plan.groups].sort(byPosition)) visit(group);
  return order;
}

/** The position of each group, or that of the last group it waits for. */
function readyPositions(plan: FusionPlan): ReadonlyMap<Group, number> {
  const positions = new Map<Group, number>();
  for (const group of plan.groups) {
    const stack = [group];
    while (stack.length > 0) {
      const next = stack.at(-1)!;
      const missing = positions.has(next) ? [] : [...next.before].filter((before) => !positions.has(before));
      if (missing.length > 0) {
        stack.push(...missing);
        continue;
      }
      stack.pop();
      const waited = [...next.before].map((before) => positions.get(before)!);
      positions.set(next, Math.max(next.firstPosition, ...waited));
    }
  }
  return positions;
}
