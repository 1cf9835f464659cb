import { type GraphBuilder, invariant, type NodeId } from "../graph/index.ts";
import type { LossScaling } from "../program/index.ts";
import type { StateTensor } from "./layout.ts";

/** What the objective is multiplied with before its gradients are taken. The runtime fills it first. */
export const LOSS_SCALE: StateTensor = { name: "loss_scale", dtype: "f32", shape: [1] };
/** Steps with finite gradients since the scale last changed. */
export const GOOD_STEPS: StateTensor = { name: "good_steps", dtype: "i32", shape: [1] };

/** As PyTorch's `torch.amp.GradScaler`. */
export const defaultLossScaling: LossScaling = {
  initial: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthInterval: 2000,
};

/** The scale and its inverse stay normal f32 numbers. */
const GREATEST_SCALE = 2 ** 126;
const LEAST_SCALE = 2 ** -126;

/**
 * The scale of this step, f32 []: small cotangents leave the range of an f16 at its lower end unless the objective is multiplied,
 * and all of them with it (Micikevicius et al. 2018, arXiv:1710.03740, 3.2). Their norm is divided by it before it is
 * clipped, and they where they are applied; a power of two changes no digit of theirs.
 */
export function lossScale(b: GraphBuilder): NodeId {
  return b.withOrigin({ label: LOSS_SCALE.name }, () => b.view(scaleState(b), 0, []));
}

/** What turns a gradient of the scaled objective into that of the objective, f32 []. */
export function inverseLossScale(b: GraphBuilder): NodeId {
  return b.withOrigin({ label: "unscale" }, () => b.div(b.constant("f32", 1), lossScale(b)));
}

/**
 * Backs off where the step's gradient was not finite, and grows after `growthInterval` steps in which it was.
 * @param finite bool []
 * @returns the scale from the next step on, f32 [1]
 */
export function updateLossScale(b: GraphBuilder, scaling: LossScaling, finite: NodeId): NodeId {
  invariant(
    scaling.growthInterval >= 1 && scaling.growthFactor >= 1 && scaling.backoffFactor <= 1,
    () => `no loss scaling: ${JSON.stringify(scaling)}`,
  );
  const { shape } = LOSS_SCALE;
  const isGood = b.broadcast(finite, shape, []);
  const good = b.withOrigin({ label: GOOD_STEPS.name }, () => b.state(GOOD_STEPS.name, "i32", shape));
  const { scale, goodSteps } = b.withOrigin({ label: LOSS_SCALE.name }, () => {
    const old = scaleState(b);
    const next = b.add(good, b.fullLike(good, 1));
    const isDue = b.le(b.fullLike(next, scaling.growthInterval), next);
    const times = (factor: number): NodeId => b.mul(old, b.fullLike(old, factor));
    const grown = b.min(times(scaling.growthFactor), b.fullLike(old, GREATEST_SCALE));
    const backedOff = b.max(times(scaling.backoffFactor), b.fullLike(old, LEAST_SCALE));
    const none = b.fullLike(good, 0);
    return {
      scale: b.select(isGood, b.select(isDue, grown, old), backedOff),
      goodSteps: b.select(isGood, b.select(isDue, none, next), none),
    };
  });
  b.update(LOSS_SCALE.name, scale);
  b.update(GOOD_STEPS.name, goodSteps);
  return scale;
}

function scaleState(b: GraphBuilder): NodeId {
  return b.withOrigin({ label: LOSS_SCALE.name }, () =>
    b.state(LOSS_SCALE.name, LOSS_SCALE.dtype, LOSS_SCALE.shape),
  );
}
