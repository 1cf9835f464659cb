import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelSummary } from "../../compiler/index.ts";
import {
  type CheckpointContents,
  type StoredTensor,
  saveCheckpoint,
  writeFolderAtomically,
} from "../../runtime/checkpoint/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import {
  type HeadedConfig,
  labelNames,
  matchTensors,
  openModelFolder,
  parseConfig,
  readFolderTokenizer,
  specText,
  toKiln,
} from "../../runtime/huggingface/index.ts";
import { drawInitial } from "../../runtime/memory/index.ts";
import type { Tokenizer } from "../../runtime/tokenizer/index.ts";
import type { Console } from "../console.ts";
import { compileSpec, diskLoader } from "../spec.ts";

export interface ImportedModel {
  readonly config: HeadedConfig;
  readonly summary: ModelSummary;
  /** Parameters that no tensor of the folder has values for. */
  readonly fresh: readonly string[];
  /** What a person should know that is no mistake. */
  readonly notes: readonly string[];
  readonly checkpoint: CheckpointContents;
  readonly specText: string;
  /** `<name>.bert` */
  readonly specName: string;
}

/** The checkpoint of an imported model lies beside its spec. */
export const checkpointName = "checkpoint.safetensors";

/**
 * Reads a Hugging Face folder. Tensors are read when the checkpoint is written, one at a time.
 * @param name of the spec, without `.bert`
 * @param seed of the values of heads that the folder has not
 * @throws KilnError `user` for a model that Kiln cannot be given, naming all that is wrong
 */
export async function importModel(
  folder: string,
  name: string,
  seed: number,
  console: Console,
): Promise<ImportedModel> {
  const { config: file, tensors, tensorsPath } = await openModelFolder(folder);
  const { config: described, notes } = parseConfig(file.text, file.path);
  const matched = await matchTensors(described, tensors, tensorsPath);
  const tokenizer = await readFolderTokenizer(folder);
  const { config } = matched;
  const vocabularyNote = checkVocabulary(folder, tokenizer, config.vocab);

  const specName = `${name}.bert`;
  const text = specText(
    config,
    `A ${described.architecture} of Hugging Face's transformers, imported.`,
    tokenizer.description.kind,
  );
  // No entries: the parameters' initial values and the program's identity need no kernels.
  const { program, summary } = await compileSpec(specName, console, {
    profile: softwareProfile,
    settings: {},
    entries: [],
    loader: { load: (path) => (path === specName ? text : undefined), library: diskLoader.library },
  });
  const inits = new Map(program.parameters.map((parameter) => [parameter.name, parameter.init]));
  const values = new Map<string, StoredTensor>();
  for (const { pair, source } of matched.found) values.set(pair.kiln, toKiln(source, pair));
  for (const { kiln, shape } of matched.fresh) {
    const init = inits.get(kiln);
    if (init === undefined) throw new Error(`the spec has no parameter ${kiln}`);
    values.set(
      kiln,
      freshTensor(shape, (start, count) => drawInitial(init, seed, kiln, start, count)),
    );
  }
  return {
    config,
    summary,
    fresh: matched.fresh.map(({ kiln }) => kiln),
    notes: [
      ...notes,
      ...vocabularyNote,
      ...(labelNames(config.labels) === undefined
        ? [
            `names of the classes with commas, or without letters, are left behind: ${config.labels.join(" | ")}`,
          ]
        : []),
      ...(matched.leftBehind.length > 0
        ? [`left behind, as a ${config.architecture} has no such head: ${matched.leftBehind.join(", ")}`]
        : []),
      ...(config.architecture !== described.architecture
        ? [`a ${described.architecture} there, a ${config.architecture} here: the file's heads decide`]
        : []),
    ],
    checkpoint: {
      step: 0,
      seed,
      programName: program.name,
      programHash: program.hash,
      data: program.data,
      sources: program.sources,
      overrides: {},
      vocabulary: tokenizer.tokens,
      tokenizer: tokenizer.description,
      // In the order of the spec, as training writes them.
      tensors: new Map(
        program.parameters.flatMap(({ name: parameter }) => {
          const tensor = values.get(parameter);
          return tensor === undefined ? [] : [[parameter, tensor] as const];
        }),
      ),
    },
    specText: text,
    specName,
  };
}

/** Writes the spec and the checkpoint into a folder that is there whole or not at all. */
export async function writeImported(model: ImportedModel, folder: string, replace: boolean): Promise<void> {
  await writeFolderAtomically({ path: folder, replace, marker: checkpointName }, async (partial) => {
    await writeFile(join(partial, model.specName), model.specText);
    await saveCheckpoint(join(partial, checkpointName), model.checkpoint);
  });
}

function checkVocabulary(folder: string, { tokens }: Tokenizer, rows: number): readonly string[] {
  const count = tokens.length;
  if (count > rows) {
    throw new KilnError(
      "user",
      `the vocabulary of ${folder} has ${count} tokens, the token embedding of its model ${rows} rows`,
      "take tokenizer and weights from the same model",
    );
  }
  if (count === rows) return [];
  return [
    `the vocabulary has ${count} tokens, the token embedding ${rows} rows: the last ${rows - count} stand for nothing`,
  ];
}

/** A parameter's initial values, drawn when they are written. */
function freshTensor(
  shape: readonly number[],
  draw: (start: number, count: number) => Float32Array<ArrayBuffer>,
): StoredTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const pieceCount = 2 ** 20;
  return {
    dtype: "F32",
    shape,
    async *read() {
      for (let start = 0; start < count; start += pieceCount)
        yield new Uint8Array(draw(start, Math.min(pieceCount, count - start)).buffer);
    },
  };
}
