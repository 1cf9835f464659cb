import { dirname } from "node:path";
import { type Command, Option } from "commander";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { BatchSource, Columns } from "../../runtime/data/index.ts";
import type { EvaluationReport } from "../../runtime/train/index.ts";
import { recompile } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { chooseCorpus } from "../corpora/choose-corpus.ts";
import {
  collectColumn,
  columnsHelp,
  type KernelOptions,
  wholeNumber,
  withKernelOptions,
} from "../options.ts";
import { renderTable } from "../terminal/table.ts";
import { formatCount } from "../terminal/units.ts";
import { classificationReport, confusionTable } from "../training/classification-report.ts";
import { bestPossible, exampleUnit } from "../training/describe.ts";
import { measuresOf } from "../training/measures.ts";
import { RunFiles } from "../training/run-files.ts";
import { chooseTuning } from "../tuning/choose-tuning.ts";

interface EvalOptions extends KernelOptions {
  readonly checkpoint: string;
  readonly corpus?: string;
  readonly columns: Columns;
  readonly split: "train" | "valid" | "test";
  readonly batches?: number;
}

/** Of text, whose parts have no end or a far one. */
const textBatches = 16;

export function addEvalCommand(
  program: Command,
  open: (options: KernelOptions) => Console,
  setExitCode: (code: number) => void,
): void {
  withKernelOptions(
    program.command("eval").argument("<spec>", "the .bert file that the checkpoint was trained from"),
  )
    .summary("losses, perplexity, accuracies of a checkpoint on held-out data")
    .description(
      "Measures a checkpoint on data it was not trained on, without dropout: losses and perplexity, the spec's metrics, and of labelled " +
        "data accuracy, precision, recall, F1 and the confusion matrix.",
    )
    .requiredOption("--checkpoint <file>", "what `train` wrote")
    .option(
      "--corpus <path>",
      "a corpus as `train` takes it: text, or labelled examples (default: the one trained on)",
    )
    .option("--columns <what=name>", columnsHelp, collectColumn, {})
    .addOption(
      new Option("--split <split>", "which part of the corpus")
        .choices(["train", "valid", "test"])
        .default("valid"),
    )
    .option(
      "--batches <n>",
      `how many batches (default: ${textBatches} of text, all of a labelled set)`,
      wholeNumber(1),
    )
    .action(async (spec: string, options: EvalOptions) => {
      setExitCode(await evaluate(spec, options, open(options)));
    });
}

async function evaluate(spec: string, options: EvalOptions, console: Console): Promise<number> {
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { openDevice } = await import("../../runtime/device/index.ts");
  const { createEvaluator } = await import("../../runtime/train/index.ts");
  const { openBatches } = await import("../../runtime/data/index.ts");
  const checkpoint = await loadCheckpoint(options.checkpoint);
  const started = await new RunFiles(dirname(checkpoint.path)).readStart();
  const corpus = options.corpus ?? started?.corpus;
  const columns = Object.keys(options.columns).length > 0 ? options.columns : (started?.columns ?? {});
  const kiln = await openDevice({ prefer: options.device });
  try {
    const program = await recompile(spec, checkpoint, console, {
      profile: kiln.profile,
      settings: options.set,
      tuning: await chooseTuning(options.tuning, kiln, console),
      entries: ["evaluate"],
    });
    console.say(kiln.notice);
    const { vocabulary, tokenizer, labels } = checkpoint;
    const given = { vocabulary, ...(tokenizer !== undefined && { tokenizer }) };
    const chosen = await chooseCorpus(
      { path: corpus, prepared: undefined, request: program.data, given },
      console,
    );
    if ("interruptedBy" in chosen) return chosen.interruptedBy;
    const batches = await openBatches(program.data, {
      split: options.split,
      seed: options.seed ?? checkpoint.seed,
      once: true,
      columns,
      ...given,
      ...(labels !== undefined && { labels }),
      ...(chosen.path !== undefined && { corpus: chosen.path }),
    });
    try {
      console.say(`data: ${batches.summary}`);
      const evaluator = await createEvaluator(program, kiln, checkpoint);
      try {
        const count = Math.min(
          options.batches ?? batches.batchesInPass ?? textBatches,
          batches.batchesInPass ?? Number.POSITIVE_INFINITY,
        );
        const report = await evaluator.evaluate(batches, count);
        show({ device: kiln.name, program, checkpoint, batches, report, split: options.split }, console);
        return 0;
      } finally {
        evaluator.dispose();
      }
    } finally {
      await batches.close();
    }
  } finally {
    kiln.close();
  }
}

interface Evaluated {
  readonly device: string;
  readonly program: Program;
  readonly checkpoint: Checkpoint;
  readonly batches: BatchSource;
  readonly report: EvaluationReport;
  readonly split: string;
}

function show({ device, program, checkpoint, batches, report, split }: Evaluated, console: Console): void {
  const floors = bestPossible(program, batches);
  const perplexities = perplexitiesOf(program, report);
  const { losses, metrics, examples, confusion } = report;
  console.result({
    device,
    step: checkpoint.step,
    split,
    examples,
    losses,
    bestPossible: floors,
    perplexity: perplexities,
    metrics,
    ...(confusion !== undefined && { classification: classificationReport(confusion, batches.labels) }),
  });
  const rows = measuresOf(report).flatMap(({ name, value }) => {
    const floor = floors[name];
    const perplexity = perplexities[name];
    return [
      [name, value.toFixed(4), floor === undefined ? "" : floor.toFixed(4)],
      ...(perplexity === undefined
        ? []
        : [
            [
              `${name} perplexity`,
              perplexity.toFixed(2),
              floor === undefined ? "" : Math.exp(floor).toFixed(2),
            ],
          ]),
    ];
  });
  const columns = [
    { title: `${split}, after step ${formatCount(checkpoint.step)}`, align: "left" },
    { title: "value", align: "right" },
    ...(Object.keys(floors).length > 0 ? [{ title: "best possible", align: "right" } as const] : []),
  ] as const;
  console.say(`\n${renderTable(columns, rows)}`);
  if (confusion !== undefined) console.say(`\n${confusionTable(confusion, batches.labels)}`);
  console.say(`\n${formatCount(examples)} ${exampleUnit(program)} on ${device}, without dropout`);
}

/** e to the power of a loss over tokens: how many of them the model is torn between. Of text alone: classes have none. */
function perplexitiesOf({ data }: Program, { losses }: EvaluationReport): Readonly<Record<string, number>> {
  const overTokens = data.kind === "CausalText" ? Object.keys(losses) : ["mlm"];
  return Object.fromEntries(
    overTokens.flatMap((name) => {
      const loss = losses[name];
      return loss === undefined ? [] : [[name, Math.exp(loss)]];
    }),
  );
}
