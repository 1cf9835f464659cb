import type { NodeId } from "../graph/index.ts";
import type {
  AxisExpr,
  Expr,
  Score,
  ScoreSumKernel,
  Store,
  StreamKernel,
  StreamSum,
} from "../kernel/index.ts";
import type { Group } from "./fuse.ts";
import { type BuildContext, describe } from "./kernels.ts";
import { lowerScoreSum } from "./score-sum.ts";
import {
  type LoweredScore,
  type LoweredStream,
  lowerStream,
  ONE_BY_ONE,
  type StreamMultiples,
} from "./stream-lowering.ts";
import { flopsOf, largestPowerOfTwo, tileMultiple, vectorGain } from "./tile.ts";

/** The kernel of a group of sinks, see `StreamKernel`. */
export function buildStream(context: BuildContext, group: Group): StreamKernel {
  const { work, realized, plan, homes, profile } = context;
  const software = profile.deviceClass === "software";
  const lower = (multiples: StreamMultiples): LoweredStream => {
    const lowered = lowerStream(work, realized, plan.streams, group.vertices, multiples);
    if (lowered === undefined) throw new Error("schedule: results of one walk wait for each other");
    return lowered;
  };
  const draft = lower(ONE_BY_ONE);
  const { outer, stream } = draft;
  const lengths = [
    ...draft.scores.map((s) => s.k.extent),
    ...[...draft.sums.values()].map((s) => s.n.extent),
  ];
  const products = draft.batch.extent * outer.extent * stream.extent * lengths.reduce((a, c) => a + c, 0);
  const tile = chooseStreamTile(software, outer.extent, stream.extent, products);
  const built = lower({
    outer: tileMultiple(outer.extent, tile.outer),
    stream: tileMultiple(stream.extent, tile.stream),
    k: tile.k,
  });

  const isStored = (id: NodeId) => plan.stored.has(id);
  const rowStores = [...built.reductions].flatMap(([id, { name, dtype }]): Store[] =>
    isStored(id)
      ? [{ tensor: homes.bindingOf(id), index: built.rowIndex, value: built.rowValue(dtype, name) }]
      : [],
  );
  const sums = [...built.sums].map(
    ([id, { name, n, weight, operand, online, index, value, rounded }]): StreamSum => ({
      name,
      n,
      weight,
      operand,
      online,
      stores: [{ node: id, value }, ...rounded].flatMap((result): Store[] =>
        isStored(result.node) ? [{ tensor: homes.bindingOf(result.node), index, value: result.value }] : [],
      ),
    }),
  );
  const scores = built.scores.map((score) => withVectors(built.outer, built.stream, score));
  const points = [...built.reductions.values()].map((r) => r.body).concat(sums.map((sum) => sum.weight));
  const roots: Expr[] = [
    ...scores.flatMap((score) => [score.lhs, score.rhs]),
    ...points,
    ...sums.map((sum) => sum.operand),
  ];
  const stores = [...rowStores, ...sums.flatMap((sum) => sum.stores)];
  const count = built.batch.extent * outer.extent * stream.extent;
  return {
    kind: "stream",
    batch: built.batch,
    outer: built.outer,
    stream: built.stream,
    tile,
    scores,
    reductions: [...built.reductions.values()],
    rowStores,
    sums,
    workgroupSize: software ? 4 : 64,
    flops: 2 * products + count * flopsOf(points),
    ...describe(context, group, [...roots, ...stores.flatMap((s) => [s.index, s.value])], stores),
  };
}

/** The kernel of sums of scores over batches, see `ScoreSumKernel`. */
export function buildScoreSum(context: BuildContext, group: Group): ScoreSumKernel {
  const { work, realized, plan, homes, profile } = context;
  const software = profile.deviceClass === "software";
  const lower = (multiples: StreamMultiples) =>
    lowerScoreSum(work, realized, plan.streams, group.vertices, multiples);
  const draft = lower(ONE_BY_ONE);
  const { m, n } = draft;
  const terms = draft.scores.reduce((total, s) => total + s.k.extent, 0);
  const products = draft.batch.extent * draft.over.extent * m.extent * n.extent * terms;
  const tile = chooseStreamTile(software, m.extent, n.extent, products);
  const built = lower({
    outer: tileMultiple(m.extent, tile.outer),
    stream: tileMultiple(n.extent, tile.stream),
    k: tile.k,
  });
  const sums = [...built.sums].map(([id, { name, body }]) => ({
    name,
    body,
    stores: [{ tensor: homes.bindingOf(id), index: built.index, value: built.sumOf(name) }],
  }));
  const scores = built.scores.map((score) => withVectors(built.m, built.n, score));
  const bodies = sums.map((sum) => sum.body);
  const stores = sums.flatMap((sum) => sum.stores);
  const roots = [
    ...scores.flatMap((score) => [score.lhs, score.rhs]),
    ...bodies,
    ...stores.flatMap((s) => [s.index, s.value]),
  ];
  const count = built.batch.extent * built.over.extent * m.extent * n.extent;
  return {
    kind: "score_sum",
    batch: built.batch,
    over: built.over,
    m: built.m,
    n: built.n,
    tile: { m: tile.outer, n: tile.stream },
    scores,
    sums,
    workgroupSize: software ? 4 : 64,
    flops: 2 * products + count * flopsOf(bodies),
    ...describe(context, group, roots, stores),
  };
}

/**
 * Products below which long code costs more than it saves: on SwiftShader a block of 8 x 8 compiles in twice the time of 4 x 8
 * and runs in three quarters of it, and four terms of a score side by side take a fifth more and a fifth less; after a
 * hundred steps the longer code has won from here on.
 */
const FEW_PRODUCTS = 4e6;

/** Blocks as large as registers hold beside the rows of the sums. */
function chooseStreamTile(
  software: boolean,
  outer: number,
  stream: number,
  products: number,
): StreamKernel["tile"] {
  const isLarge = products >= FEW_PRODUCTS;
  return {
    outer: largestPowerOfTwo(outer, software && isLarge ? 8 : 4),
    stream: largestPowerOfTwo(stream, 8),
    k: software && !isLarge ? 1 : 4,
  };
}

/** A score that reads each operand four at a time where its elements are neighbours, with axes as the kernel's tile has them. */
export function withVectors(outer: AxisExpr, stream: AxisExpr, score: LoweredScore): Score {
  const choose = <S extends string>(e: Expr, axis: AxisExpr, side: S): S | "k" | "none" => {
    const alongK = score.k.multiple === 4 ? vectorGain([e], score.k) : -1;
    const alongSide = axis.multiple % 4 === 0 ? vectorGain([e], axis) : -1;
    if (alongSide > 0 && alongSide >= alongK) return side;
    return alongK > 0 ? "k" : "none";
  };
  return {
    ...score,
    lhsVector: choose(score.lhs, outer, "outer"),
    rhsVector: choose(score.rhs, stream, "stream"),
  };
}
