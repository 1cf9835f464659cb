import { type PartKernel, partsOf } from "../../compiler/kernel/index.ts";
import type { DeviceProfile } from "../../compiler/program/index.ts";
import { problemsOf, type Schedule, type ScheduledDispatch } from "../../compiler/schedule/index.ts";

/** A kernel that can be written in several ways, with what it is worth. */
export interface KernelToTune {
  readonly key: string;
  /** What a person calls it: its name, its layers and places in the spec. */
  readonly label: string;
  /** Where it is measured: its longest dispatch, with what runs beside it. */
  readonly dispatch: ScheduledDispatch;
  /** The variant that the cost model has chosen, and the others by how likely they are to win. */
  readonly chosen: string;
  readonly others: readonly string[];
  /** Dispatches of a training step that have it. */
  readonly dispatches: number;
  /** Its part of the step's time, 0 to 1; of a dispatch of several kernels by how much each has to do. */
  readonly share: number;
  /** The part of the step's time that those dispatches take, with what runs beside it. */
  readonly dispatchShare: number;
}

/** A schedule that a training step runs so many times. */
export interface ScheduleInStep {
  readonly schedule: Schedule;
  readonly times: number;
  /** Milliseconds of each dispatch, in order; undefined where the device cannot tell. */
  readonly ms: readonly number[] | undefined;
}

type Found = Omit<KernelToTune, "dispatches" | "share" | "dispatchShare"> & {
  dispatches: number;
  /** In milliseconds or operations, of the kernel and of the dispatches that have it. */
  own: number;
  cost: number;
};

/** The kernels of a training step that have more than one variant, those that take the longest first. */
export function kernelsToTune(
  step: readonly ScheduleInStep[],
  profile: DeviceProfile,
): readonly KernelToTune[] {
  const found = new Map<string, Found>();
  let whole = 0;
  for (const { schedule, times, ms } of step) {
    const dispatches = schedule.steps.filter((s) => s.kind === "dispatch");
    dispatches.forEach((dispatch, at) => {
      const parts = partsOf(dispatch.kernel);
      const efforts = parts.map(effortOf);
      const effort = efforts.reduce((sum, part) => sum + part, 0);
      const cost = times * (ms === undefined ? effort : (ms[at] ?? 0));
      whole += cost;
      problemsOf(dispatch.kernel, profile).forEach(({ key, kernel, chosen, variants }, part) => {
        const others = variants.filter((variant) => variant !== chosen);
        if (others.length === 0) return;
        const own = (cost * efforts[part]!) / effort;
        const known = found.get(key);
        if (known === undefined) {
          const label = parts.length === 1 ? dispatch.label : `${kernel.name}  (beside others)`;
          found.set(key, { key, label, dispatch, chosen, others, own, cost, dispatches: times });
        } else {
          known.own += own;
          known.cost += cost;
          known.dispatches += times;
        }
      });
    });
  }
  return [...found.values()]
    .map(({ own, cost, ...kernel }) => ({
      ...kernel,
      share: whole === 0 ? 0 : own / whole,
      dispatchShare: whole === 0 ? 0 : cost / whole,
    }))
    .sort((a, b) => b.share - a.share);
}

/** Comparable over kernels: a byte from memory takes about as long as ten operations. */
function effortOf(kernel: PartKernel): number {
  return kernel.flops + 40 * kernel.tensors.reduce((sum, { elementCount }) => sum + elementCount, 0);
}
