import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { KilnError } from "../../errors.ts";
import {
  BoundedCounts,
  buildVocabulary,
  createTokenizer,
  createWordCounter,
  eachToken,
  type Tokenizer,
  type TokenizerDescription,
  trainWordPiece,
  uncasedWordPiece,
  wordsTokenizer,
} from "../../tokenizer/index.ts";
import type { Split } from "../corpus.ts";
import { stream, uniformAt } from "../random.ts";
import { type Paragraph, sentenceForm } from "../text.ts";
import { type HeldOutShares, type Manifest, manifestFormat, manifestVersion } from "./manifest.ts";
import { type Prepared, type PrepareOptions, sourceEntries, tokenizerKey } from "./plan.ts";
import { manifestText, writeFolderAtomically } from "./prepared-folder.ts";
import { tokenBytesFor } from "./shard-format.ts";
import { ShardWriter } from "./shard-writer.ts";
import { findSources, type SourceFile, type Sources } from "./sources.ts";
import { readTextParts } from "./text-stream.ts";

/** Different words that are counted at once. */
const mostWords = 1_000_000;
/** The same for word pieces, whose trainer takes more memory a word. */
const mostPieces = 500_000;

/**
 * Reads a corpus of any size as a stream and writes it as ids, in shards, into a folder that `--corpus` takes. The text is read
 * twice, once to count words, or once with a tokenizer that is there; memory stays within some hundred MiB.
 *
 * The folder is whole or not there: it is written beside its place and renamed at the end.
 * @param path a text file, or a folder of them
 * @throws KilnError `user` for text that cannot be read, a corpus without a sentence, a folder that is there already;
 *   `machine` when the disk refuses
 */
export async function prepareCorpus(
  path: string,
  folder: string,
  options: PrepareOptions,
): Promise<Prepared> {
  const sources = await findSources(path);
  const name = basename(resolve(path));
  const passes = options.tokenizer.kind === "given" ? 1 : 2;
  const report = (doing: string, bytes: number): void => {
    options.onProgress(doing, bytes, passes * sources.bytes);
  };
  return writeFolderAtomically(folder, options.force, async (partial) => {
    const { tokenizer, forgotten } = await openPlanned(sources, options, (bytes) =>
      report("counting words", bytes),
    );
    const tokenBytes = tokenBytesFor(tokenizer.tokens.length);
    const writer = (split: Split): ShardWriter =>
      new ShardWriter(partial, split, tokenBytes, options.shardBytes);
    const writers = { train: writer("train"), valid: writer("valid"), test: writer("test") };
    const base = (passes - 1) * sources.bytes;
    await eachPart(sources, tokenizer.description, options, async (paragraphs, splitAt, bytes) => {
      for (let i = 0; i < paragraphs.length; i++) {
        const split = writers[splitAt(i)];
        for (const sentence of paragraphs[i]!) split.sentence(tokenizer.encodeSentence(sentence));
        split.endParagraph();
        if (split.isFull) await split.write();
      }
      report("writing tokens", base + bytes);
    });
    for (const split of Object.values(writers)) await split.write();
    if (writers.train.entries.length === 0) {
      throw new KilnError("user", `no paragraph with a sentence was found in ${path}`, "give a longer text");
    }
    await expectUnchanged(sources.files);
    const manifest: Manifest = {
      format: manifestFormat,
      version: manifestVersion,
      name,
      made: tokenizerKey(options.tokenizer),
      shares: options.shares,
      sources: sourceEntries(sources),
      tokenizer: tokenizer.description,
      vocabulary: tokenizer.tokens,
      tokenBytes,
      splits: {
        train: writers.train.entries,
        valid: writers.valid.entries,
        test: writers.test.entries,
      },
    };
    return { content: { manifest, leftOut: sources.leftOut, forgotten }, manifest: manifestText(manifest) };
  });
}

async function openPlanned(
  sources: Sources,
  options: PrepareOptions,
  report: (bytes: number) => void,
): Promise<{ readonly tokenizer: Tokenizer; readonly forgotten: number }> {
  const plan = options.tokenizer;
  if (plan.kind === "given") {
    return { tokenizer: createTokenizer(plan.description, plan.vocabulary), forgotten: 0 };
  }
  const description = plan.kind === "words" ? wordsTokenizer : uncasedWordPiece;
  const counter =
    plan.kind === "words" ? createTokenCounter(mostWords) : createWordCounter(uncasedWordPiece, mostPieces);
  await eachPart(sources, description, options, async (paragraphs, splitAt, bytes) => {
    for (let i = 0; i < paragraphs.length; i++) {
      if (splitAt(i) === "train") for (const sentence of paragraphs[i]!) counter.add(sentence, 1);
    }
    report(bytes);
  });
  const { counts, forgotten } = counter;
  const vocabulary =
    plan.kind === "words"
      ? buildVocabulary(counts, plan.minFrequency, plan.vocabularySize)
      : trainWordPiece(counts, {
          description: uncasedWordPiece,
          vocabularySize: plan.vocabularySize,
          minFrequency: plan.minFrequency,
        });
  return { tokenizer: createTokenizer(description, vocabulary), forgotten };
}

/** `createWordCounter` for the book's words. */
function createTokenCounter(most: number) {
  const words = new BoundedCounts(most);
  return {
    add(sentence: string, times: number): void {
      eachToken(sentence, (start, end) => words.add(sentence, start, end, times));
    },
    get counts() {
      return words.counts;
    },
    get forgotten() {
      return words.forgotten;
    },
  };
}

/**
 * Reads all files, part by part.
 * @param take gets paragraphs, the split that each of them belongs to, and the bytes read so far
 */
async function eachPart(
  { files }: Sources,
  description: TokenizerDescription,
  { shares, signal }: PrepareOptions,
  take: (paragraphs: readonly Paragraph[], splitAt: (i: number) => Split, bytes: number) => Promise<void>,
): Promise<void> {
  const form = sentenceForm(description);
  let before = 0;
  /** Paragraphs so far of files without a split. */
  let dealt = 0;
  for (const file of files) {
    // A folder may well hold an empty file: it adds nothing.
    if (file.bytes === 0) continue;
    for await (const { paragraphs, readBytes } of readTextParts(file.path, file.path, form)) {
      signal.throwIfAborted();
      const first = dealt;
      await take(paragraphs, (i) => file.split ?? dealSplit(first + i, shares), before + readBytes);
      if (file.split === undefined) dealt += paragraphs.length;
    }
    before += file.bytes;
  }
}

/** The split of a paragraph by its number alone, so that no length need be known and every run deals them out alike. */
function dealSplit(paragraph: number, { valid, test }: HeldOutShares): Split {
  const u = uniformAt(stream.corpusSplit, paragraph);
  return u < valid ? "valid" : u < valid + test ? "test" : "train";
}

async function expectUnchanged(files: readonly SourceFile[]): Promise<void> {
  for (const { path, bytes, modifiedMs } of files) {
    const now = await stat(path).catch(() => undefined);
    if (now?.size !== bytes || now.mtimeMs !== modifiedMs) {
      throw new KilnError("user", `${path} changed while it was read`, "prepare again when it is finished");
    }
  }
}
