import { KilnError } from "../../errors.ts";
import { createTokenizer, type Tokenizer, wordsTokenizer } from "../../tokenizer/index.ts";
import type { BatchMaker, BatchMakerOptions } from "../batch-maker.ts";
import { windowCount, writeWindow } from "../causal-text.ts";
import { splitNumber } from "../corpus.ts";
import { fillPairs, fillWindows } from "../fill-batch.ts";
import { maskTokens, writePair } from "../pretraining-pairs.ts";
import { randomAt, stream } from "../random.ts";
import type { PairSettings, TextSettings } from "../settings.ts";
import { type Manifest, type ShardEntry, totalsOf } from "./manifest.ts";
import { isTokenizerOf } from "./plan.ts";
import { loadShard } from "./prepared-folder.ts";
import { type ShardText, type TokenArray, tokenArray } from "./shard-format.ts";
import { countPairs, drawSecond, findPairs } from "./shard-pairs.ts";
import { shuffleShards } from "./shuffled-shards.ts";

/** A folder that `prepareCorpus` wrote. */
export interface PreparedCorpus {
  readonly folder: string;
  readonly manifest: Manifest;
}

export interface PreparedOptions extends Omit<BatchMakerOptions, "corpus"> {
  /** Bytes of shards that are shuffled together; the order of a run depends on it. */
  readonly bufferBytes: number;
}

/** Three shards of the usual size, some 75 MB of text: two groups, in memory beside held-out data, are to stay well below 1 GB. */
export const usualBufferBytes = 2 ** 25;

/**
 * `createBatchMaker` for a corpus on the disk. Node only; reads shards when batches need them, two buffers in memory at most.
 *
 * Examples are shuffled within groups of shards as large as the buffer, the shards anew for every epoch. A pair and its static masks
 * depend on seed, split, shard and place in the shard, and not on the epoch or the buffer.
 * @throws KilnError `user` for settings that cannot work, a tokenizer that is not the corpus's, and a split without an example;
 *   so does `make` for a damaged shard
 */
export function createPreparedMaker(
  settings: PairSettings | TextSettings,
  corpus: PreparedCorpus,
  options: PreparedOptions,
): BatchMaker {
  const { manifest } = corpus;
  const limit = settings.vocabularySize ?? options.vocabularySize;
  const { length } = manifest.vocabulary;
  if (limit !== undefined && length > limit) {
    throw new KilnError(
      "user",
      `${corpus.folder} was prepared with a vocabulary of ${length} entries, and the model takes ${limit}`,
      `set vocab to ${length}, or prepare it again with --vocab ${limit}`,
    );
  }
  expectSameTokenizer(corpus, options);
  const tokenizer = createTokenizer(manifest.tokenizer, manifest.vocabulary);
  return settings.kind === "PretrainingPairs"
    ? createPairMaker(settings, tokenizer, corpus, options)
    : createTextMaker(settings, tokenizer, corpus, options);
}

/** The ids on the disk are those of one tokenizer: a model that was trained with another would read them as other words. */
function expectSameTokenizer(
  { folder, manifest }: PreparedCorpus,
  { vocabulary, tokenizer = wordsTokenizer }: PreparedOptions,
): void {
  if (vocabulary === undefined) return;
  if (isTokenizerOf(manifest, tokenizer, vocabulary)) return;
  throw new KilnError(
    "user",
    `${folder} was prepared with another tokenizer than the one to read it with`,
    "prepare the text again with `prepare --tokenizer`, which takes a checkpoint too",
  );
}

function createPairMaker(
  settings: PairSettings,
  tokenizer: Tokenizer,
  { folder, manifest }: PreparedCorpus,
  { split, seed, bufferBytes }: PreparedOptions,
): BatchMaker {
  const { maxLength, batch } = settings;
  const entries = manifest.splits[split];
  const key = [seed, splitNumber[split]];
  const shuffled = shuffleShards(
    entries.map((entry) => ({ bytes: entry.bytes, examples: countPairs(entry, maxLength) })),
    (shard) => findPairs(loadShard(folder, entries[shard]!, tokenizer.tokens.length), maxLength),
    bufferBytes,
    key,
  );
  if (shuffled.examples === 0) {
    throw new KilnError(
      "user",
      `no two neighbouring sentences of the ${split} part of ${folder} fit into max_len ${maxLength}`,
      entries.length === 0 ? "prepare it again with a larger share of it" : "set a larger max_len",
    );
  }
  return {
    vocabulary: tokenizer.tokens,
    tokenizer: tokenizer.description,
    summary: describe(manifest, split, entries, `${shuffled.examples} pairs`, shuffled.examples / batch),
    best: () => undefined,
    make: (index) =>
      fillPairs(settings, checked(index), (row, place) => {
        const { epoch, shard, shardNumber, ordinal } = shuffled.at(place);
        const { tokens, sentenceStarts } = shard.text;
        const sentence = (at: number): TokenArray =>
          tokens.subarray(sentenceStarts[at]!, sentenceStarts[at + 1]!);
        const drawn = randomAt(stream.nextSentence, ...key, shardNumber, ordinal);
        const { a, b, next } = drawSecond(shard, ordinal, maxLength, settings.nextSentence, drawn);
        const length = writePair(row, sentence(a), sentence(b), tokenizer);
        const maskEpoch = settings.masking === "static" ? 0 : epoch;
        maskTokens(row, length, tokenizer, randomAt(stream.mask, ...key, maskEpoch, shardNumber, ordinal));
        return { length, next };
      }),
  };
}

function createTextMaker(
  settings: TextSettings,
  tokenizer: Tokenizer,
  { folder, manifest }: PreparedCorpus,
  { split, seed, bufferBytes }: PreparedOptions,
): BatchMaker {
  const { maxLength, batch } = settings;
  const entries = manifest.splits[split];
  const shuffled = shuffleShards(
    entries.map(({ bytes, tokens, sentences }) => ({
      bytes,
      examples: windowCount({ length: tokens + sentences }, maxLength),
    })),
    (shard) => runningTokens(loadShard(folder, entries[shard]!, tokenizer.tokens.length), tokenizer.sep),
    bufferBytes,
    [seed, splitNumber[split]],
  );
  if (shuffled.examples === 0) {
    throw new KilnError(
      "user",
      `the ${split} part of ${folder} has no text`,
      "prepare it again with a larger share of it",
    );
  }
  return {
    vocabulary: tokenizer.tokens,
    tokenizer: tokenizer.description,
    summary: describe(manifest, split, entries, `${shuffled.examples} windows`, shuffled.examples / batch),
    best: () => undefined,
    make: (index) =>
      fillWindows(settings, checked(index), (row, place) => {
        const { shard, ordinal } = shuffled.at(place);
        return writeWindow(row, shard, ordinal, tokenizer);
      }),
  };
}

/** `runningText` of a shard: its sentences in order, a <sep> after each. */
function runningTokens({ tokens, sentenceStarts }: ShardText, sep: number): TokenArray {
  const sentences = sentenceStarts.length - 1;
  const running = tokenArray(tokens instanceof Uint16Array ? 2 : 4, tokens.length + sentences);
  for (let s = 0; s < sentences; s++) {
    const end = sentenceStarts[s + 1]!;
    running.set(tokens.subarray(sentenceStarts[s]!, end), sentenceStarts[s]! + s);
    running[end + s] = sep;
  }
  return running;
}

function describe(
  { name, vocabulary, tokenizer }: Manifest,
  split: string,
  entries: readonly ShardEntry[],
  examples: string,
  batches: number,
): string {
  const { paragraphs, sentences, tokens } = totalsOf(entries);
  const pieces = tokenizer.kind === "words" ? "" : " word pieces";
  return (
    `${name}, ${split}, prepared: ${paragraphs} paragraphs, ${sentences} sentences, ${tokens} tokens in ${entries.length} ` +
    `shard${entries.length === 1 ? "" : "s"}, vocabulary ${vocabulary.length}${pieces}, ${examples} (${batches.toFixed(1).replace(".0", "")} batches an epoch)`
  );
}

function checked(index: number): number {
  if (Number.isSafeInteger(index) && index >= 0) return index;
  throw new KilnError("usage", `there is no batch ${index}: batches are counted from 0`);
}
