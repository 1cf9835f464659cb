import type { Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { watchInterrupt } from "../interrupt.ts";
import type { LossNames, StepRecord } from "../report/history.ts";
import { type ProgressOptions, showProgress } from "../terminal/progress.ts";
import { formatCount } from "../terminal/units.ts";
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
  readonly floors: ProgressOptions["floors"];
  readonly unit: string;
}

export type CheckpointRhythm = { readonly steps: number } | { readonly minutes: number };

export interface RunOutcome {
  /** Of this session only. */
  readonly records: readonly StepRecord[];
  /** Steps the checkpoint holds. */
  readonly stepsDone: number;
  /** Mixed precision: what the next step would multiply the objective with. */
  readonly lossScale: number | undefined;
  /** 130 or 143 if a signal ended the run before its last step. */
  readonly interruptedBy: number | undefined;
}

/**
 * Trains until `totalSteps` or Ctrl-C, shows how it goes, and leaves a checkpoint and the table of losses.
 * @throws what a step throws; the losses up to it and the last checkpoint are then on the disk
 */
export async function runTraining(options: RunTrainingOptions): Promise<RunOutcome> {
  const { trainer, console, files, names, totalSteps, earlier, floors, unit } = options;
  const firstStep = trainer.stepsBegun;
  const records: StepRecord[] = [];
  const progress = showProgress(console, { totalSteps, firstStep, names, floors, unit });
  const interrupt = watchInterrupt(() => {
    console.note(
      `${console.progressStream === undefined ? "" : "\n"}finishing the step in flight; Ctrl-C again to leave at once`,
    );
  });
  let lossScale: number | undefined;
  const writeHistory = (): Promise<void> => files.writeHistory(names, [...earlier, ...records]);
  const due = checkpointClock(options.checkpointEvery);
  try {
    for await (const report of trainer.steps(totalSteps - firstStep, interrupt.signal)) {
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
  return { records, stepsDone, lossScale, interruptedBy };
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
