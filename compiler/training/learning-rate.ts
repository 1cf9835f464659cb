import { type GraphBuilder, invariant, type NodeId } from "../graph/index.ts";
import type { LearningRate } from "./recipe.ts";

/**
 * The learning rate of a step as graph.
 * @param step i32 [], counts from 0
 * @returns f32 []
 */
export function learningRate(b: GraphBuilder, rate: LearningRate, step: NodeId): NodeId {
  switch (rate.kind) {
    case "constant":
      return b.constant("f32", rate.value);
    case "warmup":
      return afterWarmup(b, rate, step, b.constant("f32", rate.peak));
    case "warmup_linear": {
      const left = b.sub(b.constant("f32", 1), decayProgress(b, rate, step));
      return afterWarmup(b, rate, step, between(b, rate, left));
    }
    case "warmup_cosine": {
      const angle = b.mul(decayProgress(b, rate, step), b.constant("f32", Math.PI));
      const left = b.mul(b.add(b.cos(angle), b.constant("f32", 1)), b.constant("f32", 0.5));
      return afterWarmup(b, rate, step, between(b, rate, left));
    }
    default:
      return rate satisfies never;
  }
}

/** `peak * (step + 1) / warmup` while step < warmup, then `decayed`. */
function afterWarmup(
  b: GraphBuilder,
  { peak, warmup }: { readonly peak: number; readonly warmup: number },
  step: NodeId,
  decayed: NodeId,
): NodeId {
  if (warmup <= 0) return decayed;
  const stepsDone = b.cast(b.add(step, b.constant("i32", 1)), "f32");
  const ramp = b.mul(stepsDone, b.constant("f32", peak / warmup));
  return b.select(b.lt(step, b.constant("i32", warmup)), ramp, decayed);
}

/** `end + (peak - end) * left`. */
function between(b: GraphBuilder, { peak, end }: { peak: number; end: number }, left: NodeId): NodeId {
  return b.add(b.mul(left, b.constant("f32", peak - end)), b.constant("f32", end));
}

/** How much of the way from step `warmup` to step `total` is done, 0 to 1. */
function decayProgress(
  b: GraphBuilder,
  { warmup, total }: { readonly warmup: number; readonly total: number },
  step: NodeId,
): NodeId {
  invariant(
    total >= warmup,
    () => `the learning rate ends at step ${total}, inside the warm-up of ${warmup}`,
  );
  if (total === warmup) return b.constant("f32", 1);
  const sinceWarmup = b.cast(b.sub(step, b.constant("i32", warmup)), "f32");
  const ratio = b.mul(sinceWarmup, b.constant("f32", 1 / (total - warmup)));
  return b.min(b.max(ratio, b.constant("f32", 0)), b.constant("f32", 1));
}
