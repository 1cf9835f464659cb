import { elementCount, formatType, type NodeId, type TensorType } from "../graph/index.ts";
import {
  type Expr,
  type ExpressionKernel,
  KernelBuilder,
  type KernelTensor,
  type MapKernel,
  type MatmulKernel,
  type PartKernel,
  type Reduction,
  type RowKernel,
  type Store,
  walk,
} from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { columnBlocksOf } from "./columns.ts";
import { columnTerm, indexOf, makeRowDomain, reductionBody } from "./domain.ts";
import type { FusionPlan, Group } from "./fuse.ts";
import { Lowering } from "./lower.ts";
import { provenanceOf } from "./provenance.ts";
import { buildScoreSum, buildStream } from "./stream-kernel.ts";
import type { Structures } from "./structure.ts";
import type { TensorHomes } from "./tensors.ts";
import {
  chooseBlock,
  chooseMatrices,
  chooseNeighbours,
  chooseTile,
  flopsOf,
  matmulAccess,
  originMultiple,
  vectorGain,
} from "./tile.ts";
import { isHero, matmulAxes, type WorkGraph } from "./work-graph.ts";

/** A tensor that exists only in the plan (negative ids): the chains of a scatter. */
export interface PlanTensor {
  readonly id: number;
  readonly label: string;
  readonly type: TensorType;
}

export interface BuildContext {
  readonly work: WorkGraph;
  readonly realized: ReadonlySet<NodeId>;
  readonly plan: FusionPlan;
  readonly homes: TensorHomes;
  readonly profile: DeviceProfile;
  readonly structures: Structures;
  /** Filled while kernels are built. */
  readonly extraTensors: Map<number, PlanTensor>;
  /** Tensors of which kernels bind a tail of its own, by where that begins. */
  readonly tails: Map<number, Map<number, PlanTensor>>;
  /** Tensors in whose place others lie, whole or in part: they cannot be moved. */
  readonly occupied: Set<number>;
}

/** The kernel of a group. What is made of its expressions depends on the group's structure alone, see `equal-kernels.ts`. */
export function buildKernel(context: BuildContext, group: Group): ExpressionKernel {
  switch (group.kind) {
    case "map":
      return buildMap(context, group);
    case "row":
      return buildRow(context, group);
    case "matmul":
      return buildMatmul(context, group);
    case "segment":
      throw new Error("schedule: sums of equal indices take several kernels, see segment.ts");
    case "stream":
      return buildStream(context, group);
    case "score_sum":
      return buildScoreSum(context, group);
    default:
      return group.kind satisfies never;
  }
}

export function shapeOf(context: BuildContext, id: NodeId): readonly number[] {
  return context.work.node(id).type.shape;
}

function buildMap(context: BuildContext, group: Group): MapKernel {
  const b = new KernelBuilder();
  const width = group.count % 4 === 0 ? 4 : 1;
  const axis = b.axis("i", group.count, width);
  const members = new Set(group.vertices);
  const lowering: Lowering = new Lowering(context.work, context.realized, b, (id, _index, at) =>
    members.has(id) ? lowering.compute(id, at) : undefined,
  );
  const stores = storesAt(context, group, lowering, group.vertices, indexOf(b, axis));
  const vectors = group.count / width;
  const software = context.profile.deviceClass === "software";
  const vectorsPerInvocation = vectors >= 65_536 ? 4 : 1;
  return {
    kind: "map",
    axis,
    width,
    vectorsPerInvocation,
    stores,
    workgroupSize: software ? 16 : 64,
    flops: flopsOf(stores.map((s) => s.value)) * group.count,
    ...describe(
      context,
      group,
      stores.flatMap((s) => [s.index, s.value]),
      stores,
    ),
  };
}

/** Where element `index` of a result goes: into the tensor itself, the state it replaces, or its window of another. */
function targetOf(
  { work, homes }: BuildContext,
  b: KernelBuilder,
  id: NodeId,
  index: Expr,
): { readonly tensor: NodeId; readonly index: Expr } {
  const window = work.windows.get(id);
  if (window === undefined) return { tensor: homes.bindingOf(id), index };
  const outer = b.scaleIndex(b.floorDiv(index, window.width), window.pitch);
  const inner = b.addIndex(b.modulo(index, window.width), b.constant("i32", window.offset));
  return { tensor: window.of, index: b.addIndex(outer, inner) };
}

/** Stores of the vertices that must go to memory, each at element `index`. */
function storesAt(
  context: BuildContext,
  group: Group,
  lowering: Lowering,
  vertices: readonly NodeId[],
  index: Expr,
): readonly Store[] {
  const stored = vertices.filter(
    (id) => context.plan.stored.has(id) && context.plan.groupOf.get(id) === group,
  );
  return stored.map((id) => ({
    ...targetOf(context, lowering.b, id, index),
    value: lowering.compute(id, lowering.b.delinearize(index, shapeOf(context, id))),
  }));
}

function buildRow(context: BuildContext, group: Group): RowKernel {
  const { work, plan, profile } = context;
  const shape = group.rowShape!;
  // First with plain axes, to see which way most loads run; then again with that axis four wide.
  const draft = lowerRow(context, group, { row: 1, inner: 1 });
  const roots = draft.roots;
  const innerGain = shape.length % 4 === 0 ? vectorGain(roots, draft.inner) : -1;
  const rowGain = shape.rows % 4 === 0 ? vectorGain(roots, draft.row) : -1;
  const wantsRow = rowGain > 0 && rowGain > innerGain && group.columnBlocks === undefined;
  const vector = wantsRow ? "row" : shape.length % 4 === 0 && shape.length >= 8 ? "inner" : "none";
  const built =
    vector === "none"
      ? draft
      : lowerRow(context, group, { row: vector === "row" ? 4 : 1, inner: vector === "inner" ? 4 : 1 });
  const stored = group.vertices.filter((id) => plan.stored.has(id) && !built.columns.has(id));
  const rowStores: Store[] = [];
  const sweeps: { reductions: Reduction[]; stores: Store[]; columns: Store[] }[] = [];
  const sweepAt = (level: number) => {
    while (sweeps.length <= level) sweeps.push({ reductions: [], stores: [], columns: [] });
    return sweeps[level]!;
  };
  const { columnBlocks } = group;
  const blocks = columnBlocks && {
    block: built.b.axis("block", columnBlocks.blocks),
    rows: columnBlocks.rows,
  };
  for (const [id, value] of built.columns) {
    const start = built.b.scaleIndex(blocks!.block, shape.length);
    const index = built.b.addIndex(start, built.innerIndex);
    sweepAt(built.levelOf(value)).columns.push({ ...targetOf(context, built.b, id, index), value });
  }
  for (const id of group.vertices) {
    const reduction = built.reductions.get(id);
    if (reduction !== undefined) sweepAt(reduction.level).reductions.push(reduction.reduction);
  }
  for (const id of stored) {
    if (work.count(id) === shape.rows)
      rowStores.push({ ...targetOf(context, built.b, id, built.rowIndex), value: built.rowValue(id) });
    else {
      const value = built.fullValue(id);
      sweepAt(built.levelOf(value)).stores.push({ ...targetOf(context, built.b, id, built.full), value });
    }
  }
  const bodies = sweeps.flatMap((s) => [
    ...s.reductions.map((r) => r.body),
    ...[...s.stores, ...s.columns].flatMap((x) => [x.index, x.value]),
  ]);
  const all = [...bodies, ...rowStores.flatMap((s) => [s.index, s.value])];
  const gpu = profile.deviceClass === "gpu" && vector !== "row";
  const units = shape.length / (vector === "inner" ? 4 : 1);
  let invocationsPerRow = 1;
  while (gpu && invocationsPerRow < 256 && invocationsPerRow < units && shape.length >= 32)
    invocationsPerRow *= 2;
  const workgroupSize =
    invocationsPerRow > 1 ? invocationsPerRow : profile.deviceClass === "software" ? 4 : 64;
  return {
    kind: "row",
    row: built.row,
    inner: built.inner,
    blocks,
    vector,
    invocationsPerRow,
    subgroups: invocationsPerRow > 1 ? subgroupsOf(profile) : undefined,
    sweeps,
    rowStores,
    workgroupSize,
    flops: flopsOf(bodies) * shape.rows * shape.length,
    ...describe(context, group, all, [...sweeps.flatMap((s) => [...s.stores, ...s.columns]), ...rowStores]),
  };
}

/** How invocations that share a row join what they found, where the device has subgroups. */
export function subgroupsOf({ subgroupSizes }: DeviceProfile): RowKernel["subgroups"] {
  return subgroupSizes && { least: subgroupSizes.min };
}

interface LoweredRow {
  readonly b: KernelBuilder;
  readonly row: ReturnType<KernelBuilder["axis"]>;
  readonly inner: ReturnType<KernelBuilder["axis"]>;
  readonly rowIndex: Expr;
  readonly innerIndex: Expr;
  readonly full: Expr;
  /** Terms of the sums down columns. */
  readonly columns: ReadonlyMap<NodeId, Expr>;
  readonly reductions: ReadonlyMap<NodeId, { readonly reduction: Reduction; readonly level: number }>;
  readonly roots: readonly Expr[];
  rowValue(id: NodeId): Expr;
  fullValue(id: NodeId): Expr;
  /** The sweep in which an expression can first be computed. */
  levelOf(e: Expr): number;
}

function lowerRow(
  context: BuildContext,
  group: Group,
  multiples: { row: number; inner: number },
): LoweredRow {
  const { work } = context;
  const b = new KernelBuilder();
  const domain = makeRowDomain(b, group.rowShape!, multiples);
  const members = new Set(group.vertices);
  const values = new Map<NodeId, Expr>();
  const lowering: Lowering = new Lowering(work, context.realized, b, (id, _index, at) =>
    members.has(id) ? (values.get(id) ?? lowering.compute(id, at)) : undefined,
  );
  const levels = new Map<string, number>();
  const levelOf = (e: Expr): number => {
    let level = 0;
    walk([e], (x) => {
      if (x.kind === "value") level = Math.max(level, levels.get(x.name)! + 1);
    });
    return level;
  };
  const reductions = new Map<NodeId, { reduction: Reduction; level: number }>();
  const roots: Expr[] = [];
  const columns = new Map<NodeId, Expr>();
  const isColumnSum = (id: NodeId): boolean =>
    group.columnBlocks !== undefined && columnBlocksOf(work, id) !== undefined;
  for (const id of group.vertices) {
    if (!isHero(work.node(id))) continue;
    if (isColumnSum(id)) {
      const term = columnTerm(work, lowering, id, group.columnBlocks!, domain.rowIndex, domain.innerIndex);
      columns.set(id, term);
      roots.push(term);
      continue;
    }
    const { op, body } = reductionBody(work, lowering, id, domain.rowIndex, domain.innerIndex);
    const name = `${op}${reductions.size}`;
    const level = levelOf(body);
    reductions.set(id, { reduction: { name, op, dtype: body.dtype, body }, level });
    levels.set(name, level);
    values.set(id, b.value(body.dtype, name, [domain.row]));
    roots.push(body);
  }
  const at = (id: NodeId, index: Expr) =>
    values.get(id) ?? lowering.compute(id, b.delinearize(index, shapeOf(context, id)));
  for (const id of group.vertices) {
    if (context.plan.stored.has(id) && !columns.has(id))
      roots.push(at(id, work.count(id) === domain.rows ? domain.rowIndex : domain.full));
  }
  return {
    b,
    row: domain.row,
    inner: domain.inner,
    rowIndex: domain.rowIndex,
    innerIndex: domain.innerIndex,
    full: domain.full,
    columns,
    reductions,
    roots,
    levelOf,
    rowValue: (id) => at(id, domain.rowIndex),
    fullValue: (id) => at(id, domain.full),
  };
}

function buildMatmul(context: BuildContext, group: Group): MatmulKernel {
  const { work, profile } = context;
  const hero = group.vertices[0]!;
  const node = work.node(hero);
  const axes = matmulAxes(node);
  if (node.op !== "einsum" || axes === undefined)
    throw new Error("schedule: a matmul kernel without a contraction");
  const { lhs, rhs, out } = node.attrs;
  const [lhsId, rhsId] = [node.inputs[0]!, node.inputs[1]!];
  const sizeOf = (label: number): number =>
    lhs.includes(label)
      ? shapeOf(context, lhsId)[lhs.indexOf(label)]!
      : shapeOf(context, rhsId)[rhs.indexOf(label)]!;
  const extent = (labels: readonly number[]) => labels.reduce((n, label) => n * sizeOf(label), 1);
  const [batches, ms, ns, ks] = [extent(axes.batch), extent(axes.m), extent(axes.n), extent(axes.k)];
  const isHalf = [lhsId, rhsId].every((id) => work.node(id).type.dtype === "f16");
  const tile =
    (isHalf ? chooseMatrices(profile, batches, ms, ns, ks) : undefined) ??
    chooseBlock(profile, batches, ms, ns, ks) ??
    chooseTile(profile, batches, ms, ns, ks);
  const { block, matrices } = tile;
  const kStep = ks % 4 === 0 ? tile.k : 1;
  const b = new KernelBuilder();
  const batch = b.axis("batch", batches);
  const m = b.axis("m", ms, originMultiple(ms, tile.m, block?.m));
  const n = b.axis("n", ns, originMultiple(ns, tile.n, block?.n));
  const k = b.axis("k", ks, kStep);
  const position = new Map<number, Expr>();
  for (const [labels, axis] of [
    [axes.batch, batch],
    [axes.m, m],
    [axes.n, n],
    [axes.k, k],
  ] as const) {
    b.delinearize(axis, labels.map(sizeOf)).forEach((e, i) => {
      position.set(labels[i]!, e);
    });
  }
  const accumulator = "acc";
  const members = new Set(group.vertices);
  const flat = b.axis("element", group.count);
  const lowering: Lowering = new Lowering(work, context.realized, b, (id, _index, at) => {
    if (id === hero) return b.value(node.type.dtype, accumulator, [m, n]);
    return members.has(id) ? lowering.compute(id, at) : undefined;
  });
  // The products of halves are those of f32: exact.
  const operand = (id: NodeId, labels: readonly number[]): Expr =>
    b.cast(
      node.type.dtype,
      lowering.element(
        id,
        labels.map((label) => position.get(label)!),
      ),
    );
  const [left, right] = [operand(lhsId, lhs), operand(rhsId, rhs)];
  const outIndex = b.linearize(
    out.map((label) => position.get(label)!),
    node.type.shape,
  );
  // The epilogue is written over the flat element and moved to the tile's: reads of its own element stay so.
  const toTile = new Map<Expr, Expr>([[flat, outIndex]]);
  const stores = group.vertices
    .filter((id) => context.plan.stored.has(id) && id !== group.rhsSum)
    .map((id) => ({
      ...targetOf(context, b, id, outIndex),
      value: b.substitute(
        id === hero
          ? b.value(node.type.dtype, accumulator, [m, n])
          : lowering.compute(id, b.delinearize(flat, shapeOf(context, id))),
        toTile,
      ),
    }));
  const column = b.addIndex(b.scaleIndex(batch, ns), n);
  const rhsSum = group.rhsSum === undefined ? undefined : targetOf(context, b, group.rhsSum, column);
  const epilogueFlops = flopsOf(stores.map((s) => s.value)) * group.count;
  return {
    kind: "matmul",
    batch,
    m,
    n,
    k,
    tile: { m: tile.m, n: tile.n, k: kStep },
    block,
    matrices,
    lhs: left,
    rhs: right,
    ...matmulAccess({ m, n, k, lhs: left, rhs: right }, stores, tile),
    neighbours: chooseNeighbours(ms, ns, block ?? tile),
    epilogue: profile.deviceClass === "software" && epilogueFlops > 0 ? "looped" : "unrolled",
    rhsSum,
    accumulator,
    stores,
    workgroupSize: tile.workgroupSize,
    flops: 2 * batches * ms * ns * ks + (rhsSum === undefined ? 0 : batches * ns * ks) + epilogueFlops,
    ...describe(
      context,
      group,
      [left, right, ...stores.flatMap((s) => [s.index, s.value])],
      stores,
      [],
      rhsSum === undefined ? [] : [rhsSum.tensor],
    ),
  };
}

/** Name, comments and bindings: everything loaded or stored, each once, results last. */
export function describe(
  context: BuildContext,
  group: Group,
  roots: readonly Expr[],
  stores: readonly Store[],
  alsoRead: readonly number[] = [],
  alsoWritten: readonly number[] = [],
): Description {
  const loaded = new Set<number>(alsoRead);
  walk(roots, (e) => {
    if (e.kind === "load") loaded.add(e.tensor);
  });
  const written = new Set<number>([...stores.map((s) => s.tensor), ...alsoWritten]);
  return describeBindings(
    context,
    group,
    [...loaded, ...[...written].filter((id) => !loaded.has(id))],
    written,
  );
}

type Description = Pick<PartKernel, "name" | "comments" | "tensors" | "rules">;

/** The same where it is known which tensors are bound, in this order, and which of them are written. */
export function describeBindings(
  context: BuildContext,
  group: Group,
  bound: readonly number[],
  written: ReadonlySet<number>,
): Description {
  const { work, homes, plan } = context;
  const writtenBuffers = new Set([...written].map((id) => homes.bufferKeyOf(id)));
  const names = new Set<string>();
  const tensors = bound.map((id): KernelTensor => {
    const extra = context.extraTensors.get(id);
    const type = extra?.type ?? work.node(id).type;
    const label = extra?.label ?? tensorLabel(context, id);
    const name = uniqueName(label, names);
    const access = writtenBuffers.has(homes.bufferKeyOf(id)) ? "read_write" : "read";
    const comment =
      extra === undefined ? `${formatType(type)} ${work.node(id).origin.path}`.trimEnd() : formatType(type);
    const count = elementCount(type.shape);
    const pieces = group.vertices.filter((vertex) => work.windows.get(vertex)?.of === id);
    const own = pieces.reduce((n, piece) => n + work.count(piece), 0);
    const touched = pieces.length === 0 ? { elementCount: count } : { elementCount: own, boundCount: count };
    return { tensor: id, name, dtype: type.dtype, ...touched, access, comment };
  });
  const visible = group.vertices.filter((id) => plan.stored.has(id) || isHero(work.node(id)));
  const comments = group.vertices.map((id) => {
    const { origin, type } = work.node(id);
    return [`${origin.label || work.node(id).op}: ${formatType(type)}`, origin.path, origin.at]
      .filter((x) => x !== "")
      .join("  ");
  });
  return {
    name: kernelName(visible.map((id) => work.node(id).origin.label || work.node(id).op)),
    comments,
    tensors,
    rules: provenanceOf(context, group).rules,
  };
}

function tensorLabel(context: BuildContext, id: number): string {
  const node = context.work.node(id);
  if (node.op === "input" || node.op === "state") return node.attrs.name;
  return node.origin.label || node.op;
}

/** A WGSL identifier not yet in `taken`. */
export function uniqueName(label: string, taken: Set<string>): string {
  const base = identifier(label);
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}_${i}`;
  taken.add(name);
  return name;
}

/** Underscores lead and trail nothing, digits do not lead; `t_` keeps clear of WGSL's reserved words. */
function identifier(label: string): string {
  const plain = label.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
  return `t_${plain === "" ? "value" : plain}`;
}

function kernelName(labels: readonly string[]): string {
  const words = [...new Set(labels.map((label) => identifier(label).slice(2)))];
  const name = words.join("_").slice(0, 56).replace(/_+$/, "");
  return name === "" ? "kernel" : name;
}
