import type { Program } from "../../compiler/program/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Console } from "../console.ts";
import type { HeldOutRecord } from "../report/held-out-history.ts";
import { type LossNames, meanLosses, pairsPerSecond, type StepRecord } from "../report/history.ts";
import { renderPlot } from "../terminal/plot.ts";
import { formatCount, formatLoss, formatRate } from "../terminal/units.ts";
import { type Verified, verificationReport } from "../verify/compile-verified.ts";
import type { BestCheckpoint } from "./best-checkpoint.ts";
import { classificationReport, confusionTable } from "./classification-report.ts";
import { dispatchesPerStep, parameterCount, plannedBytes } from "./describe.ts";
import { measuresOf } from "./measures.ts";
import type { OpenedTraining } from "./open-training.ts";
import type { RunFiles } from "./run-files.ts";
import type { RunOutcome } from "./run-training.ts";

/** What all of a run's last words need. */
export interface Run {
  readonly console: Console;
  readonly kiln: KilnDevice;
  readonly program: Program;
  readonly memory: OpenedTraining["memory"];
  readonly verified: Verified | undefined;
  readonly batches: BatchSource;
  readonly files: RunFiles;
  readonly names: LossNames;
  readonly floors: Readonly<Record<string, number>>;
  readonly unit: string;
  /** Of the spec, for the chart's title. */
  readonly name: string;
  /** What the data is called in the chart. */
  readonly corpus: string;
}

export async function writeChart(
  { files, program, kiln, names, floors, unit, name, corpus }: Run,
  history: readonly StepRecord[],
  heldOut: readonly HeldOutRecord[],
  seed: number,
): Promise<void> {
  const facts = [
    `${formatCount(parameterCount(program))} parameters`,
    corpus,
    `seed ${seed}`,
    kiln.name,
    `${formatRate(pairsPerSecond(history))} ${unit}/s`,
  ];
  await files.writeChart({
    title: name,
    subtitle: facts.join(" · "),
    names,
    records: history,
    heldOut,
    floors: Object.fromEntries(
      Object.entries(floors).map(([name, value]) => [name, { value, label: "best possible" }]),
    ),
  });
}

export function report(
  run: Run,
  outcome: RunOutcome,
  history: readonly StepRecord[],
  best: BestCheckpoint["found"],
  resumeWith: string,
): void {
  const { console, kiln, program, memory, verified, batches, files, names, floors, unit } = run;
  const { records, stepsDone, interruptedBy, evaluation } = outcome;
  const mean = meanLosses(names, records);
  const rate = pairsPerSecond(records);
  const skipped = records.filter((record) => record.skipped === true).length;
  console.result({
    device: kiln.name,
    software: kiln.isSoftware,
    steps: stepsDone,
    firstStep: records[0]?.step ?? stepsDone,
    losses: Object.fromEntries(
      names.map((name) => [name, records.map(({ losses }) => losses[name] ?? null)]),
    ),
    mean,
    skipped,
    precision: program.precision ?? "f32",
    ...(outcome.lossScale !== undefined && { lossScale: outcome.lossScale }),
    pairsPerSecond: rate,
    vocabulary: batches.vocabulary.length,
    checkpoint: files.checkpoint,
    parameters: parameterCount(program),
    dispatchesPerStep: dispatchesPerStep(program),
    peakBytes: program.entries.train?.peakBytes ?? 0,
    tunedKernels: Object.keys(program.tuning ?? {}).length,
    plannedBytes: plannedBytes(program),
    ...(memory !== undefined && { memory }),
    ...(verified !== undefined && { verified: verificationReport(verified) }),
    bestPossible: floors,
    ...(evaluation !== undefined && {
      heldOut: {
        losses: evaluation.losses,
        metrics: evaluation.metrics,
        examples: evaluation.examples,
        ...(evaluation.confusion !== undefined && {
          classification: classificationReport(evaluation.confusion, batches.labels),
        }),
      },
    }),
    heldOutCurve: outcome.heldOut,
    ...(best !== undefined && { best: { ...best, checkpoint: files.best } }),
    curve: { svg: files.svg, csv: files.csv },
    interrupted: interruptedBy !== undefined,
  });
  if (!console.json) plotLosses(run, history);
  const { bold, dim } = console.colours;
  const last = records.at(-1);
  if (last !== undefined) {
    const losses = names.map(
      (name) =>
        `${name} ${bold(formatLoss(last.losses[name] ?? Number.NaN))} (mean ${formatLoss(mean[name] ?? Number.NaN)})`,
    );
    console.say(
      `step ${formatCount(stepsDone)}: ${losses.join(", ")}; ${bold(formatRate(rate))} ${unit}/s on ${kiln.name}`,
    );
  }
  if (skipped > 0) {
    console.say(
      `${formatCount(skipped)} of ${formatCount(records.length)} steps were skipped: their gradients were not finite`,
    );
  }
  if (outcome.lossScale !== undefined) console.say(`loss scale: ${formatCount(outcome.lossScale)}`);
  if (evaluation !== undefined) {
    const words = measuresOf(evaluation).map(({ name, value }) => {
      const floor = floors[name];
      return `${name} ${bold(formatLoss(value))}${floor === undefined ? "" : dim(` (best possible ${formatLoss(floor)})`)}`;
    });
    console.say(
      `held out: ${words.join(", ")}; ${formatCount(evaluation.examples)} ${unit} not trained on, no dropout`,
    );
    if (evaluation.confusion !== undefined)
      console.say(`\n${confusionTable(evaluation.confusion, batches.labels)}\n`);
  }
  console.say(`checkpoint: ${files.checkpoint}`);
  if (best !== undefined) {
    console.say(
      `best on held-out data: ${best.measure} ${formatLoss(best.value)} after step ${formatCount(best.step)}: ${files.best}`,
    );
  }
  console.say(`curve: ${files.svg}, ${files.csv}`);
  if (interruptedBy !== undefined) console.say(`to go on: ${resumeWith}`);
}

/** A small curve for every loss of the run. */
function plotLosses({ console, names, floors }: Run, history: readonly StepRecord[]): void {
  if (history.length < 2) return;
  const width = Math.max(20, Math.min(64, console.columns - 12));
  for (const name of names) {
    const floor = floors[name];
    const lines = renderPlot(
      history.map(({ losses }) => losses[name] ?? Number.NaN),
      { width, height: 7, firstStep: history[0]?.step ?? 1, ...(floor !== undefined && { floor }) },
    );
    const title =
      floor === undefined ? name : `${name} ${console.colours.dim(`(best possible ${formatLoss(floor)})`)}`;
    console.say(`\n${title}\n${lines.join("\n")}`);
  }
  console.say("");
}
