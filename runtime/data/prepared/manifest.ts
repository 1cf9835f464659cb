import { KilnError, messageOf } from "../../errors.ts";
import {
  descriptionMistake,
  isObject,
  isTokenizerDescription,
  type TokenizerDescription,
} from "../../tokenizer-description.ts";
import type { Split } from "../corpus.ts";
import { longestPair, type ShardCounts, shardSize, type TokenBytes } from "./shard-format.ts";

export const manifestName = "manifest.json";
export const manifestFormat = "kiln prepared corpus";
export const manifestVersion = 1;

/** One file of a split. */
export interface ShardEntry extends ShardCounts {
  /** Its name in the folder of the manifest. */
  readonly file: string;
  readonly bytes: number;
  /** Of the whole file, in hexadecimal digits. */
  readonly sha256: string;
  /** `pairLengths` of it. */
  readonly pairs: readonly (readonly [number, number])[];
}

/** A corpus as ids: what `manifest.json` says of the shards beside it. */
export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly version: typeof manifestVersion;
  /** What to call the corpus. */
  readonly name: string;
  /** How the tokenizer came about (`tokenizerKey`): the same sources, key and shares give the same shards. */
  readonly made: string;
  /** Of the paragraphs, held out where the corpus had no splits. */
  readonly shares: HeldOutShares;
  readonly sources: readonly SourceEntry[];
  readonly tokenizer: TokenizerDescription;
  /** Tokens by id. */
  readonly vocabulary: readonly string[];
  readonly tokenBytes: TokenBytes;
  readonly splits: Readonly<Record<Split, readonly ShardEntry[]>>;
}

/** Shares of the paragraphs that are held out, where a corpus has no splits of its own. */
export interface HeldOutShares {
  readonly valid: number;
  readonly test: number;
}

/** A text file that the corpus was made from. */
export interface SourceEntry {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export function totalsOf(shards: readonly ShardEntry[]): ShardCounts & { readonly bytes: number } {
  const sum = (of: (shard: ShardEntry) => number): number =>
    shards.reduce((total, shard) => total + of(shard), 0);
  return {
    paragraphs: sum(({ paragraphs }) => paragraphs),
    sentences: sum(({ sentences }) => sentences),
    tokens: sum(({ tokens }) => tokens),
    bytes: sum(({ bytes }) => bytes),
  };
}

/** A shard is read whole: more is nothing that `prepare` writes. */
const mostShardBytes = 2 ** 30;
/** Sum of the counts of a split: beyond any disk, and far from where numbers lose their last digit. */
const mostTotal = 2 ** 48;

/**
 * Reads what is claimed to be a manifest; believes nothing that can be checked without the shards.
 * @param path what to call it in messages
 * @throws KilnError `user` for text that is no manifest, of another version, or whose numbers contradict each other
 */
export function parseManifest(text: string, path: string): Manifest {
  const wrong = (why: string): KilnError =>
    new KilnError("user", `${path} is damaged: ${why}`, "prepare the corpus again");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(`it is no JSON (${messageOf(error)})`);
  }
  if (!isObject(value) || value.format !== manifestFormat) {
    throw new KilnError("user", `${path} describes no prepared corpus`, "`prepare` writes such folders");
  }
  if (value.version !== manifestVersion) {
    throw new KilnError(
      "user",
      `${path} has version ${JSON.stringify(value.version)} of the format, and this program reads version ${manifestVersion}`,
      "prepare the corpus again",
    );
  }
  const { name, made, shares, sources, tokenizer, vocabulary, tokenBytes, splits } = value;
  if (typeof name !== "string" || typeof made !== "string") {
    throw wrong("it does not say what it is called or how it was made");
  }
  if (!isShares(shares)) throw wrong("its shares are no numbers");
  if (!isListOf(sources, isSource)) throw wrong("its sources are no list of names, sizes and times");
  if (!isTokenizerDescription(tokenizer)) {
    throw wrong(`its tokenizer makes no sense: ${descriptionMistake(tokenizer)}`);
  }
  if (!isListOf(vocabulary, (token) => typeof token === "string")) {
    throw wrong("its vocabulary is no list of tokens");
  }
  if (tokenBytes !== 2 && tokenBytes !== 4) throw wrong(`it has ${JSON.stringify(tokenBytes)} bytes a token`);
  if (!isObject(splits)) throw wrong("it has no splits");
  const read = (split: Split): ShardEntry[] => {
    const shards: unknown = splits[split];
    if (!Array.isArray(shards)) throw wrong(`its split ${split} is no list of shards`);
    const entries = shards.map((shard: unknown, i) => {
      const entry = readEntry(shard, split, tokenBytes);
      if (typeof entry === "string") throw wrong(`shard ${i} of ${split} ${entry}`);
      return entry;
    });
    if (new Set(entries.map(({ file }) => file)).size < entries.length)
      throw wrong(`${split} has a shard twice`);
    if (totalsOf(entries).bytes > mostTotal) throw wrong(`the shards of ${split} are larger than any disk`);
    return entries;
  };
  return {
    format: manifestFormat,
    version: manifestVersion,
    name,
    made,
    shares,
    sources,
    tokenizer,
    vocabulary,
    tokenBytes,
    splits: { train: read("train"), valid: read("valid"), test: read("test") },
  };
}

/** The entry of a shard, or what is wrong with it. */
function readEntry(value: unknown, split: Split, tokenBytes: TokenBytes): ShardEntry | string {
  if (!isObject(value)) return "is no object";
  const { file, bytes, sha256, paragraphs, sentences, tokens, pairs } = value;
  // A name that leads out of the folder is none that `prepare` gives.
  if (typeof file !== "string" || !new RegExp(`^${split}-\\d{5,9}\\.shard$`).test(file)) {
    return `is called ${JSON.stringify(file)}`;
  }
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) return "has no SHA-256";
  if (!isCount(bytes) || !isCount(paragraphs) || !isCount(sentences) || !isCount(tokens)) {
    return "has counts that are no whole numbers of 0 or more";
  }
  if (bytes > mostShardBytes) return `has ${bytes} bytes, more than the ${mostShardBytes} that one may have`;
  const size = shardSize({ paragraphs, sentences, tokens }, tokenBytes);
  if (size !== bytes) return `has ${bytes} bytes, and its counts need ${size}`;
  if (paragraphs > sentences || sentences > tokens)
    return "has more paragraphs than sentences, or sentences than tokens";
  if (!isListOf(pairs, isPairCount)) return "has pairs that are no list of lengths and counts";
  const counted = pairs.reduce((sum, [, count]) => sum + count, 0);
  if (counted > sentences - paragraphs)
    return `has ${counted} pairs in ${sentences} sentences of ${paragraphs} paragraphs`;
  return { file, bytes, sha256, paragraphs, sentences, tokens, pairs };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isListOf<T>(value: unknown, isOne: (one: unknown) => one is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isOne);
}

function isPairCount(value: unknown): value is readonly [number, number] {
  return (
    Array.isArray(value) && value.length === 2 && value.every(isCount) && Number(value[0]) <= longestPair
  );
}

function isShares(value: unknown): value is HeldOutShares {
  return isObject(value) && typeof value.valid === "number" && typeof value.test === "number";
}

function isSource(value: unknown): value is SourceEntry {
  return (
    isObject(value) &&
    typeof value.name === "string" &&
    isCount(value.bytes) &&
    typeof value.modifiedMs === "number"
  );
}
