import { KilnError } from "../../errors.ts";
import type { EncodedText } from "../corpus.ts";

/*
 * A shard is some paragraphs of one split as ids. Little-endian, as every machine that WebGPU runs on is:
 *
 *     offset  bytes
 *          0      8  "KILNSHRD"
 *          8     24  u32: version, bytes a token (2 or 4), paragraphs P, sentences S, tokens T, 0
 *         32    4 P  u32: sentences of each paragraph
 *                4 S  u32: tokens of each sentence
 *                     u16 or u32: the tokens
 */

export const shardVersion = 1;
const magic = "KILNSHRD";
const headerBytes = 32;

export type TokenBytes = 2 | 4;

/** Ids: u16 where all of the vocabulary's fit. */
export type TokenArray = Uint16Array | Uint32Array;

export function tokenArray(bytes: TokenBytes, length: number): TokenArray {
  return bytes === 2 ? new Uint16Array(length) : new Uint32Array(length);
}

export function tokenBytesFor(vocabularySize: number): TokenBytes {
  return vocabularySize <= 2 ** 16 ? 2 : 4;
}

/** Counts of a shard's contents. */
export interface ShardCounts {
  readonly paragraphs: number;
  readonly sentences: number;
  readonly tokens: number;
}

/** The contents of a shard, as `EncodedText` but for the width of its ids. */
export interface ShardText extends Omit<EncodedText, "tokens"> {
  readonly tokens: TokenArray;
}

export function shardSize({ paragraphs, sentences, tokens }: ShardCounts, tokenBytes: TokenBytes): number {
  return headerBytes + 4 * (paragraphs + sentences) + tokenBytes * tokens;
}

/** @param text the starts have one more entry than there are sentences and paragraphs: the end */
export function writeShard({ tokens, sentenceStarts, paragraphStarts }: ShardText): Uint8Array {
  const paragraphs = paragraphStarts.length - 1;
  const sentences = sentenceStarts.length - 1;
  const tokenBytes = tokens instanceof Uint16Array ? 2 : 4;
  const bytes = new Uint8Array(shardSize({ paragraphs, sentences, tokens: tokens.length }, tokenBytes));
  bytes.set(new TextEncoder().encode(magic));
  new Uint32Array(bytes.buffer, 8, 5).set([shardVersion, tokenBytes, paragraphs, sentences, tokens.length]);
  const lengths = new Uint32Array(bytes.buffer, headerBytes, paragraphs + sentences);
  for (let p = 0; p < paragraphs; p++) lengths[p] = paragraphStarts[p + 1]! - paragraphStarts[p]!;
  for (let s = 0; s < sentences; s++) lengths[paragraphs + s] = sentenceStarts[s + 1]! - sentenceStarts[s]!;
  const at = headerBytes + 4 * (paragraphs + sentences);
  bytes.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), at);
  return bytes;
}

/**
 * The contents of a shard; its tokens are a view of `bytes`.
 * @param bytes a whole buffer, as its parts must be aligned
 * @param name what to call it in messages
 * @throws KilnError `user` for bytes that are no shard, of another version, or whose counts contradict each other
 */
export function readShard(bytes: Uint8Array<ArrayBuffer>, name: string, vocabularySize: number): ShardText {
  const wrong = (why: string): KilnError =>
    new KilnError("user", `${name} is damaged: ${why}`, "prepare the corpus again");
  if (bytes.length < headerBytes || new TextDecoder("latin1").decode(bytes.subarray(0, 8)) !== magic) {
    throw wrong("it is no shard");
  }
  const [version = 0, width = 0, paragraphs = 0, sentences = 0, count = 0] = new Uint32Array(
    bytes.buffer,
    8,
    5,
  );
  if (version !== shardVersion) {
    throw new KilnError(
      "user",
      `${name} has version ${version} of the format, and this program reads version ${shardVersion}`,
      "prepare the corpus again",
    );
  }
  if (width !== 2 && width !== 4) throw wrong(`it has ${width} bytes a token`);
  const size = shardSize({ paragraphs, sentences, tokens: count }, width);
  if (size !== bytes.length) throw wrong(`its counts need ${size} bytes, and it has ${bytes.length}`);
  const lengths = new Uint32Array(bytes.buffer, headerBytes, paragraphs + sentences);
  const paragraphStarts = startsOf(lengths.subarray(0, paragraphs), sentences);
  const sentenceStarts = startsOf(lengths.subarray(paragraphs), count);
  if (paragraphStarts === undefined) throw wrong("its paragraphs do not add up to its sentences");
  if (sentenceStarts === undefined) throw wrong("its sentences do not add up to its tokens");
  const at = headerBytes + 4 * (paragraphs + sentences);
  const tokens =
    width === 2 ? new Uint16Array(bytes.buffer, at, count) : new Uint32Array(bytes.buffer, at, count);
  // A gather with an id beyond the vocabulary would read past the embedding.
  for (let i = 0; i < count; i++) {
    if (tokens[i]! >= vocabularySize) {
      throw wrong(`token ${i} is ${tokens[i]}, and the vocabulary has ${vocabularySize} entries`);
    }
  }
  return { tokens, sentenceStarts, paragraphStarts };
}

/** undefined where the lengths do not add up to `total`, or one is 0. */
function startsOf(lengths: Uint32Array, total: number): Int32Array<ArrayBuffer> | undefined {
  const starts = new Int32Array(lengths.length + 1);
  let end = 0;
  for (let i = 0; i < lengths.length; i++) {
    if (lengths[i] === 0) return undefined;
    end += lengths[i]!;
    // Also so that the sum stays within 32 bits.
    if (end > total) return undefined;
    starts[i + 1] = end;
  }
  return end === total ? starts : undefined;
}

/**
 * How many neighbouring sentences of one paragraph have how many tokens together: what says, without the shard, how many
 * sentence pairs of at most some length it has.
 * @returns [tokens of both, pairs], by tokens; pairs beyond `longestPair` are left out
 */
export function pairLengths({
  sentenceStarts,
  paragraphStarts,
}: Pick<ShardText, "sentenceStarts" | "paragraphStarts">): (readonly [number, number])[] {
  const counts = new Map<number, number>();
  for (let p = 0; p + 1 < paragraphStarts.length; p++) {
    for (let a = paragraphStarts[p]!; a < paragraphStarts[p + 1]! - 1; a++) {
      const length = sentenceStarts[a + 2]! - sentenceStarts[a]!;
      if (length <= longestPair) counts.set(length, (counts.get(length) ?? 0) + 1);
    }
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** Tokens of the longest pair that is counted: no model is trained on longer ones. */
export const longestPair = 2 ** 16;
