import type { Graph } from "../graph/index.ts";
import type { DeviceProfile, Program, Shape } from "../program/index.ts";
import { type Fitted, FLOPS_PER_BYTE, fitMemory, type Measured } from "../recompute/index.ts";
import {
  prepare,
  type Schedule,
  type ScheduleOptions,
  schedule,
  schedulePrepared,
} from "../schedule/index.ts";
import { fixedBytes, scratchBytes } from "./report.ts";

export type EntryName = keyof Program["entries"];

export interface PlanInput {
  readonly graphs: ReadonlyMap<EntryName, Graph>;
  readonly states: readonly { readonly name: string; readonly shape: Shape }[];
  readonly profile: DeviceProfile;
  readonly scheduling: ScheduleOptions;
  /** Bytes of all buffers together. Undefined: no limit. */
  readonly memoryBytes: number | undefined;
  /** Looks at every graph before it is scheduled. */
  readonly check: (graph: Graph) => Graph;
}

export interface EntryPlan {
  readonly schedule: Schedule;
  /** The schedule that keeps every value. */
  readonly unlimited: Schedule;
  /** Values that are computed again. */
  readonly recomputed: number;
  /** What was decided, for a person. Empty where nothing is computed again. */
  readonly decisions: readonly string[];
}

/**
 * Schedules every entry so that all buffers together take no more than the limit, or, where that cannot be, as few bytes as were
 * found. Entries run one after another in the same scratch buffers, so the entry that needs most comes first and each may fill
 * what those before it have.
 * @throws TensorTooLargeError
 */
export function planEntries(input: PlanInput): ReadonlyMap<EntryName, EntryPlan> {
  const { graphs, profile, scheduling, memoryBytes } = input;
  if (memoryBytes === undefined) {
    return new Map(
      [...graphs].map(([name, graph]) => {
        const unlimited = schedule(graph, profile, scheduling);
        return [name, { schedule: unlimited, unlimited, recomputed: 0, decisions: [] }] as const;
      }),
    );
  }
  const started = new Map([...graphs].map(([name, graph]) => [name, start(input, graph)] as const));
  const limitBytes =
    memoryBytes -
    fixedBytes(
      input.states,
      [...started.values()].map((entry) => entry.schedule),
    );
  const order = [...started].sort(([, a], [, b]) => b.scratchBytes - a.scratchBytes);
  const fitted = new Map<EntryName, Fitted<Schedule>>();
  for (const [name, entry] of order) {
    const others = [...fitted.values()].map((other) => other.schedule);
    // Where the others take more than they may, this one may take as much as they do.
    fitted.set(name, fitInto(input, entry, Math.max(limitBytes, scratchBytes(others)), others));
  }
  return new Map(
    [...started].map(([name, { schedule: unlimited }]) => {
      const { schedule: limited, recomputed, decisions } = fitted.get(name)!;
      return [name, { schedule: limited, unlimited, recomputed, decisions }];
    }),
  );
}

function start({ profile, scheduling, check }: PlanInput, graph: Graph): Measured<Schedule> {
  const prepared = check(prepare(graph, profile, scheduling));
  const planned = schedulePrepared(prepared, profile, scheduling);
  return { graph: prepared, ...planned, scratchBytes: scratchBytes([planned.schedule]) };
}

/** @param others schedules whose scratch buffers this one shares */
function fitInto(
  { profile, scheduling, check }: PlanInput,
  entry: Measured<Schedule>,
  limitBytes: number,
  others: readonly Schedule[],
): Fitted<Schedule> {
  const measure = (graph: Graph): Measured<Schedule> => {
    const planned = schedulePrepared(check(graph), profile, { ...scheduling, savesMemory: true });
    return { graph, ...planned, scratchBytes: scratchBytes([...others, planned.schedule]) };
  };
  const begun = { ...entry, scratchBytes: scratchBytes([...others, entry.schedule]) };
  const fitTo = (bytes: number): Fitted<Schedule> =>
    fitMemory(begun, measure, bytes, FLOPS_PER_BYTE[profile.deviceClass]);
  const fitted = fitTo(limitBytes);
  if (fitted.fits) return fitted;
  // What is found without an aim does not depend on the limit: told as the limit that would do, it then does.
  const least = fitTo(0);
  return { ...least, fits: least.scratchBytes <= limitBytes };
}
