import { join } from "node:path";
import { type Command, Option } from "commander";
import { formatBytes } from "../../compiler/diagnostics/index.ts";
import { openCheckpointSpec } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type CommonOptions, withJson, withSettings } from "../options.ts";
import { shortName } from "../programs.ts";
import { reportDiagnostics } from "../spec.ts";
import { renderTable } from "../terminal/table.ts";
import { formatCount } from "../terminal/units.ts";

interface ExportOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly format: "hf" | "onnx";
  readonly outputs?: readonly string[];
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
      "Writes a checkpoint's model as a folder. `hf`: one that `from_pretrained` of transformers loads; a model that computes " +
        "something else than the BERT of transformers with the same sizes is refused, and it is said where the two part. " +
        "`onnx`: an ONNX graph for batches and texts of every size, for ONNX Runtime and transformers.js.",
    )
    .requiredOption("--checkpoint <file>", "what `train` or `import` wrote")
    .addOption(
      new Option("--format <format>", "hf: Hugging Face's transformers; onnx: ONNX Runtime, transformers.js")
        .choices(["hf", "onnx"])
        .default("hf"),
    )
    .option(
      "--outputs <names>",
      "of onnx: which outputs and heads, separated by commas (default: the spec's outputs)",
      (text: string) => text.split(",").map((name) => name.trim()),
    )
    .option("-o, --output <folder>", "where it goes (default: exported/<name of the spec>, with -onnx)")
    .option("--force", "replace what an earlier export wrote there")
    .action(async (spec: string, options: ExportOptions) => {
      await (options.format === "onnx" ? exportAsOnnx : exportSpec)(spec, options, open(options));
    });
}

async function exportSpec(spec: string, options: ExportOptions, console: Console): Promise<void> {
  if (options.outputs !== undefined) {
    throw new Failure(2, { message: "--outputs is for --format onnx", hint: "hf writes the whole model" });
  }
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

async function exportAsOnnx(spec: string, options: ExportOptions, console: Console): Promise<void> {
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { exportOnnxFolder } = await import("../onnx/export-onnx.ts");
  const folder = options.output ?? join("exported", `${shortName(spec)}-onnx`);
  const { model, files } = await exportOnnxFolder(
    spec,
    await loadCheckpoint(options.checkpoint),
    { outputs: options.outputs, settings: options.set, folder, replace: options.force === true },
    console,
  );
  const { inputs, outputs, dynamic, fixed } = model;
  console.result({ folder, files, inputs, outputs, dynamic, fixed });
  const rows = [
    ...inputs.map((input) => ({ way: "in", ...input })),
    ...outputs.map((output) => ({ way: "out", ...output })),
  ];
  console.say(
    renderTable(
      [
        { title: "", align: "left" },
        { title: "name", align: "left" },
        { title: "type", align: "left" },
      ],
      rows.map(({ way, name, element, shape }) => [way, name, `${element}[${shape.join(", ")}]`]),
    ),
  );
  for (const { name, least, most } of dynamic) {
    console.say(`${name}: ${most === undefined ? `${least} or more` : `from ${least} to ${most}`}`);
  }
  for (const { setting, value, reason } of fixed) console.say(`${setting} stays ${value}: ${reason}`);
  for (const { path, sizeBytes } of files)
    console.say(`wrote ${join(folder, path)}  ${formatBytes(sizeBytes)}`);
}
