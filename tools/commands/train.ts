import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { Columns } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { chooseCorpus } from "../corpora/choose-corpus.ts";
import { Failure } from "../failure.ts";
import {
  collectColumn,
  columnsHelp,
  type PlanOptions,
  verifyHelp,
  wholeNumber,
  withPlanOptions,
} from "../options.ts";
import { shortName } from "../programs.ts";
import { formatCount } from "../terminal/units.ts";
import { BestCheckpoint } from "../training/best-checkpoint.ts";
import {
  bestPossible,
  describeMemory,
  describeModel,
  describePrecision,
  exampleUnit,
} from "../training/describe.ts";
import { type HeldOut, openHeldOut } from "../training/held-out.ts";
import { type OpenedTraining, openTraining, type TrainingOptions } from "../training/open-training.ts";
import { type Run, report, writeChart } from "../training/report-run.ts";
import { RunFiles } from "../training/run-files.ts";
import { runTraining } from "../training/run-training.ts";
import { describeInit, openInit, openResume, readingOf } from "../training/start.ts";

interface TrainOptions extends TrainingOptions {
  readonly corpus?: string;
  readonly prepared?: string;
  readonly steps?: number;
  readonly resume?: string;
  readonly tokenizer?: string;
  readonly out?: string;
  readonly checkpointEvery?: number;
  readonly init?: string;
  readonly columns: Columns;
  readonly evalEvery?: number;
  readonly evalBatches?: number;
  readonly best?: string;
}

/** Without `--checkpoint-every`: what a person would be sorry to compute again. */
const checkpointMinutes = 10;
/** Without `--eval-every`: enough for a curve. */
const evaluationsPerRun = 5;

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
      "a folder with wiki.train.tokens, a text file or what `prepare` wrote, large text is prepared first; labelled examples for a classifier: .tsv, .csv, .jsonl, .conll, or a folder with train and valid files (default: generated)",
    )
    .option("--prepared <folder>", "prepare the corpus there (default: large text only, in the cache folder)")
    .option(
      "--steps <n>",
      "steps of the run (default: the spec's; its learning-rate schedule stays as it is)",
      wholeNumber(1),
    )
    .option("--columns <what=name>", columnsHelp, collectColumn, {})
    .option(
      "--init <checkpoint>",
      "start with the parameters of another model that have the same names (default: the spec's `init from`)",
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
    .option(
      "--eval-every <n>",
      `measure on held-out data every n steps (default: ${evaluationsPerRun} times a run)`,
      wholeNumber(1),
    )
    .option(
      "--eval-batches <n>",
      "batches of an evaluation (default: 8 of text at most, all of a small labelled set)",
      wholeNumber(1),
    )
    .option(
      "--best <measure>",
      "what the best checkpoint is chosen by (default: accuracy of classes, else the loss)",
    )
    .option("--no-fuse", "one op a kernel, to compare")
    .option("--verify", verifyHelp)
    .action(async (spec: string, options: TrainOptions) => {
      setExitCode(await train(spec, options, open(options)));
    });
}

async function train(spec: string, options: TrainOptions, console: Console): Promise<number> {
  const { openDevice } = await import("../../runtime/device/index.ts");
  const resume = await openResume(options);
  const kiln = await openDevice({ prefer: options.device });
  try {
    const opened = await openTraining(spec, options, kiln, resume, console);
    return await trainOn(kiln, opened, spec, resume, options, console);
  } finally {
    kiln.close();
  }
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
  const before = resume === undefined ? undefined : new RunFiles(dirname(resume.path));
  const started = await before?.readStart();
  const corpus = options.corpus ?? started?.corpus;
  const columns = Object.keys(options.columns).length > 0 ? options.columns : (started?.columns ?? {});
  const init = resume === undefined ? await openInit(spec, program, options) : undefined;
  const given = await readingOf(
    { ...(resume !== undefined && { resume }), ...(init !== undefined && { init }) },
    options,
  );
  console.say(kiln.notice);
  console.say(describeModel(program));
  console.say(`memory: ${describeMemory(program, memory)}`);
  const precision = describePrecision(program);
  if (precision !== undefined) console.say(precision);
  const named = { path: corpus, prepared: options.prepared, request: program.data, given };
  const chosen = await chooseCorpus(named, console);
  if ("interruptedBy" in chosen) return chosen.interruptedBy;
  const reading = { seed, columns, ...(chosen.path !== undefined && { corpus: chosen.path }), ...given };
  // To go on with: the cache may be emptied meanwhile, a folder that was named is a person's own.
  const toResume = options.prepared === undefined ? corpus : chosen.path;
  const batches = await openBatches(program.data, { ...reading, split: "train" });
  let trainer: Trainer | undefined;
  let heldOut: HeldOut | undefined;
  try {
    console.say(`data: ${batches.summary}`);
    console.note(`compiling ${formatCount(program.kernels.length)} kernels for ${kiln.name} ...`);
    trainer = await createTrainer(program, kiln, {
      seed,
      batches,
      ...(resume !== undefined && { resume }),
      ...(init !== undefined && { init }),
    });
    if (init !== undefined && trainer.init !== undefined) describeInit(init, trainer.init, console);
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
    const earlier = (await before?.readHistory(run.names, resume?.step ?? 0)) ?? [];
    const measured = (await before?.readHeldOut(resume?.step ?? 0)) ?? [];
    const { vocabulary, tokenizer, labels } = batches;
    heldOut = await openHeldOut(
      program,
      {
        ...reading,
        vocabulary,
        ...(tokenizer !== undefined && { tokenizer }),
        ...(labels !== undefined && { labels }),
      },
      options.evalBatches,
      totalSteps,
      console,
    );
    if (resume === undefined) {
      const kept = await files.keepEarlierCheckpoint();
      if (kept !== undefined) console.note(`the checkpoint of an earlier run is kept as ${kept}`);
    } else {
      if (before !== undefined) await files.takeOverBest(before);
      console.say(`resumed: ${resume.path}, after step ${formatCount(resume.step)}`);
    }
    await files.writeStart({
      spec,
      ...(toResume !== undefined && { corpus: toResume }),
      ...(Object.keys(columns).length > 0 && { columns }),
    });
    const best = new BestCheckpoint(options.best, measured);
    const outcome = await runTraining({
      ...run,
      trainer,
      totalSteps,
      earlier,
      checkpointEvery:
        options.checkpointEvery === undefined
          ? { minutes: checkpointMinutes }
          : { steps: options.checkpointEvery },
      ...(heldOut !== undefined && {
        heldOut: {
          data: heldOut,
          every: options.evalEvery ?? Math.max(1, Math.round(totalSteps / evaluationsPerRun)),
          earlier: measured,
          best,
        },
      }),
    });
    const history = [...earlier, ...outcome.records];
    await writeChart(run, history, outcome.heldOut, seed);
    report(run, outcome, history, best.found, resumeCommand(spec, files, options, toResume));
    return outcome.interruptedBy ?? 0;
  } finally {
    await trainer?.dispose();
    await heldOut?.close();
    await batches.close();
  }
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
    ...Object.entries(options.columns).map(([what, name]) => `--columns ${what}=${name}`),
    ...(options.evalEvery === undefined ? [] : [`--eval-every ${options.evalEvery}`]),
    ...(options.best === undefined ? [] : [`--best ${options.best}`]),
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
