import type { EvaluationReport, Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { watchInterrupt } from "../interrupt.ts";
import type { HeldOutRecord } from "../report/held-out-history.ts";
import type { LossNames, StepRecord } from "../report/history.ts";
import { type ProgressOptions, showProgress } from "../terminal/progress.ts";
import { formatCount } from "../terminal/units.ts";
import type { BestCheckpoint } from "./best-checkpoint.ts";
import type { HeldOut } from "./held-out.ts";
import { measuresOf } from "./measures.ts";
import type { RunFiles } from "./run-files.ts";

export interface RunTrainingOptions {
  readonly trainer: Trainer;
  readonly console: Console;
  readonly files: RunFiles;
  readonly names: LossNames;
  /** Steps of the whole run; those before `trainer.stepsBegun` are done. */
  readonly totalSteps: number;
  /** Records of the steps done before. */
  readonly earlier: readonly StepRecord[];
  readonly checkpointEvery: CheckpointRhythm;
  /** Evaluations on data not trained on; absent where there is none. */
  readonly heldOut?: HeldOutPlan;
  readonly floors: ProgressOptions["floors"];
  readonly unit: string;
}

export interface HeldOutPlan {
  readonly data: HeldOut;
  /** Steps between evaluations; the last step is followed by one in any case. */
  readonly every: number;
  /** Records of evaluations before. */
  readonly earlier: readonly HeldOutRecord[];
  readonly best: BestCheckpoint;
}

export type CheckpointRhythm = { readonly steps: number } | { readonly minutes: number };

export interface RunOutcome {
  /** Of this session only. */
  readonly records: readonly StepRecord[];
  /** All evaluations of the run. */
  readonly heldOut: readonly HeldOutRecord[];
  /** The evaluation after the last step; undefined for a run that was interrupted. */
  readonly evaluation: EvaluationReport | undefined;
  /** Steps the checkpoint holds. */
  readonly stepsDone: number;
  /** Mixed precision: what the next step would multiply the objective with. */
  readonly lossScale: number | undefined;
  /** 130 or 143 if a signal ended the run before its last step. */
  readonly interruptedBy: number | undefined;
}

/**
 * Trains until `totalSteps` or Ctrl-C, shows how it goes, and leaves a checkpoint, the best checkpoint on held-out data, and the
 * tables of losses.
 * @throws what a step throws; the losses up to it and the last checkpoint are then on the disk
 */
export async function runTraining(options: RunTrainingOptions): Promise<RunOutcome> {
  const { trainer, console, files, names, totalSteps, earlier, heldOut: plan, floors, unit } = options;
  const firstStep = trainer.stepsBegun;
  const records: StepRecord[] = [];
  const heldOut: HeldOutRecord[] = [...(plan?.earlier ?? [])];
  let evaluation: EvaluationReport | undefined;
  const progress = showProgress(console, { totalSteps, firstStep, names, floors, unit });
  const interrupt = watchInterrupt(() => {
    console.note(
      `${console.progressStream === undefined ? "" : "\n"}finishing the step in flight; Ctrl-C again to leave at once`,
    );
  });
  let lossScale: number | undefined;
  const writeHistory = (): Promise<void> => files.writeHistory(names, [...earlier, ...records]);
  const due = checkpointClock(options.checkpointEvery);
  const evaluate = async ({ data, best }: HeldOutPlan): Promise<void> => {
    const step = trainer.stepsBegun;
    evaluation = await data.evaluate(trainer);
    const measures = measuresOf(evaluation);
    heldOut.push({ step, measures: Object.fromEntries(measures.map(({ name, value }) => [name, value])) });
    await files.writeHeldOut(heldOut);
    const isBest = best.offer(step, measures);
    progress.evaluation(step, measures, isBest);
    if (isBest) await trainer.save(files.best);
  };
  try {
    while (trainer.stepsBegun < totalSteps && !interrupt.signal.aborted) {
      // Steps in flight have ended where an evaluation follows: it is of exactly that step.
      const begun = trainer.stepsBegun;
      const stop = plan === undefined ? totalSteps : Math.min(totalSteps, nextMultiple(begun, plan.every));
      for await (const report of trainer.steps(stop - begun, interrupt.signal)) {
        const record = {
          step: report.step,
          losses: report.losses,
          examples: report.examples,
          ms: report.seconds * 1000,
          skipped: report.skipped,
          ...(report.lossScale !== undefined && { lossScale: report.lossScale }),
        };
        records.push(record);
        lossScale = report.lossScale;
        progress.step(record);
        // A model that gives no finite gradient must not replace one that did.
        if (!report.skipped && due(report.step) && report.step < totalSteps) {
          await trainer.save(files.checkpoint);
          await writeHistory();
        }
      }
      if (plan !== undefined && trainer.stepsBegun === stop && !interrupt.signal.aborted)
        await evaluate(plan);
    }
    progress.stop();
    await trainer.save(files.checkpoint);
  } finally {
    progress.stop();
    interrupt.dispose();
    if (records.length > 0) await writeHistory();
  }
  const stepsDone = trainer.stepsBegun;
  const interruptedBy = stepsDone < totalSteps ? interrupt.exitCode : undefined;
  if (interruptedBy !== undefined)
    console.note(`stopped after ${formatCount(stepsDone)} of ${formatCount(totalSteps)} steps`);
  return {
    records,
    heldOut,
    evaluation: heldOut.at(-1)?.step === stepsDone ? evaluation : undefined,
    stepsDone,
    lossScale,
    interruptedBy,
  };
}

/** The first multiple of `every` above `step`. */
function nextMultiple(step: number, every: number): number {
  return (Math.floor(step / every) + 1) * every;
}

/** Tells after a step whether a checkpoint is due. */
function checkpointClock(rhythm: CheckpointRhythm): (step: number) => boolean {
  if ("steps" in rhythm) return (step) => step % rhythm.steps === 0;
  let lastMs = performance.now();
  return () => {
    const now = performance.now();
    if (now - lastMs < rhythm.minutes * 60_000) return false;
    lastMs = now;
    return true;
  };
}
