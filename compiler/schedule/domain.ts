import type { NodeId } from "../graph/index.ts";
import { type AxisExpr, type Expr, KernelBuilder, type ReduceKind, walk } from "../kernel/index.ts";
import { type ColumnBlocks, columnBlocksOf } from "./columns.ts";
import { Lowering } from "./lower.ts";
import { placeOf, type Structure, type Structures } from "./structure.ts";
import { isReduction, matmulAxes, type WorkGraph } from "./work-graph.ts";

/** How a kernel's rows lie in a full tensor: element `full` is the one at position `inner` of row `row`. */
export interface RowDomain {
  readonly key: string;
  readonly rows: number;
  readonly length: number;
  readonly row: AxisExpr;
  readonly inner: AxisExpr;
  /** The axes as indices: 0 where there is one row, or rows of one. */
  readonly rowIndex: Expr;
  readonly innerIndex: Expr;
  readonly full: Expr;
}

/** A loop variable as an index; a loop of one turn has none, so that index 0 and its variable are not told apart. */
export function indexOf(b: KernelBuilder, axis: AxisExpr): Expr {
  return axis.extent === 1 ? b.constant("i32", 0) : axis;
}

export interface RowShape {
  readonly key: string;
  /** Alternating runs of kept and reduced axes, sizes multiplied. */
  readonly runs: readonly { readonly size: number; readonly reduced: boolean }[];
  readonly rows: number;
  readonly length: number;
}

/** Where a kernel reads a tensor: at its own element, at its row, or anywhere else. */
export type ReadPlace = "full" | "row" | "other";

/** Rows and length of a reduction. Contractions count as rows of `out` whose terms are nowhere stored. */
export function rowShapeOf(work: WorkGraph, id: NodeId): RowShape | undefined {
  const node = work.node(id);
  if (node.op === "einsum") {
    const axes = matmulAxes(node)!;
    const sizeOf = (label: number) => work.node(node.inputs[0]!).type.shape[node.attrs.lhs.indexOf(label)]!;
    const length = axes.k.reduce((n, label) => n * sizeOf(label), 1);
    return shapeOfRuns([
      { size: work.count(id), reduced: false },
      { size: length, reduced: true },
    ]);
  }
  if (!isReduction(node)) return undefined;
  const { shape } = work.node(node.inputs[0]!).type;
  return shapeOfRuns(shape.map((size, axis) => ({ size, reduced: node.attrs.axes.includes(axis) })));
}

function shapeOfRuns(axes: readonly { size: number; reduced: boolean }[]): RowShape {
  const runs: { size: number; reduced: boolean }[] = [];
  for (const { size, reduced } of axes) {
    const last = runs.at(-1);
    if (last?.reduced === reduced) last.size *= size;
    else if (size !== 1) runs.push({ size, reduced });
  }
  const product = (reduced: boolean) =>
    runs.reduce((n, run) => (run.reduced === reduced ? n * run.size : n), 1);
  const key = runs.map((run) => `${run.size}${run.reduced ? "r" : ""}`).join("x");
  return { key, runs, rows: product(false), length: product(true) };
}

export function makeRowDomain(
  b: KernelBuilder,
  shape: RowShape,
  multiples = { row: 1, inner: 1 },
): RowDomain {
  const row = b.axis("row", shape.rows, multiples.row);
  const inner = b.axis("i", shape.length, multiples.inner);
  const sizes = (reduced: boolean) =>
    shape.runs.filter((run) => run.reduced === reduced).map((run) => run.size);
  const [rowIndex, innerIndex] = [indexOf(b, row), indexOf(b, inner)];
  const rowAt = [...b.delinearize(rowIndex, sizes(false))];
  const innerAt = [...b.delinearize(innerIndex, sizes(true))];
  const at = shape.runs.map((run) => (run.reduced ? innerAt.shift()! : rowAt.shift()!));
  const full = b.linearize(
    at,
    shape.runs.map((run) => run.size),
  );
  return { key: shape.key, rows: shape.rows, length: shape.length, row, inner, rowIndex, innerIndex, full };
}

/** The body of a sum, maximum or contraction at (row, inner). */
export function reductionBody(
  work: WorkGraph,
  lowering: Lowering,
  id: NodeId,
  row: Expr,
  inner: Expr,
): { readonly op: ReduceKind; readonly body: Expr } {
  const { b } = lowering;
  const node = work.node(id);
  const at = b.delinearize(row, node.type.shape);
  const captured = b.capture(() => lowering.compute(id, at));
  if (!("extents" in captured)) {
    // Over axes of size 1: each term is the result.
    return { op: node.op === "reduce_max" || node.op === "logsumexp" ? "max" : "sum", body: captured };
  }
  return { op: captured.op, body: captured.body(b.delinearize(inner, captured.extents)) };
}

/** The term of a sum down columns, made in blocks of rows, at (row, inner) of the rows that it sums. */
export function columnTerm(
  work: WorkGraph,
  lowering: Lowering,
  id: NodeId,
  blocks: ColumnBlocks,
  row: Expr,
  inner: Expr,
): Expr {
  const { b } = lowering;
  const column = b.addIndex(b.scaleIndex(b.floorDiv(row, blocks.rows), blocks.length), inner);
  return reductionBody(work, lowering, id, column, b.modulo(row, blocks.rows)).body;
}

/**
 * Says where each realized node would read its sources, for every kernel domain it may run in. Nodes of one structure are lowered
 * once a domain; the answer is found from index expressions alone, so any reshape or transposition that keeps elements in
 * place is seen through.
 */
export class Domains {
  readonly #work: WorkGraph;
  readonly #lowering: Lowering;
  readonly #flat = new Map<number, Expr>();
  readonly #rows = new Map<string, RowDomain>();
  readonly #reads = new Map<string, ReadonlyMap<NodeId, ReadPlace>>();
  readonly #structures: Structures;
  readonly #structureOf = new Map<NodeId, Structure>();
  /** By domain and structure: the place of each tensor of the structure that is read. */
  readonly #places = new Map<string, readonly (readonly [tensor: number, place: ReadPlace])[]>();

  constructor(work: WorkGraph, realized: ReadonlySet<NodeId>, structures: Structures) {
    this.#work = work;
    this.#structures = structures;
    this.#lowering = new Lowering(work, realized, new KernelBuilder());
  }

  #flatIndex(count: number): Expr {
    let index = this.#flat.get(count);
    if (index === undefined) {
      index = indexOf(this.#lowering.b, this.#lowering.b.axis("i", count));
      this.#flat.set(count, index);
    }
    return index;
  }

  #rowDomain(shape: RowShape): RowDomain {
    let domain = this.#rows.get(shape.key);
    if (domain === undefined) {
      domain = makeRowDomain(this.#lowering.b, shape);
      this.#rows.set(shape.key, domain);
    }
    return domain;
  }

  #remember(domain: string, id: NodeId, body: () => Expr, full: Expr | undefined, row: Expr | undefined) {
    const key = `${id}:${domain}`;
    const known = this.#reads.get(key);
    if (known !== undefined) return known;
    const structure = this.#structure(id);
    const equal = `${structure.kind}:${domain}`;
    let places = this.#places.get(equal);
    if (places === undefined) {
      const found = readPlaces(body(), full, row);
      places = [...found].map(([tensor, place]) => [placeOf(structure, tensor), place] as const);
      this.#places.set(equal, places);
    }
    const reads = new Map(places.map(([tensor, place]) => [structure.tensors[tensor]!, place]));
    this.#reads.set(key, reads);
    return reads;
  }

  #structure(id: NodeId): Structure {
    let structure = this.#structureOf.get(id);
    if (structure === undefined) {
      structure = this.#structures.of([id]);
      this.#structureOf.set(id, structure);
    }
    return structure;
  }

  /** An elementwise node over its own elements. */
  flat(id: NodeId): ReadonlyMap<NodeId, ReadPlace> {
    const index = this.#flatIndex(this.#work.count(id));
    return this.#remember("flat", id, () => this.#computeAt(id, index), index, undefined);
  }

  /** An elementwise node of as many elements as the domain's full tensors. */
  full(id: NodeId, shape: RowShape): ReadonlyMap<NodeId, ReadPlace> {
    const domain = this.#rowDomain(shape);
    return this.#remember(
      `full:${shape.key}`,
      id,
      () => this.#computeAt(id, domain.full),
      domain.full,
      domain.rowIndex,
    );
  }

  /** An elementwise node of one element a row. */
  row(id: NodeId, shape: RowShape): ReadonlyMap<NodeId, ReadPlace> {
    const domain = this.#rowDomain(shape);
    return this.#remember(
      `row:${shape.key}`,
      id,
      () => this.#computeAt(id, domain.rowIndex),
      undefined,
      domain.rowIndex,
    );
  }

  /** A reduction over the domain's inner axis. */
  reduction(id: NodeId, shape: RowShape): ReadonlyMap<NodeId, ReadPlace> {
    const domain = this.#rowDomain(shape);
    const body = () => reductionBody(this.#work, this.#lowering, id, domain.rowIndex, domain.innerIndex).body;
    return this.#remember(`reduction:${shape.key}`, id, body, domain.full, domain.rowIndex);
  }

  /** A sum down columns, made in blocks of rows, over the rows that it sums. */
  columns(id: NodeId, shape: RowShape): ReadonlyMap<NodeId, ReadPlace> {
    const domain = this.#rowDomain(shape);
    const blocks = columnBlocksOf(this.#work, id)!;
    return this.#remember(
      `columns:${shape.key}`,
      id,
      () => columnTerm(this.#work, this.#lowering, id, blocks, domain.rowIndex, domain.innerIndex),
      domain.full,
      domain.rowIndex,
    );
  }

  #computeAt(id: NodeId, index: Expr): Expr {
    const { shape } = this.#work.node(id).type;
    return this.#lowering.compute(id, this.#lowering.b.delinearize(index, shape));
  }
}

/** Where an expression reads its tensors, in the order in which it does first. */
function readPlaces(
  body: Expr,
  full: Expr | undefined,
  row: Expr | undefined,
): ReadonlyMap<NodeId, ReadPlace> {
  const found = new Map<NodeId, ReadPlace>();
  walk([body], (e) => {
    if (e.kind !== "load") return;
    const place: ReadPlace = e.index === full ? "full" : e.index === row ? "row" : "other";
    const before = found.get(e.tensor);
    found.set(e.tensor, before === undefined || before === place ? place : "other");
  });
  return found;
}

/** The realized nodes whose kernels must run before a tensor can be read: none for inputs and states. */
export function producersOf(work: WorkGraph, tensor: NodeId): readonly NodeId[] {
  const node = work.node(tensor);
  if (node.op === "view" && work.isStorage(tensor))
    return producersOf(work, work.stripReshapes(node.inputs[0]!));
  if (node.op === "pack") return work.packs.get(tensor)!.flatMap((part) => producersOf(work, part));
  const pieces = work.windowedPieces(tensor);
  if (pieces !== undefined) return pieces;
  return work.isStorage(tensor) ? [] : [tensor];
}
