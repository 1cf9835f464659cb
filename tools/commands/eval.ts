import { dirname } from "node:path";
import { type Command, Option } from "commander";
import { recompile } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { type KernelOptions, wholeNumber, withKernelOptions } from "../options.ts";
import { formatCount, formatLoss } from "../terminal/units.ts";
import { bestPossible, exampleUnit } from "../training/describe.ts";
import { RunFiles } from "../training/run-files.ts";
import { chooseTuning } from "../tuning/choose-tuning.ts";

interface EvalOptions extends KernelOptions {
  readonly checkpoint: string;
  readonly corpus?: string;
  readonly split: "train" | "valid" | "test";
  readonly batches: number;
}

export function addEvalCommand(program: Command, open: (options: KernelOptions) => Console): void {
  withKernelOptions(
    program.command("eval").argument("<spec>", "the .bert file that the checkpoint was trained from"),
  )
    .summary("losses of a checkpoint on held-out text, without dropout")
    .requiredOption("--checkpoint <file>", "what `train` wrote")
    .option(
      "--corpus <path>",
      "a folder with wiki.valid.tokens, or a text file (default: the one trained on)",
    )
    .addOption(
      new Option("--split <split>", "which part of the corpus")
        .choices(["train", "valid", "test"])
        .default("valid"),
    )
    .option("--batches <n>", "how many batches", wholeNumber(1), 16)
    .action(async (spec: string, options: EvalOptions) => {
      await evaluate(spec, options, open(options));
    });
}

async function evaluate(spec: string, options: EvalOptions, console: Console): Promise<void> {
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { openDevice } = await import("../../runtime/device/index.ts");
  const { createTrainer } = await import("../../runtime/train/index.ts");
  const { openBatches } = await import("../../runtime/data/index.ts");
  const checkpoint = await loadCheckpoint(options.checkpoint);
  const corpus = options.corpus ?? (await new RunFiles(dirname(checkpoint.path)).readStart())?.corpus;
  const kiln = await openDevice({ prefer: options.device });
  try {
    const program = await recompile(spec, checkpoint, console, {
      profile: kiln.profile,
      settings: options.set,
      tuning: await chooseTuning(options.tuning, kiln, console),
    });
    console.say(kiln.notice);
    const batches = await openBatches(program.data, {
      split: options.split,
      seed: options.seed ?? checkpoint.seed,
      vocabulary: checkpoint.vocabulary,
      ...(checkpoint.tokenizer !== undefined && { tokenizer: checkpoint.tokenizer }),
      ...(corpus !== undefined && { corpus }),
    });
    try {
      console.say(`data: ${batches.summary}`);
      const trainer = await createTrainer(program, kiln, {
        seed: checkpoint.seed,
        batches,
        resume: checkpoint,
      });
      try {
        batches.seek(0);
        const { losses, examples } = await trainer.evaluate(batches, options.batches);
        const floors = bestPossible(program, batches);
        console.result({
          device: kiln.name,
          step: checkpoint.step,
          split: options.split,
          examples,
          losses,
          bestPossible: floors,
        });
        const words = Object.entries(losses).map(([name, value]) => {
          const floor = floors[name];
          return `${name} ${console.colours.bold(formatLoss(value))}${floor === undefined ? "" : ` (best possible ${formatLoss(floor)})`}`;
        });
        console.say(
          `after step ${formatCount(checkpoint.step)}: ${words.join(", ")}; ${formatCount(examples)} ${exampleUnit(program)}, no dropout`,
        );
      } finally {
        await trainer.dispose();
      }
    } finally {
      await batches.close();
    }
  } finally {
    kiln.close();
  }
}
