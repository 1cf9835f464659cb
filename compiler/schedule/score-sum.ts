import type { NodeId } from "../graph/index.ts";
import { type AxisExpr, type Expr, KernelBuilder } from "../kernel/index.ts";
import { type LoweredScore, lowerScores, type StreamMultiples } from "./stream-lowering.ts";
import type { Streams } from "./streams.ts";
import type { WorkGraph } from "./work-graph.ts";

/** Sums of what is made of scores over axes that both operands have, element by element: the gradient of a bias of the scores. */
export interface LoweredScoreSum {
  readonly batch: AxisExpr;
  /** The axes that are summed over, as one. */
  readonly over: AxisExpr;
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly scores: readonly LoweredScore[];
  /** Element of each sum before it is summed. */
  readonly sums: ReadonlyMap<NodeId, { readonly name: string; readonly body: Expr }>;
  /** Where the sums lie, over batch, m and n. */
  readonly index: Expr;
  readonly sumOf: (name: string) => Expr;
}

export function lowerScoreSum(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  streams: Streams,
  vertices: readonly NodeId[],
  multiples: StreamMultiples,
): LoweredScoreSum {
  const { region, over: summed } = streams.sinks.get(vertices[0]!)!;
  const b = new KernelBuilder();
  const sizes = (axes: readonly number[]) => axes.map((axis) => region.shape[axis]!);
  const extent = (axes: readonly number[]) => sizes(axes).reduce((n, size) => n * size, 1);
  const kept = region.axes.batch.filter((axis) => !summed.includes(axis));
  const batch = b.axis("batch", extent(kept));
  const over = b.axis("over", extent(summed));
  const m = b.axis("m", extent(region.axes.m), multiples.outer);
  const n = b.axis("n", extent(region.axes.n), multiples.stream);
  const at: Expr[] = [];
  for (const [axes, axis] of [
    [kept, batch],
    [summed, over],
    [region.axes.m, m],
    [region.axes.n, n],
  ] as const) {
    b.delinearize(axis, sizes(axes)).forEach((e, i) => {
      at[axes[i]!] = e;
    });
  }
  const { lowering, scores } = lowerScores(work, realized, b, region, {
    at,
    over: [m, n],
    isSwapped: false,
    step: multiples.k,
  });
  const sums = new Map(
    vertices.map((id, i) => [
      id,
      { name: `sum${i}`, body: b.cast("f32", lowering.element(streams.sinks.get(id)!.input, at)) },
    ]),
  );
  const isKept = (_: unknown, axis: number) => !summed.includes(axis);
  const index = b.linearize(at.filter(isKept), region.shape.filter(isKept));
  const sumOf = (name: string) => b.value("f32", name, [batch, m, n]);
  return { batch, over, m, n, scores: [...scores.values()], sums, index, sumOf };
}
