import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { BatchSource, GivenTokenizer } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { EvaluationReport, Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type PlanOptions, verifyHelp, wholeNumber, withPlanOptions } from "../options.ts";
import { shortName } from "../programs.ts";
import { type LossNames, meanLosses, pairsPerSecond, type StepRecord } from "../report/history.ts";
import { renderPlot } from "../terminal/plot.ts";
import { formatCount, formatLoss, formatRate } from "../terminal/units.ts";
import {
  bestPossible,
  describeMemory,
  describeModel,
  describePrecision,
  dispatchesPerStep,
  exampleUnit,
  parameterCount,
  plannedBytes,
} from "../training/describe.ts";
import { type OpenedTraining, openTraining, type TrainingOptions } from "../training/open-training.ts";
import { RunFiles } from "../training/run-files.ts";
import { type RunOutcome, runTraining } from "../training/run-training.ts";
import { type Verified, verificationReport } from "../verify/compile-verified.ts";

interface TrainOptions extends TrainingOptions {
  readonly corpus?: string;
  readonly steps?: number;
  readonly resume?: string;
  readonly tokenizer?: string;
  readonly out?: string;
  readonly checkpointEvery?: number;
}

/** Without `--checkpoint-every`: what a person would be sorry to compute again. */
const checkpointMinutes = 10;
/** Batches of the held-out evaluation: a tenth of the run's work at most. */
const evaluationBatches = { most: 8, stepsPerBatch: 10 } as const;

export function addTrainCommand(
  program: Command,
  open: (options: PlanOptions) => Console,
  setExitCode: (code: number) => void,
): void {
  withPlanOptions(
    program
      .command("train")
      .argument("<spec>", "a .bert file, or a program that `compile --emit program` wrote"),
  )
    .summary("train a model")
    .description(
      "Trains a model. Ctrl-C finishes the step in flight, saves and says how to go on. " +
        "Checkpoint, loss curve (SVG) and losses (CSV) go into one folder.",
    )
    .option(
      "--corpus <path>",
      "a folder with wiki.train.tokens, or a text file (default: a generated corpus)",
    )
    .option(
      "--steps <n>",
      "steps of the run (default: the spec's; its learning-rate schedule stays as it is)",
      wholeNumber(1),
    )
    .option("--resume <checkpoint>", "go on from a checkpoint, bitwise as if the run had not stopped")
    .option(
      "--tokenizer <path>",
      "read text with this WordPiece tokenizer: a vocab.txt, a tokenizer.json, or a folder with one (default: the spec's)",
    )
    .option("--out <folder>", "where the results go (default: out/<name of the spec>)")
    .option(
      "--checkpoint-every <n>",
      `save every n steps (default: every ${checkpointMinutes} minutes)`,
      wholeNumber(1),
    )
    .option("--no-fuse", "one op a kernel, to compare")
    .option("--verify", verifyHelp)
    .action(async (spec: string, options: TrainOptions) => {
      setExitCode(await train(spec, options, open(options)));
    });
}

async function train(spec: string, options: TrainOptions, console: Console): Promise<number> {
  const { openDevice } = await import("../../runtime/device/index.ts");
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const resume = options.resume === undefined ? undefined : await loadCheckpoint(options.resume);
  const kiln = await openDevice({ prefer: options.device });
  try {
    const opened = await openTraining(spec, options, kiln, resume, console);
    return await trainOn(kiln, opened, spec, resume, options, console);
  } finally {
    kiln.close();
  }
}

/** What all of a run's last words need. */
interface Run {
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

async function trainOn(
  kiln: KilnDevice,
  { program, memory, verified }: OpenedTraining,
  spec: string,
  resume: Checkpoint | undefined,
  options: TrainOptions,
  console: Console,
): Promise<number> {
  const { openBatches } = await import("../../runtime/data/index.ts");
  const { createTrainer } = await import("../../runtime/train/index.ts");
  const totalSteps = options.steps ?? program.settings.steps;
  const seed = options.seed ?? resume?.seed ?? 0;
  if (resume !== undefined && resume.step >= totalSteps) {
    throw new Failure(1, {
      message: `${resume.path} has done ${formatCount(resume.step)} steps already, of ${formatCount(totalSteps)}`,
      file: resume.path,
      hint: `--steps ${totalSteps * 2} goes on to that step`,
    });
  }
  const files = new RunFiles(options.out ?? join("out", shortName(spec)));
  const corpus =
    options.corpus ??
    (resume === undefined ? undefined : (await new RunFiles(dirname(resume.path)).readStart())?.corpus);
  console.say(kiln.notice);
  console.say(describeModel(program));
  console.say(`memory: ${describeMemory(program, memory)}`);
  const precision = describePrecision(program);
  if (precision !== undefined) console.say(precision);
  const batches = await openBatches(program.data, {
    split: "train",
    seed,
    ...(corpus !== undefined && { corpus }),
    ...(await givenTokenizer(options, resume)),
  });
  let trainer: Trainer | undefined;
  try {
    console.say(`data: ${batches.summary}`);
    console.note(`compiling ${formatCount(program.kernels.length)} kernels for ${kiln.name} ...`);
    trainer = await createTrainer(program, kiln, { seed, batches, ...(resume !== undefined && { resume }) });
    const run: Run = {
      console,
      kiln,
      program,
      memory,
      verified,
      batches,
      files,
      names: program.settings.losses,
      floors: bestPossible(program, batches),
      unit: exampleUnit(program),
      name: shortName(spec),
      corpus: corpus === undefined ? "generated corpus" : basename(corpus),
    };
    const earlier =
      resume === undefined
        ? []
        : await new RunFiles(dirname(resume.path)).readHistory(run.names, resume.step);
    if (resume === undefined) {
      const kept = await files.keepEarlierCheckpoint();
      if (kept !== undefined) console.note(`the checkpoint of an earlier run is kept as ${kept}`);
    } else {
      console.say(`resumed: ${resume.path}, after step ${formatCount(resume.step)}`);
    }
    await files.writeStart({ spec, ...(corpus !== undefined && { corpus }) });
    const outcome = await runTraining({
      ...run,
      trainer,
      totalSteps,
      earlier,
      checkpointEvery:
        options.checkpointEvery === undefined
          ? { minutes: checkpointMinutes }
          : { steps: options.checkpointEvery },
    });
    const history = [...earlier, ...outcome.records];
    await writeChart(run, history, seed);
    const heldOut =
      outcome.interruptedBy === undefined
        ? await evaluateHeldOut(run, trainer, seed, corpus, totalSteps)
        : undefined;
    report(run, outcome, history, heldOut, resumeCommand(spec, files, options, corpus));
    return outcome.interruptedBy ?? 0;
  } finally {
    await trainer?.dispose();
    await batches.close();
  }
}

/** A resumed run reads text as it did; a fresh one with what the command line names, or as the spec says. */
async function givenTokenizer(
  { tokenizer: path }: TrainOptions,
  resume: Checkpoint | undefined,
): Promise<GivenTokenizer> {
  if (resume !== undefined) {
    if (path !== undefined) {
      throw new Failure(2, {
        message: `${resume.path} has a tokenizer of its own: --tokenizer comes too late`,
        hint: "leave it out, or start a new run",
      });
    }
    const { vocabulary, tokenizer } = resume;
    return { vocabulary, ...(tokenizer !== undefined && { tokenizer }) };
  }
  if (path === undefined) return {};
  const { readTokenizer } = await import("../../runtime/tokenizer/index.ts");
  const { tokens, description } = await readTokenizer(path);
  return { vocabulary: tokens, tokenizer: description };
}

async function writeChart(
  { files, program, kiln, names, floors, unit, name, corpus }: Run,
  history: readonly StepRecord[],
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
    floors: Object.fromEntries(
      Object.entries(floors).map(([name, value]) => [name, { value, label: "best possible" }]),
    ),
  });
}

/** Losses without dropout on text that was not trained on; undefined where the corpus has none or the program no entry. */
async function evaluateHeldOut(
  { program, batches, console }: Run,
  trainer: Trainer,
  seed: number,
  corpus: string | undefined,
  totalSteps: number,
): Promise<EvaluationReport | undefined> {
  if (program.entries.evaluate === undefined) return undefined;
  const { openBatches } = await import("../../runtime/data/index.ts");
  const { KilnError } = await import("../../runtime/errors.ts");
  const count = Math.max(
    1,
    Math.min(evaluationBatches.most, Math.round(totalSteps / evaluationBatches.stepsPerBatch)),
  );
  console.note("measuring held-out losses ...");
  let heldOut: BatchSource;
  try {
    heldOut = await openBatches(program.data, {
      split: "valid",
      seed,
      vocabulary: batches.vocabulary,
      ...(batches.tokenizer !== undefined && { tokenizer: batches.tokenizer }),
      ...(corpus !== undefined && { corpus }),
    });
  } catch (thrown) {
    // A person's own text may have no held-out part worth the name; the training itself went well.
    if (!(thrown instanceof KilnError) || thrown.kind !== "user") throw thrown;
    console.note(`no held-out losses: ${thrown.message}`);
    return undefined;
  }
  try {
    return await trainer.evaluate(heldOut, count);
  } finally {
    await heldOut.close();
  }
}

function report(
  run: Run,
  outcome: RunOutcome,
  history: readonly StepRecord[],
  heldOut: EvaluationReport | undefined,
  resumeWith: string,
): void {
  const { console, kiln, program, memory, verified, batches, files, names, floors, unit } = run;
  const { records, stepsDone, interruptedBy } = outcome;
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
    ...(heldOut !== undefined && { heldOut: { losses: heldOut.losses, examples: heldOut.examples } }),
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
  if (heldOut !== undefined) {
    const losses = Object.entries(heldOut.losses).map(([name, value]) => {
      const floor = floors[name];
      return `${name} ${bold(formatLoss(value))}${floor === undefined ? "" : dim(` (best possible ${formatLoss(floor)})`)}`;
    });
    console.say(
      `held out: ${losses.join(", ")}; ${formatCount(heldOut.examples)} ${unit} not trained on, no dropout`,
    );
  }
  console.say(`checkpoint: ${files.checkpoint}`);
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

function resumeCommand(
  spec: string,
  files: RunFiles,
  options: TrainOptions,
  corpus: string | undefined,
): string {
  const words = [
    "npx tsx tools/run.ts train",
    spec,
    `--resume ${files.checkpoint}`,
    ...(corpus === undefined ? [] : [`--corpus ${corpus}`]),
    ...(options.steps === undefined ? [] : [`--steps ${options.steps}`]),
    ...(options.out === undefined ? [] : [`--out ${options.out}`]),
    ...(options.device === "auto" ? [] : [`--device ${options.device}`]),
    ...(options.memory === undefined ? [] : [`--memory ${options.memory}`]),
    ...(options.precision === undefined ? [] : [`--precision ${options.precision}`]),
    ...(options.fuse ? [] : ["--no-fuse"]),
  ];
  return words
    .map((word) =>
      word.replace(
        /^(--\w+ )(.*['"\s$\\].*)$/,
        (_, flag: string, value: string) => `${flag}'${value.replaceAll("'", "'\\''")}'`,
      ),
    )
    .join(" ");
}
