import type { NodeId } from "../graph/index.ts";
import { type Expr, walk } from "../kernel/index.ts";
import { type LoweredScoreSum, lowerScoreSum } from "./score-sum.ts";
import { type LoweredStream, lowerStream, ONE_BY_ONE } from "./stream-lowering.ts";
import type { Streams } from "./streams.ts";
import type { WorkGraph } from "./work-graph.ts";

/** The tensors that the kernel of one sink reads. */
export function sourcesOfSink(
  work: WorkGraph,
  realized: ReadonlySet<NodeId>,
  streams: Streams,
  id: NodeId,
): ReadonlySet<NodeId> {
  const isSum = streams.sinks.get(id)!.stream === "batch";
  const roots = isSum
    ? expressionsOfSum(lowerScoreSum(work, realized, streams, [id], ONE_BY_ONE))
    : expressionsOf(lowerStream(work, realized, streams, [id], ONE_BY_ONE)!);
  const found = new Set<NodeId>();
  walk(roots, (e) => {
    if (e.kind === "load") found.add(e.tensor);
  });
  return found;
}

function expressionsOf(lowered: LoweredStream): readonly Expr[] {
  return [
    ...lowered.scores.flatMap((score) => [score.lhs, score.rhs]),
    ...[...lowered.reductions.values()].map((r) => r.body),
    ...[...lowered.sums.values()].flatMap((sum) => [sum.weight, sum.operand, sum.index]),
  ];
}

function expressionsOfSum(lowered: LoweredScoreSum): readonly Expr[] {
  return [
    ...lowered.scores.flatMap((score) => [score.lhs, score.rhs]),
    ...[...lowered.sums.values()].map((sum) => sum.body),
  ];
}
