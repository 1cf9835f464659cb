import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { KilnError, messageOf } from "../errors.ts";
import type { Corpus, Split } from "./corpus.ts";
import type { Paragraph, SentenceForm } from "./text.ts";
import { checkTextSize, paragraphsOf, textCorpus } from "./text-corpus.ts";

/** Names a split's file may have in a folder, in the order they are tried. */
function splitFiles(split: Split): readonly string[] {
  return [`wiki.${split}.tokens`, `${split}.txt`];
}

/**
 * Reads a corpus: a folder with a file for each split (`wiki.train.tokens` or `train.txt`, ...; also one folder further down,
 * `wikitext-2/`), or one text file, whose first 90 % of paragraphs are the training split, the next 5 % valid, the rest test.
 * @param form how sentences are given: as the tokenizer reads them
 * @throws KilnError (`user`) when the path does not exist, a split's file is missing, or a file is empty or no text
 */
export async function readCorpus(path: string, split: Split, form: SentenceForm): Promise<Corpus> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    throw new KilnError("user", `there is no corpus at ${path}`, "check the path, or leave out --corpus");
  }
  if (!info.isDirectory()) {
    const corpus = textCorpus(await readBytes(path), path, split, form);
    return { ...corpus, name: basename(path) };
  }
  const train = await readSplit(path, "train", form);
  return {
    kind: "text",
    name: basename(path),
    paragraphs: split === "train" ? train : await readSplit(path, split, form),
    vocabularyParagraphs: train,
  };
}

async function readSplit(folder: string, split: Split, form: SentenceForm): Promise<Paragraph[]> {
  const path = await findSplitFile(folder, split);
  if (path !== undefined) return paragraphsOf(await readBytes(path), path, form);
  throw new KilnError(
    "user",
    `the corpus folder ${folder} has no ${split} file`,
    `expected ${splitFiles(split).join(" or ")}; \`fetch wikitext-2\` downloads a set, \`prepare\` reads folders of any text`,
  );
}

/** The file of a split that `readCorpus` would read. */
async function findSplitFile(folder: string, split: Split): Promise<string | undefined> {
  const names = splitFiles(split);
  for (const name of [...names, ...names.map((name) => join("wikitext-2", name))]) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  return undefined;
}

/** Whether `readCorpus` takes the folder: not any folder with text in it. */
export async function hasSplitFiles(folder: string): Promise<boolean> {
  return (await findSplitFile(folder, "train")) !== undefined;
}

async function readBytes(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  checkTextSize(size, path, "`prepare` reads text of any size");
  try {
    return await readFile(path);
  } catch (error) {
    throw new KilnError("user", `cannot read ${path}: ${messageOf(error)}`, undefined, error);
  }
}
