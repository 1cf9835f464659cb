import { join } from "node:path";
import { type Command, Option } from "commander";
import { openCheckpointSpec } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type CommonOptions, withJson, withSettings } from "../options.ts";
import { shortName } from "../programs.ts";
import { reportDiagnostics } from "../spec.ts";
import { formatCount } from "../terminal/units.ts";

interface ExportOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly format: "hf";
  readonly output?: string;
  readonly force?: boolean;
  readonly set: Readonly<Record<string, string>>;
}

export function addExportCommand(program: Command, open: (options: CommonOptions) => Console): void {
  withSettings(
    withJson(
      program.command("export").argument("<spec>", "the .bert file that the checkpoint was trained from"),
    ),
  )
    .summary("write a trained model for other programs")
    .description(
      "Writes a checkpoint's model as a folder that `from_pretrained` of transformers loads. Refuses a model that computes " +
        "something else than the BERT of transformers with the same sizes, and says where the two part.",
    )
    .requiredOption("--checkpoint <file>", "what `train` or `import` wrote")
    .addOption(
      new Option("--format <format>", "hf: Hugging Face's transformers").choices(["hf"]).default("hf"),
    )
    .option("-o, --output <folder>", "where it goes (default: exported/<name of the spec>)")
    .option("--force", "replace what an earlier export wrote there")
    .action(async (spec: string, options: ExportOptions) => {
      await exportSpec(spec, options, open(options));
    });
}

async function exportSpec(spec: string, options: ExportOptions, console: Console): Promise<void> {
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { check } = await import("../../compiler/index.ts");
  const { describeModel } = await import("../huggingface/describe-model.ts");
  const { requireSameModel } = await import("../huggingface/compare-models.ts");
  const { exportModel } = await import("../huggingface/export-model.ts");
  const checkpoint = await loadCheckpoint(options.checkpoint);
  const { root, loader } = openCheckpointSpec(spec, checkpoint, console);
  const settings = { ...checkpoint.overrides, ...options.set };
  const checked = check(root, { ...loader, settings });
  reportDiagnostics(checked, console);
  const { summary } = checked;
  if (summary === undefined) throw new Failure(1, { message: `${spec} describes no model`, file: spec });
  const names = checkpoint.data.settings.label_names;
  const config = describeModel(spec, summary, typeof names === "string" ? names : "");
  requireSameModel({ root, loader, settings, summary }, config);
  const output = options.output ?? join("exported", shortName(spec));
  await exportModel(checkpoint, config, output, options.force === true);
  console.result({
    folder: output,
    architecture: config.architecture,
    parameters: summary.parameters,
    tensors: summary.params.length,
    vocabulary: checkpoint.vocabulary.length,
  });
  console.say(
    `${console.colours.bold(config.architecture)}: ${formatCount(summary.parameters)} parameters in ${summary.params.length} tensors, ` +
      `after step ${formatCount(checkpoint.step)}; its graph is the one of transformers' BERT`,
  );
  console.say(`wrote ${output}`);
}
