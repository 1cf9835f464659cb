import { KilnError, messageOf } from "../errors.ts";
import { parseTokenizer, type TextFile, type TokenizerFiles } from "./hugging-face.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Reads a WordPiece tokenizer: a `vocab.txt`, a `tokenizer.json`, or a folder with one of them (the latter if both).
 * A `tokenizer_config.json` beside it is read too. Node only.
 * @throws KilnError `user` when there is nothing of the kind, and what `parseTokenizer` throws
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  return parseTokenizer(await findFiles(path));
}

const configName = "tokenizer_config.json";

async function findFiles(path: string): Promise<TokenizerFiles> {
  const { stat, readdir } = await import("node:fs/promises");
  const { basename, dirname, join } = await import("node:path");
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw new KilnError("user", `there is no tokenizer at ${path}`, formsHint);
  const folder = info.isDirectory() ? path : dirname(path);
  const names = await readdir(folder).catch((): string[] => []);
  const file = info.isDirectory()
    ? ["tokenizer.json", "vocab.txt"].find((name) => names.includes(name))
    : basename(path);
  if (file === undefined) {
    throw new KilnError("user", `the folder ${path} has neither tokenizer.json nor vocab.txt`, formsHint);
  }
  const tokenizer = await readText(join(folder, file));
  const config = names.includes(configName) ? await readText(join(folder, configName)) : undefined;
  return {
    tokenizer: { ...tokenizer, format: file.endsWith(".json") ? "tokenizer.json" : "vocab.txt" },
    ...(config !== undefined && { config }),
  };
}

const formsHint = "name a vocab.txt, a tokenizer.json, or a folder with one of them";

/** Larger than any vocabulary in use; what is larger is another file, named by mistake. */
const maxBytes = 256 * 2 ** 20;

async function readText(name: string): Promise<TextFile> {
  const { readFile, stat } = await import("node:fs/promises");
  let bytes: Uint8Array;
  try {
    const { size } = await stat(name);
    if (size > maxBytes) {
      throw new KilnError(
        "user",
        `${name} has ${Math.round(size / 2 ** 20)} MiB: that is no vocabulary`,
        formsHint,
      );
    }
    bytes = await readFile(name);
  } catch (error) {
    if (error instanceof KilnError) throw error;
    throw new KilnError("user", `cannot read ${name}: ${messageOf(error)}`, undefined, error);
  }
  try {
    return { name, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    throw new KilnError("user", `${name} is not UTF-8 text`, formsHint);
  }
}
