import { elementCount, type Shape } from "../graph/index.ts";
import { bufferBytes } from "../program/index.ts";
import type { Schedule } from "../schedule/index.ts";
import type { EntryName, EntryPlan } from "./entries.ts";

/** What a memory limit made of the plan. */
export interface MemoryReport {
  /** Bytes of all buffers of the program. */
  readonly peakBytes: number;
  /** The same if every value is kept until it is read last. */
  readonly unlimitedBytes: number;
  /** Of these, what no plan changes: parameters, the optimizer's slots, inputs. */
  readonly fixedBytes: number;
  /** Values computed again, in the entry with the most of them. */
  readonly recomputed: number;
  /** Floating-point operations of a training step, and if every value is kept. */
  readonly flops: number;
  readonly unlimitedFlops: number;
}

type State = { readonly name: string; readonly shape: Shape };

/** @param accumulate micro-batches a step */
export function memoryReport(
  plans: ReadonlyMap<EntryName, EntryPlan>,
  states: readonly State[],
  accumulate: number,
): MemoryReport {
  const all = [...plans.values()];
  const limited = all.map((plan) => plan.schedule);
  const unlimited = all.map((plan) => plan.unlimited);
  const fixed = fixedBytes(states, limited);
  const flops = (of: (plan: EntryPlan) => Schedule): number =>
    [...plans].reduce((total, [name, plan]) => {
      const times = name === "train" ? 1 : name === "accumulate" ? accumulate - 1 : 0;
      return total + times * flopsOf(of(plan));
    }, 0);
  return {
    peakBytes: fixed + scratchBytes(limited),
    unlimitedBytes: fixed + scratchBytes(unlimited),
    fixedBytes: fixed,
    recomputed: Math.max(0, ...all.map((plan) => plan.recomputed)),
    flops: flops((plan) => plan.schedule),
    unlimitedFlops: flops((plan) => plan.unlimited),
  };
}

/** Bytes of states and inputs, which no schedule changes. */
export function fixedBytes(states: readonly State[], schedules: readonly Schedule[]): number {
  const inputs = new Map(schedules.flatMap((s) => s.inputs.map((input) => [input.buffer, input] as const)));
  return [...states, ...inputs.values()].reduce(
    (total, { shape }) => total + bufferBytes(4 * elementCount(shape)),
    0,
  );
}

/** Bytes of the scratch buffers of several schedules, which share those of one name. */
export function scratchBytes(schedules: readonly Schedule[]): number {
  const sizes = new Map<string, number>();
  for (const { name, sizeBytes } of schedules.flatMap((s) => s.scratch))
    sizes.set(name, Math.max(sizes.get(name) ?? 0, bufferBytes(sizeBytes)));
  return [...sizes.values()].reduce((total, bytes) => total + bytes, 0);
}

function flopsOf({ steps }: Schedule): number {
  return steps.reduce((total, step) => total + (step.kind === "dispatch" ? step.kernel.flops : 0), 0);
}
