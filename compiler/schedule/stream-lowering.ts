import type { DType, NodeId, NodeOf } from "../graph/index.ts";
import {
  type AxisExpr,
  childrenOf,
  type Expr,
  KernelBuilder,
  type Reduction,
  walk,
} from "../kernel/index.ts";
import { Lowering } from "./lower.ts";
import { operandsOf, type StreamRegion, type Streams } from "./streams.ts";
import { matmulAxes, type WorkGraph } from "./work-graph.ts";

/** Steps in which axes advance: what loads can be aligned to. */
export interface StreamMultiples {
  readonly outer: number;
  readonly stream: number;
  /** 4 where the contraction of a score is walked four at a time, as far as its length allows. */
  readonly k: 1 | 4;
}

export const ONE_BY_ONE: StreamMultiples = { outer: 1, stream: 1, k: 1 };

export interface LoweredScore {
  readonly name: string;
  readonly k: AxisExpr;
  /** Over batch, outer and k; over batch, stream and k. */
  readonly lhs: Expr;
  readonly rhs: Expr;
}

export interface LoweredSum {
  readonly name: string;
  readonly n: AxisExpr;
  /** Over batch, outer and stream; over batch, stream and n. */
  readonly weight: Expr;
  readonly operand: Expr;
  /** The logsumexp below whose running maximum the weight is taken, see {@link belowMaximum}. */
  readonly online: string | undefined;
  /** Element of the result, over batch, outer and n, and what it is. */
  readonly index: Expr;
  readonly value: Expr;
  /** What is to be stored of it in f16. */
  readonly rounded: { readonly node: NodeId; readonly value: Expr }[];
}

/** The sinks of one kernel as expressions of one builder. */
export interface LoweredStream {
  readonly batch: AxisExpr;
  readonly outer: AxisExpr;
  readonly stream: AxisExpr;
  readonly scores: readonly LoweredScore[];
  readonly reductions: ReadonlyMap<NodeId, Reduction>;
  /** Where the results of reductions lie, one a row. */
  readonly rowIndex: Expr;
  readonly sums: ReadonlyMap<NodeId, LoweredSum>;
  /** The result of a reduction, by name. */
  readonly rowValue: (dtype: DType, name: string) => Expr;
}

/** The name of a logsumexp's running maximum as a value. */
export const runningMaximum = (name: string): string => `${name}_max`;

/**
 * The kernel of some sinks of a region that walk the same side, in dependency order, with what rounds their contractions.
 * @returns undefined where a sink uses the result of another in a way that is not known before its end
 */
export function lowerStream(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  streams: Streams,
  vertices: readonly NodeId[],
  multiples: StreamMultiples,
): LoweredStream | undefined {
  const first = streams.sinks.get(vertices[0]!)!;
  if (first.stream === "batch") throw new Error("schedule: a sum over batches walks no side");
  const { region } = first;
  const b = new KernelBuilder();
  const sizes = (axes: readonly number[]) => axes.map((axis) => region.shape[axis]!);
  const extent = (axes: readonly number[]) => sizes(axes).reduce((n, size) => n * size, 1);
  const outerAxes = region.axes[first.stream === "m" ? "n" : "m"];
  const streamAxes = region.axes[first.stream];
  const batch = b.axis("batch", extent(region.axes.batch));
  const outer = b.axis("outer", extent(outerAxes), multiples.outer);
  const stream = b.axis("stream", extent(streamAxes), multiples.stream);
  const at: Expr[] = [];
  for (const [axes, axis] of [
    [region.axes.batch, batch],
    [outerAxes, outer],
    [streamAxes, stream],
  ] as const) {
    b.delinearize(axis, sizes(axes)).forEach((e, i) => {
      at[axes[i]!] = e;
    });
  }

  const isSwapped = first.stream === "m";
  const { lowering, scores, values } = lowerScores(work, realized, b, region, {
    at,
    over: [outer, stream],
    isSwapped,
    step: multiples.k,
  });

  const reductions = new Map<NodeId, Reduction>();
  const sums = new Map<NodeId, LoweredSum>();
  for (const id of vertices) {
    const node = work.node(id);
    const sink = streams.sinks.get(id);
    if (sink === undefined) {
      const sum = sums.get(work.stripReshapes(node.inputs[0]!))!;
      const value = node.op === "cast" ? b.cast("f16", sum.value) : b.call("round_f16", sum.value);
      sum.rounded.push({ node: id, value });
      continue;
    }
    const { input } = sink;
    const term = b.cast(node.type.dtype, lowering.element(input, at));
    if (node.op !== "einsum") {
      const op = node.op === "logsumexp" ? "logsumexp" : "sum";
      const name = `${op}${reductions.size}`;
      if (
        usesAny(
          term,
          [...reductions.values()].map((r) => r.name),
        )
      )
        return undefined;
      reductions.set(id, { name, op, dtype: term.dtype, body: term });
      values.set(id, b.value(term.dtype, name, [batch, outer]));
      continue;
    }
    const used = [...reductions.values()].filter((r) => usesAny(term, [r.name]));
    let weight = term;
    let online: string | undefined;
    if (used.length > 0) {
      const [reduction] = used;
      if (used.length > 1 || reduction!.op !== "logsumexp") return undefined;
      online = reduction!.name;
      const normalizer = b.value("f32", online, [batch, outer]);
      const maximum = b.value("f32", runningMaximum(online), [batch, outer]);
      if (!isScaledBy(term, normalizer)) return undefined;
      weight = b.substitute(term, new Map([[normalizer, maximum]]));
    }
    const name = `sum_of${sums.size}`;
    const sum = lowerSum(work, b, lowering, node, input, at);
    const value = b.value("f32", name, [batch, outer, sum.n]);
    sums.set(id, { ...sum, name, weight, online, value, rounded: [] });
  }
  const rowIndex = b.linearize(
    at.filter((_, axis) => !streamAxes.includes(axis)),
    region.shape.filter((_, axis) => !streamAxes.includes(axis)),
  );
  const rowValue = (dtype: DType, name: string) => b.value(dtype, name, [batch, outer]);
  return { batch, outer, stream, scores: [...scores.values()], reductions, rowIndex, sums, rowValue };
}

/**
 * A lowering in which the scores of a region are values, contracted on the way. Filled while it is used: `scores` by name, and
 * in `values` what else the kernel computes itself.
 */
export function lowerScores(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  b: KernelBuilder,
  region: StreamRegion,
  place: {
    /** The element of the scores that the kernel is at. */
    readonly at: readonly Expr[];
    readonly over: readonly AxisExpr[];
    /** Whether rows of a block are those of the right operands. */
    readonly isSwapped: boolean;
    readonly step: 1 | 4;
  },
): {
  readonly lowering: Lowering;
  readonly scores: ReadonlyMap<NodeId, LoweredScore>;
  readonly values: Map<NodeId, Expr>;
} {
  const values = new Map<NodeId, Expr>();
  const scores = new Map<NodeId, LoweredScore>();
  const lowering: Lowering = new Lowering(work, realized, b, (id) => {
    const node = work.node(id);
    if (region.scores.has(id) && node.op === "einsum" && !scores.has(id)) {
      const name = `score${scores.size}`;
      values.set(id, b.value("f32", name, place.over));
      scores.set(id, lowerScore(work, b, lowering, node, name, place.at, place.isSwapped, place.step));
    }
    return values.get(id);
  });
  return { lowering, scores, values };
}

function lowerScore(
  work: WorkGraph,
  b: KernelBuilder,
  lowering: Lowering,
  node: NodeOf<"einsum">,
  name: string,
  at: readonly Expr[],
  isSwapped: boolean,
  step: 1 | 4,
): LoweredScore {
  const { lhs, rhs, out } = node.attrs;
  const labels = matmulAxes(node)!.k;
  const { shape } = work.node(node.inputs[0]!).type;
  const sizes = labels.map((label) => shape[lhs.indexOf(label)]!);
  const length = sizes.reduce((n, size) => n * size, 1);
  const k = b.axis(`k_${name}`, length, length % step === 0 ? step : 1);
  const summed = b.delinearize(k, sizes);
  const position = (label: number): Expr => at[out.indexOf(label)] ?? summed[labels.indexOf(label)]!;
  const left = b.cast("f32", lowering.element(node.inputs[0]!, lhs.map(position)));
  const right = b.cast("f32", lowering.element(node.inputs[1]!, rhs.map(position)));
  return { name, k, lhs: isSwapped ? right : left, rhs: isSwapped ? left : right };
}

function lowerSum(
  work: WorkGraph,
  b: KernelBuilder,
  lowering: Lowering,
  node: NodeOf<"einsum">,
  input: NodeId,
  at: readonly Expr[],
): Pick<LoweredSum, "n" | "operand" | "index"> {
  const { mine, other, otherId, free } = operandsOf(node, input);
  const { shape } = work.node(otherId).type;
  const sizes = free.map((label) => shape[other.indexOf(label)]!);
  const n = b.axis(
    "n",
    sizes.reduce((total, size) => total * size, 1),
    4,
  );
  const column = b.delinearize(n, sizes);
  const position = (label: number): Expr => at[mine.indexOf(label)] ?? column[free.indexOf(label)]!;
  const operand = b.cast("f32", lowering.element(otherId, other.map(position)));
  const index = b.linearize(node.attrs.out.map(position), node.type.shape);
  return { n, operand, index };
}

function usesAny(e: Expr, names: readonly string[]): boolean {
  let found = false;
  walk([e], (x) => {
    if (x.kind === "value" && names.includes(x.name)) found = true;
  });
  return found;
}

/**
 * Whether `e` is exp(x - normalizer) times something, where neither x nor the rest knows the normalizer. Then the sum over such
 * terms can be kept relative to any number that stands in its place, and scaled once at the end.
 */
function isScaledBy(e: Expr, normalizer: Expr): boolean {
  const knows = new Map<Expr, boolean>();
  walk([e], (x) => {
    knows.set(x, x === normalizer || childrenOf(x).some((child) => knows.get(child)!));
  });
  const isScaled = (x: Expr): boolean => {
    if (x.kind === "select") {
      const isZero = (y: Expr) => y.kind === "constant" && y.value === 0;
      return (
        !knows.get(x.condition)! &&
        [x.then, x.otherwise].every((y) => isZero(y) || (knows.get(y)! && isScaled(y)))
      );
    }
    // Rounding keeps as many digits at any scale.
    if (x.kind === "cast") return isScaled(x.of);
    if (x.kind !== "call") return false;
    const [first, second] = x.args;
    switch (x.fn) {
      case "exp":
        return (
          first?.kind === "call" &&
          first.fn === "sub" &&
          first.args[1] === normalizer &&
          !knows.get(first.args[0]!)!
        );
      case "neg":
      case "round_f16":
        return isScaled(first!);
      case "div":
        return !knows.get(second!)! && isScaled(first!);
      case "mul":
        return knows.get(first!)! ? !knows.get(second!)! && isScaled(first!) : isScaled(second!);
      default:
        return false;
    }
  };
  return isScaled(e);
}
