import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import type { Console } from "../console.ts";
import { type CommonOptions, wholeNumber, withJson } from "../options.ts";
import { formatCount } from "../terminal/units.ts";

interface ImportOptions extends CommonOptions {
  readonly output?: string;
  readonly force?: boolean;
  readonly seed: number;
}

export function addImportCommand(program: Command, open: (options: CommonOptions) => Console): void {
  withJson(
    program
      .command("import")
      .argument("<folder>", "config.json, model.safetensors (or its shards), vocab.txt or tokenizer.json"),
  )
    .summary("turn a Hugging Face BERT into a spec and a checkpoint")
    .description(
      "Reads a folder that `save_pretrained` of transformers wrote, for a BertModel, BertForPreTraining, BertForMaskedLM, " +
        "BertForSequenceClassification or BertForTokenClassification, and writes a folder with a spec and a checkpoint.",
    )
    .option("-o, --output <folder>", "where they go (default: imported/<name of the folder>)")
    .option("--force", "replace what an earlier import wrote there")
    .option("--seed <n>", "seed of heads that the folder has no weights for", wholeNumber(0, 0xffff_ffff), 0)
    .action(async (folder: string, options: ImportOptions) => {
      await importFolder(folder, options, open(options));
    });
}

async function importFolder(folder: string, options: ImportOptions, console: Console): Promise<void> {
  const { checkpointName, importModel, writeImported } = await import("../huggingface/import-model.ts");
  const name = specNameOf(folder);
  const output = options.output ?? join("imported", name);
  const model = await importModel(folder, name, options.seed, console);
  await writeImported(model, output, options.force === true);
  const spec = join(output, model.specName);
  const checkpoint = join(output, checkpointName);
  const { summary, config, fresh, notes } = model;
  console.result({
    spec,
    checkpoint,
    architecture: config.architecture,
    parameters: summary.parameters,
    tensors: summary.params.length,
    vocabulary: model.checkpoint.vocabulary.length,
    fresh,
    notes,
  });
  const { bold } = console.colours;
  console.say(
    `${bold(config.architecture)}: ${formatCount(summary.parameters)} parameters in ${summary.params.length} tensors, ` +
      `${formatCount(model.checkpoint.vocabulary.length)} tokens`,
  );
  if (fresh.length > 0)
    console.say(
      `not in the folder, so they start with fresh values (seed ${options.seed}): ${fresh.join(", ")}`,
    );
  for (const note of notes) console.say(note);
  console.say(`wrote ${spec} and ${checkpoint}`);
}

/** The folder's name, as a spec's file can be called: letters, digits, `.`, `_` and `-`. */
function specNameOf(folder: string): string {
  const name = basename(resolve(folder))
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[-.]+/, "");
  return name === "" ? "model" : name;
}
