import type { Node, NodeId } from "../graph/index.ts";
import { Barriers } from "./barriers.ts";
import { type ColumnBlocks, columnBlocksOf } from "./columns.ts";
import { Domains, producersOf, type ReadPlace, type RowShape, rowShapeOf } from "./domain.ts";
import type { FusionRule } from "./rules.ts";
import { lowerStream, ONE_BY_ONE } from "./stream-lowering.ts";
import { sourcesOfSink } from "./stream-sources.ts";
import type { Streams } from "./streams.ts";
import { placeOf, type Structures } from "./structure.ts";
import { isHero, isRounding, matmulAxes, type WorkGraph } from "./work-graph.ts";

/** What one kernel computes. `vertices` are realized nodes in dependency order. */
export interface Group {
  readonly id: number;
  kind: "map" | "row" | "matmul" | "segment" | "stream" | "score_sum";
  readonly vertices: NodeId[];
  /** Elements of a map's or matmul's result. */
  count: number;
  rowShape: RowShape | undefined;
  /** Of a matmul: the sum of its right operand over the contraction, a bias gradient for instance. Also a vertex. */
  rhsSum: NodeId | undefined;
  /** Of a kernel of rows: the blocks in which it sums down columns on its way. */
  columnBlocks: ColumnBlocks | undefined;
  /** By which its vertices came together. */
  readonly rules: Set<FusionRule>;
  /** Groups that must run before. */
  readonly before: Set<Group>;
  firstPosition: number;
}

/** Why two kernels stayed apart, for a curious person. */
export interface Refusal {
  readonly producer: NodeId;
  readonly consumer: NodeId;
  readonly reason: string;
}

export interface FusionPlan {
  readonly groups: readonly Group[];
  readonly groupOf: ReadonlyMap<NodeId, Group>;
  /** Realized nodes that go to memory: some other kernel, an output or an update needs them. */
  readonly stored: ReadonlySet<NodeId>;
  /** Tensors that a realized node reads. */
  readonly sourcesOf: (id: NodeId) => readonly NodeId[];
  /** Where an elementwise node over its own elements reads a source. */
  readonly placeOf: (id: NodeId, source: NodeId) => ReadPlace;
  /** Where an elementwise node of one element a row reads a source. */
  readonly placeInRows: (id: NodeId, source: NodeId, rows: RowShape) => ReadPlace;
  readonly refusals: readonly Refusal[];
  readonly streams: Streams;
  /** The greatest number of the barriers that a realized node itself reads through, plus 1; 0: none. */
  readonly turnOf: (id: NodeId) => number;
}

export interface FusionOptions {
  readonly enabled: boolean;
  /** Storage buffers that a kernel may bind. */
  readonly maxBindings: number;
  /**
   * Whether a state and its new value are counted as one buffer, as they are where the update goes in place. Only the plan
   * shows whether it does.
   */
  readonly countsUpdatesInPlace: boolean;
  /** Those in force. */
  readonly rules: ReadonlySet<FusionRule>;
}

/** A contraction narrower than this in any direction is summed row by row: a register tile would be mostly waste. */
const NARROWEST_TILE = 4;
/** Kernels of rows pass over their elements more than once, so that one may be read again after it was overwritten. */
const UPDATES_IN_PLACE = "a state is overwritten in place by a map";
/** Kernels of so few elements are merged side by side: each costs a dispatch and no time. */
const SMALL = 64;

/**
 * Merges realized nodes into kernels, greedily in dependency order: each node joins the kernel of the latest source it can
 * run with element by element. Nothing is asked about what the nodes mean, only where they read.
 */
export function fuse(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  streams: Streams,
  structures: Structures,
  options: FusionOptions,
): FusionPlan {
  const merger = new Merger(work, realized, streams, structures, options);
  const placed = dependencyOrder(work, realized).filter((id) => !streams.scores.has(id));
  for (const id of placed) merger.place(id, options.enabled);
  return {
    groups: merger.groups,
    groupOf: merger.groupOf,
    stored: new Set(placed.filter((id) => merger.escapes(id))),
    sourcesOf: (id) => merger.sourcesOf(id),
    placeOf: (id, source) => merger.placeOf(id, source),
    placeInRows: (id, source, rows) => merger.placeInRows(id, source, rows),
    refusals: merger.refusals,
    streams,
    turnOf: (id) => merger.turnOf(id),
  };
}

/** Ascending ids, but each added copy right behind its source, or last where it waits for nothing and so may go anywhere. */
export function dependencyOrder(work: WorkGraph, realized: ReadonlySet<NodeId>): readonly NodeId[] {
  const original = work.graph.nodes.length;
  const key = (id: NodeId): number => {
    if (id < original) return id;
    const source = work.node(id).inputs[0]!;
    return work.isFill(source) ? Number.POSITIVE_INFINITY : key(source) + 0.5;
  };
  return [...realized].sort((a, b) => (key(a) === key(b) ? a - b : key(a) - key(b)));
}

class Merger {
  readonly groups: Group[] = [];
  readonly groupOf = new Map<NodeId, Group>();
  readonly refusals: Refusal[] = [];
  readonly #work: WorkGraph;
  readonly #domains: Domains;
  readonly #barriers: Barriers;
  readonly #realized: ReadonlySet<NodeId>;
  readonly #streams: Streams;
  readonly #structures: Structures;
  /** By structure: what a sink reads of its tensors, and whether sinks can be computed in one walk. */
  readonly #sinkReads = new Map<number, readonly number[]>();
  readonly #joint = new Map<number, boolean>();
  readonly #maxBindings: number;
  readonly #countsUpdatesInPlace: boolean;
  readonly #rules: ReadonlySet<FusionRule>;
  readonly #sources = new Map<NodeId, readonly NodeId[]>();
  readonly #readers = new Map<NodeId, NodeId[]>();
  readonly #reductionsByKey = new Map<string, Group[]>();
  readonly #mapsByCount = new Map<number, Group[]>();
  readonly #reductionsByRows = new Map<number, Group[]>();
  readonly #reductionsByLength = new Map<number, Group[]>();
  #position = 0;
  /** By group, the last search among dependences that came by it: there are many, each of most of the groups. */
  readonly #searched: number[] = [];
  #search = 0;

  constructor(
    work: WorkGraph,
    realized: ReadonlySet<NodeId>,
    streams: Streams,
    structures: Structures,
    options: FusionOptions,
  ) {
    this.#work = work;
    this.#realized = realized;
    this.#streams = streams;
    this.#structures = structures;
    this.#domains = new Domains(work, realized, structures);
    this.#barriers = new Barriers(work, (id) => realized.has(id) && !streams.scores.has(id));
    this.#maxBindings = options.maxBindings;
    this.#countsUpdatesInPlace = options.countsUpdatesInPlace;
    this.#rules = options.rules;
    for (const id of realized) {
      if (streams.scores.has(id)) continue;
      const sources = [...this.#readsOf(id, realized).keys()];
      this.#sources.set(id, sources);
      for (const source of sources) {
        push(this.#readers, source, id);
        for (const producer of producersOf(work, source))
          if (producer !== source) push(this.#readers, producer, id);
      }
    }
  }

  turnOf(id: NodeId): number {
    return this.#barriers.turnOf(id);
  }

  sourcesOf(id: NodeId): readonly NodeId[] {
    return this.#sources.get(id)!;
  }

  placeOf(id: NodeId, source: NodeId): ReadPlace {
    return this.#domains.flat(id).get(source) ?? "other";
  }

  placeInRows(id: NodeId, source: NodeId, rows: RowShape): ReadPlace {
    return this.#domains.row(id, rows).get(source) ?? "other";
  }

  /** Realized nodes that read `id` from another kernel than its own, or any if it is required. */
  escapes(id: NodeId): boolean {
    const group = this.groupOf.get(id)!;
    const read = (this.#readers.get(id) ?? []).some((reader) => this.groupOf.get(reader) !== group);
    return read || this.#work.isRequired(id);
  }

  /** Tensors that a vertex reads on its own. */
  #readsOf(id: NodeId, realized: ReadonlySet<NodeId>): ReadonlyMap<NodeId, ReadPlace> {
    const node = this.#work.node(id);
    if (this.#streams.sinks.has(id)) {
      return new Map(this.#sourcesOfSink(id, realized).map((source) => [source, "other"]));
    }
    const shape = rowShapeOf(this.#work, id);
    if (isHero(node) && shape !== undefined) return this.#domains.reduction(id, shape);
    if (node.op === "scatter_add") {
      const reads = new Map<NodeId, ReadPlace>();
      for (const input of node.inputs) {
        const stored = realized.has(input) || this.#work.isStorage(input);
        for (const source of stored ? [input] : this.#domains.flat(input).keys()) reads.set(source, "other");
      }
      return reads;
    }
    return this.#domains.flat(id);
  }

  #sourcesOfSink(id: NodeId, realized: ReadonlySet<NodeId>): readonly NodeId[] {
    const structure = this.#structures.of([id]);
    let reads = this.#sinkReads.get(structure.kind);
    if (reads === undefined) {
      const sources = sourcesOfSink(this.#work, realized, this.#streams, id);
      reads = [...sources].map((source) => placeOf(structure, source));
      this.#sinkReads.set(structure.kind, reads);
    }
    return reads.map((tensor) => structure.tensors[tensor]!);
  }

  /** Whether none of these sinks uses the result of another in a way that is not known before its end. */
  #isJoint(sinks: readonly NodeId[]): boolean {
    const { kind } = this.#structures.of(sinks);
    let joint = this.#joint.get(kind);
    if (joint === undefined) {
      joint = lowerStream(this.#work, this.#realized, this.#streams, sinks, ONE_BY_ONE) !== undefined;
      this.#joint.set(kind, joint);
    }
    return joint;
  }

  place(id: NodeId, enabled: boolean): void {
    this.#position += 1;
    const node = this.#work.node(id);
    const isSink = this.#streams.sinks.has(id);
    if (isSink && this.#joinStream(id)) return;
    const mayJoin = enabled && !this.#work.apart.has(id);
    if (mayJoin && !isSink) {
      for (const group of this.#candidates(id)) {
        if (this.#join(group, id)) return;
      }
    }
    let kind: Group["kind"] = "map";
    if (isHero(node)) kind = node.op === "scatter_add" ? "segment" : "row";
    if (isHero(node) && this.#isTileable(id)) kind = "matmul";
    if (isSink) kind = this.#streams.sinks.get(id)!.stream === "batch" ? "score_sum" : "stream";
    if (mayJoin && kind === "matmul" && this.#rules.has("sums") && this.#takeInSum(id)) return;
    const group: Group = {
      id: this.groups.length,
      kind,
      vertices: [],
      count: this.#work.count(id),
      rowShape: kind === "row" ? rowShapeOf(this.#work, id) : undefined,
      rhsSum: undefined,
      columnBlocks: undefined,
      rules: new Set(isSink ? ["attention"] : []),
      before: new Set(),
      firstPosition: this.#position,
    };
    this.groups.push(group);
    this.#add(group, id);
    if (kind === "row") this.#addReduction(group);
    if (kind === "map") push(this.#mapsByCount, group.count, group);
  }

  /** Results that walk the same side of the same scores are computed in one walk, where none waits for another's end. */
  #joinStream(id: NodeId): boolean {
    const sink = this.#streams.sinks.get(id)!;
    const beside = this.groups.filter((group) => {
      const other = this.#streams.sinks.get(group.vertices[0]!);
      const isSameWalk = other?.region === sink.region && other.stream === sink.stream;
      return isSameWalk && String(other.over) === String(sink.over);
    });
    return beside.reverse().some((group) => this.#join(group, id));
  }

  /**
   * A kernel that only sums the right operand of the contraction `id` over the contracted axes becomes part of it: the tiles
   * of the first rows see every element of that operand anyway.
   */
  #takeInSum(id: NodeId): boolean {
    const work = this.#work;
    const node = work.node(id);
    const axes = matmulAxes(node);
    if (node.op !== "einsum" || axes === undefined) return false;
    const { rhs } = node.attrs;
    const right = node.inputs[1]!;
    const kept = rhs.filter((label) => !axes.k.includes(label));
    const columns = [...axes.batch, ...axes.n];
    if (kept.some((label, i) => label !== columns[i])) return false;
    const sum = (work.users[right] ?? []).find((user) => {
      const candidate = work.node(user);
      const summed = candidate.op === "sum" ? candidate.attrs.axes.map((axis) => rhs[axis]!) : [];
      const isAlone = this.groupOf.get(user)?.vertices.length === 1;
      return isAlone && summed.length === axes.k.length && summed.every((label) => axes.k.includes(label));
    });
    const group = sum === undefined ? undefined : this.groupOf.get(sum);
    if (sum === undefined || group === undefined || group.kind !== "row" || work.apart.has(sum)) return false;
    if (this.#barriers.separate(group.vertices, id)) return false;
    for (const source of this.#sources.get(id)!) {
      for (const producer of producersOf(work, source)) {
        const before = this.groupOf.get(producer);
        if (before === undefined || before === group || this.#dependsOn(before, group)) return false;
      }
    }
    if (this.#bindings(group, id) > this.#maxBindings) return false;
    group.kind = "matmul";
    group.count = work.count(id);
    group.rowShape = undefined;
    group.rhsSum = sum;
    group.rules.add("sums");
    group.vertices.length = 0;
    this.#add(group, id);
    this.#add(group, sum);
    return true;
  }

  #isTileable(id: NodeId): boolean {
    const node = this.#work.node(id);
    const axes = matmulAxes(node);
    // Register tiles hold f32; integers are summed row by row.
    if (axes === undefined || node.op !== "einsum" || node.type.dtype !== "f32") return false;
    const size = (labels: readonly number[]) =>
      labels.reduce((n, label) => n * node.type.shape[node.attrs.out.indexOf(label)]!, 1);
    return size(axes.m) >= NARROWEST_TILE && size(axes.n) >= NARROWEST_TILE;
  }

  #addReduction(group: Group): void {
    push(this.#reductionsByKey, group.rowShape!.key, group);
    push(this.#reductionsByRows, group.rowShape!.rows, group);
    push(this.#reductionsByLength, group.rowShape!.length, group);
  }

  #add(group: Group, id: NodeId): void {
    group.vertices.push(id);
    this.groupOf.set(id, group);
    for (const source of this.#sources.get(id)!) {
      for (const producer of producersOf(this.#work, source)) {
        const before = this.groupOf.get(producer);
        if (before !== undefined && before !== group) group.before.add(before);
      }
    }
  }

  /** Kernels of the sources, latest first; then kernels beside it that read the same tensors in the same rows. */
  #candidates(id: NodeId): readonly Group[] {
    const groups = new Set<Group>();
    for (const source of this.#sources.get(id)!) {
      const group = this.groupOf.get(source);
      if (group !== undefined) groups.add(group);
    }
    const vertical = [...groups].sort((a, b) => b.firstPosition - a.firstPosition);
    // Kernels of rows that it is a sum down the columns of come first: beside one it would run down columns again.
    const ofRows = this.#rules.has("columns") ? this.#rowsAcross(id) : [];
    if (!this.#rules.has("beside")) return [...ofRows, ...vertical];
    const shape = rowShapeOf(this.#work, id);
    const isReduction = isHero(this.#work.node(id));
    const beside = isReduction && shape !== undefined ? (this.#reductionsByKey.get(shape.key) ?? []) : [];
    const sharing = beside
      .filter((group) => group.kind === "row" && !groups.has(group) && this.#sharesBigSource(group, id))
      .slice(-4);
    const maps = isReduction ? [] : (this.#mapsByCount.get(this.#work.count(id)) ?? []);
    const isFill = this.#sources.get(id)!.length === 0;
    const besideMaps = maps
      .filter(
        (group) => !groups.has(group) && (isFill || group.count <= SMALL || this.#sharesBigSource(group, id)),
      )
      .slice(-4)
      .reverse();
    // A fill can go anywhere: spread over equal kernels, it leaves them equal.
    if (isFill) besideMaps.sort((a, b) => a.vertices.length - b.vertices.length);
    return [...ofRows, ...vertical, ...sharing.reverse(), ...besideMaps, ...this.#rowsBeside(id)];
  }

  /** The latest kernels of the rows that a sum in blocks of rows goes across, where they have some of its terms' tensors at hand. */
  #rowsAcross(id: NodeId): readonly Group[] {
    const columns = columnBlocksOf(this.#work, id);
    if (columns === undefined) return [];
    return (this.#reductionsByLength.get(columns.length) ?? [])
      .filter(
        (group) =>
          isAcross(group, columns) &&
          (this.#sharesBigSource(group, id) ||
            this.#sources.get(id)!.some((source) => this.groupOf.get(source) === group)),
      )
      .slice(-4)
      .reverse();
  }

  /** A few elements made of states and inputs alone, a learning rate say, need no kernel of their own beside as many rows. */
  #rowsBeside(id: NodeId): readonly Group[] {
    const count = this.#work.count(id);
    const isReady = this.#sources.get(id)!.every((source) => producersOf(this.#work, source).length === 0);
    if (count > SMALL || !isReady || isHero(this.#work.node(id))) return [];
    const groups = this.#reductionsByRows.get(count) ?? [];
    return groups
      .filter((group) => group.kind === "row")
      .slice(-4)
      .reverse();
  }

  #sharesBigSource(group: Group, id: NodeId): boolean {
    const length = group.rowShape === undefined ? group.count : group.rowShape.rows * group.rowShape.length;
    const sources = this.#sources.get(id)!;
    return group.vertices.some((vertex) =>
      this.#sources.get(vertex)!.some((s) => sources.includes(s) && this.#work.count(s) * 2 >= length),
    );
  }

  #join(group: Group, id: NodeId): boolean {
    const refuse = (reason: string): false => {
      const producer =
        this.#sources.get(id)!.find((s) => this.groupOf.get(s) === group) ?? group.vertices[0]!;
      this.refusals.push({ producer, consumer: id, reason });
      return false;
    };
    if (this.#barriers.separate(group.vertices, id)) return refuse("it is computed again, later");
    if (this.#work.apart.has(group.vertices[0]!))
      return refuse("the kernel of both was wrong on this device");
    const fit = this.#fits(group, id);
    if (fit !== true) return refuse(fit);
    const columns = columnBlocksOf(this.#work, id);
    const rule = this.#ruleOf(group, id);
    if (!this.#rules.has(rule)) return refuse(`the rule \`${rule}\` is switched off`);
    for (const source of this.#sources.get(id)!) {
      if (this.groupOf.get(source) === group) continue;
      for (const producer of producersOf(this.#work, source)) {
        const before = this.groupOf.get(producer);
        if (before === undefined) return refuse("a source is computed later");
        if (before === group || this.#dependsOn(before, group)) {
          return refuse("another source depends on this kernel, so the two would wait for each other");
        }
      }
    }
    if (this.#bindings(group, id) > this.#maxBindings)
      return refuse(`more than ${this.#maxBindings} storage buffers`);
    if (group.kind === "map" && isHero(this.#work.node(id))) {
      group.kind = "row";
      group.rowShape = rowShapeOf(this.#work, id);
      this.#addReduction(group);
    }
    if (columns !== undefined && isAcross(group, columns)) group.columnBlocks = columns;
    this.#add(group, id);
    group.rules.add(rule);
    return true;
  }

  /** The rule by which `id` would join the group. */
  #ruleOf(group: Group, id: NodeId): FusionRule {
    if (this.#streams.sinks.has(id)) return "attention";
    const columns = columnBlocksOf(this.#work, id);
    if (columns !== undefined && isAcross(group, columns)) return "columns";
    if (!this.#sources.get(id)!.some((source) => this.groupOf.get(source) === group)) return "beside";
    if (group.vertices.some((vertex) => this.#work.node(vertex).op === "einsum")) return "epilogue";
    return group.kind === "row" || isHero(this.#work.node(id)) ? "rows" : "elementwise";
  }

  /** Whether `id` reads the group's results only where the group has them at hand. */
  #fits(group: Group, id: NodeId): true | string {
    const work = this.#work;
    const node = work.node(id);
    if (group.kind === "segment" || node.op === "scatter_add") return "scatters run alone";
    if (this.#streams.sinks.has(id)) {
      const vertices = [...group.vertices, id];
      if (group.kind === "score_sum")
        return (
          !this.#sources.get(id)!.some((source) => vertices.includes(source)) || "it needs a finished sum"
        );
      return this.#isJoint(vertices) || "it needs a result that is known only after the walk";
    }
    if (isRounding(node) && this.#roundsSumOf(group, node)) return true;
    if (group.kind === "stream" || group.kind === "score_sum")
      return "what follows a walk over scores starts a kernel of its own";
    const shape = rowShapeOf(work, id);
    if (isHero(node)) {
      if (node.op === "einsum") return "a contraction starts a kernel of its own";
      if (group.kind === "matmul") return "a reduction over a tiled result needs whole rows";
      if (group.kind === "map") {
        if (group.vertices.some((vertex) => work.isUpdate(vertex))) return UPDATES_IN_PLACE;
        if (group.count !== shape!.rows * shape!.length) return "the sizes differ";
        for (const vertex of group.vertices) {
          const read = this.#allAt(group, this.#domains.full(vertex, shape!), () => "full");
          if (read !== true) return read;
        }
        return this.#allAt(group, this.#domains.reduction(id, shape!), () => "full");
      }
      if (group.vertices.some((v) => work.node(v).op === "einsum")) return "the rows differ";
      const columns = columnBlocksOf(work, id);
      if (columns !== undefined && isAcross(group, columns)) {
        if (group.columnBlocks !== undefined && group.columnBlocks.rows !== columns.rows)
          return "the blocks of rows differ";
        return this.#allAt(group, this.#domains.columns(id, group.rowShape!), (v) => this.#levelIn(group, v));
      }
      if (group.rowShape!.key !== shape!.key) return "the rows differ";
      return this.#allAt(group, this.#domains.reduction(id, shape!), (v) => this.#levelIn(group, v));
    }
    const count = work.count(id);
    if (group.kind === "row") {
      const rows = group.rowShape!;
      if (count === rows.rows) {
        return this.#allAt(group, this.#domains.row(id, rows), (v) => this.#levelIn(group, v));
      }
      if (count !== rows.rows * rows.length) return "the sizes differ";
      if (work.isUpdate(id)) return UPDATES_IN_PLACE;
      if (group.vertices.some((v) => work.node(v).op === "einsum"))
        return "the terms of a contraction are not stored";
      return this.#allAt(group, this.#domains.full(id, rows), (v) => this.#levelIn(group, v));
    }
    if (count !== group.count) return "the sizes differ";
    return this.#allAt(group, this.#domains.flat(id), () => "full");
  }

  /** Whether a node is the rounded result of a contraction that a walk over scores ends in. */
  #roundsSumOf(group: Group, { inputs }: Node): boolean {
    const source = this.#work.stripReshapes(inputs[0]!);
    return (
      group.kind === "stream" &&
      group.vertices.includes(source) &&
      this.#streams.sinks.has(source) &&
      this.#work.node(source).op === "einsum"
    );
  }

  #levelIn(group: Group, vertex: NodeId): ReadPlace {
    return this.#work.count(vertex) === group.rowShape!.rows ? "row" : "full";
  }

  #allAt(
    group: Group,
    reads: ReadonlyMap<NodeId, ReadPlace>,
    expected: (v: NodeId) => ReadPlace,
  ): true | string {
    for (const [source, place] of reads) {
      if (this.groupOf.get(source) !== group) continue;
      if (place !== expected(source)) return "it reads elements that other invocations compute";
    }
    return true;
  }

  /** Whether `group` waits for `target`, directly or not. */
  #dependsOn(group: Group, target: Group): boolean {
    this.#search += 1;
    const stack = [group];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (next === target) return true;
      if (this.#searched[next.id] === this.#search) continue;
      this.#searched[next.id] = this.#search;
      for (const before of next.before) stack.push(before);
    }
    return false;
  }

  /** Storage buffers of the group with `id` in it, if nothing else joins. */
  #bindings(group: Group, id: NodeId): number {
    const members = new Set([...group.vertices, id]);
    const bound = new Set<NodeId>();
    for (const member of members) {
      for (const source of this.#sources.get(member)!) if (!members.has(source)) bound.add(source);
      const escapes = (this.#readers.get(member) ?? []).some((reader) => !members.has(reader));
      const replaced = this.#countsUpdatesInPlace ? this.#work.stateReplacedBy(member) : undefined;
      if (escapes || this.#work.isRequired(member))
        bound.add(replaced ?? this.#work.windows.get(member)?.of ?? member);
    }
    return bound.size;
  }
}

/** Whether a sum down columns in these blocks goes across the rows of a kernel. */
function isAcross({ kind, rowShape }: Group, { blocks, rows, length }: ColumnBlocks): boolean {
  if (kind !== "row" || rowShape === undefined || rowShape.length !== length) return false;
  const [outer, inner] = rowShape.runs;
  return (
    rowShape.runs.length === 2 &&
    !outer!.reduced &&
    inner!.reduced &&
    Math.ceil(rowShape.rows / rows) === blocks
  );
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
