import { readTensorFile, type StoredTensor } from "../checkpoint/index.ts";
import { KilnError, messageOf } from "../errors.ts";
import { createTokenizer, readTokenizer, type Tokenizer, wordsTokenizer } from "../tokenizer/index.ts";
import { isRecord, parseJsonObject } from "./json.ts";
import { parseWordsTokenizer } from "./words-tokenizer.ts";

/** Texts of a folder beside its tokenizer are a few KiB; an index of all shards of the largest models some MiB. */
const largestTextBytes = 64 * 1024 * 1024;

/** Files of a Hugging Face folder that are read here. */
const files = {
  config: "config.json",
  model: "model.safetensors",
  index: "model.safetensors.index.json",
} as const;

export interface ModelFolder {
  /** Text of `config.json`, and its path for messages. */
  readonly config: { readonly text: string; readonly path: string };
  /** Of all shards, by their stored names; their bytes are read when asked for. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** For messages: the file of the tensors, or the index of the shards. */
  readonly tensorsPath: string;
}

/**
 * Opens a folder that `save_pretrained` wrote: headers are read and checked, tensors not yet.
 * @throws KilnError `user` naming the file that is missing or damaged
 */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const { stat } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new KilnError(
      "user",
      found === undefined ? `there is no folder ${folder}` : `${folder} is not a folder`,
      "name the folder with config.json and model.safetensors",
    );
  }
  const configPath = join(folder, files.config);
  const config = await readText(configPath);
  if (config === undefined) {
    throw new KilnError(
      "user",
      `${folder} has no ${files.config}`,
      "name a folder that `save_pretrained` of transformers wrote, or that was downloaded whole",
    );
  }
  return { config: { text: config, path: configPath }, ...(await openTensors(folder)) };
}

/**
 * The tokenizer of a folder: WordPiece, or the words that an export of Kiln's wrote.
 * @throws KilnError `user` where there is none, or one that Kiln has not
 */
export async function readFolderTokenizer(folder: string): Promise<Tokenizer> {
  const { join } = await import("node:path");
  const path = join(folder, "tokenizer.json");
  const text = await readText(path);
  const words = text === undefined ? undefined : parseWordsTokenizer(text, path);
  return words === undefined ? readTokenizer(folder) : createTokenizer(wordsTokenizer, words);
}

async function openTensors(folder: string): Promise<Omit<ModelFolder, "config">> {
  const { readdir } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const names = await readdir(folder);
  const modelPath = join(folder, files.model);
  // As in transformers: one whole file goes before shards.
  if (names.includes(files.model))
    return { tensors: (await readTensorFile(modelPath)).tensors, tensorsPath: modelPath };
  const indexPath = join(folder, files.index);
  const index = await readText(indexPath);
  if (index !== undefined)
    return { tensors: await openShards(folder, index, indexPath), tensorsPath: indexPath };
  const other = names.find((name) => /\.(?:bin|pt|pth|h5|msgpack|ckpt)$/.test(name));
  throw new KilnError(
    "user",
    `${folder} has no ${files.model}${other === undefined ? "" : `, only ${other}`}`,
    "save the model as safetensors: model.save_pretrained(folder, safe_serialization=True)",
  );
}

/** @returns the tensors of all shards: exactly those that the index names, each in the shard that it names */
async function openShards(
  folder: string,
  text: string,
  path: string,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const { join } = await import("node:path");
  const { weight_map: map } = parseJsonObject(text, path);
  if (!isRecord(map)) throw new KilnError("user", `${path} has no \`weight_map\``);
  const shards = new Map<string, string[]>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[\w-][\w.-]*\.safetensors$/.test(file)) {
      throw new KilnError(
        "user",
        `${path} puts \`${name}\` into ${JSON.stringify(file)}: a shard is a .safetensors file of the same folder`,
      );
    }
    const names = shards.get(file);
    if (names === undefined) shards.set(file, [name]);
    else names.push(name);
  }
  const tensors = new Map<string, StoredTensor>();
  const problems: string[] = [];
  for (const [file, names] of shards) {
    const shard = await readTensorFile(join(folder, file));
    for (const name of names) {
      const tensor = shard.tensors.get(name);
      if (tensor === undefined) problems.push(`${file} has no ${name}`);
      else tensors.set(name, tensor);
    }
    for (const name of shard.tensors.keys())
      if (map[name] !== file) problems.push(`${file} has ${name}, which the index does not put there`);
  }
  if (problems.length > 0) {
    throw new KilnError(
      "user",
      `${path} does not fit its shards:${problems.map((problem) => `\n  ${problem}`).join("")}`,
      "copy the whole folder again",
    );
  }
  return tensors;
}

/** @returns undefined where there is no such file */
async function readText(path: string): Promise<string | undefined> {
  const { readFile, stat } = await import("node:fs/promises");
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (!found.isFile()) throw new KilnError("user", `${path} is not a file`);
  if (found.size > largestTextBytes)
    throw new KilnError("user", `${path} has ${found.size} bytes: no such file is that large`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (thrown) {
    if (thrown instanceof TypeError) throw new KilnError("user", `${path} is not UTF-8 text`);
    throw new KilnError("user", `${path} cannot be read: ${messageOf(thrown)}`);
  }
}
