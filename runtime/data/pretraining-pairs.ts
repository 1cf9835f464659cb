import type { Vocabulary } from "../tokenizer/index.ts";
import type { EncodedText } from "./corpus.ts";
import { type Random, shuffle } from "./random.ts";
import { maskRate, roundHalfEven } from "./settings.ts";

/** Sentence pairs of a text, one a row: numbers of two sentences, and whether the second really follows. */
export interface SentencePairs {
  readonly count: number;
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** 1: the second follows the first in the text; 0: it was drawn at random (and may by luck be the true one). */
  readonly next: Int32Array;
}

/** <cls>, <sep> and <sep>. */
export const specialsOfPair = 3;

/**
 * Next-sentence pairs (d2l, `_get_nsp_data_from_paragraph`): for every sentence but the last of a paragraph, with
 * probability 1/2 the true next one, else a uniform sentence of a uniform paragraph. A pair longer than
 * `maxLength` with its special tokens is dropped, not cut.
 * @param nextSentence false: always the true next sentence
 */
export function drawPairs(
  text: EncodedText,
  maxLength: number,
  nextSentence: boolean,
  random: Random,
): SentencePairs {
  const { sentenceStarts, paragraphStarts } = text;
  const paragraphs = paragraphStarts.length - 1;
  const most = sentenceStarts.length;
  const first = new Int32Array(most);
  const second = new Int32Array(most);
  const next = new Int32Array(most);
  let count = 0;
  for (let p = 0; p < paragraphs; p++) {
    for (let a = paragraphStarts[p]!; a < paragraphStarts[p + 1]! - 1; a++) {
      let b = a + 1;
      const isNext = !nextSentence || random.uniform() < 0.5;
      if (!isNext) {
        const other = random.below(paragraphs);
        const start = paragraphStarts[other]!;
        b = start + random.below(paragraphStarts[other + 1]! - start);
      }
      const lengthA = sentenceStarts[a + 1]! - sentenceStarts[a]!;
      const lengthB = sentenceStarts[b + 1]! - sentenceStarts[b]!;
      if (lengthA + lengthB + specialsOfPair > maxLength) continue;
      first[count] = a;
      second[count] = b;
      next[count] = isNext ? 1 : 0;
      count++;
    }
  }
  return {
    count,
    first: first.slice(0, count),
    second: second.slice(0, count),
    next: next.slice(0, count),
  };
}

/** One row of a batch. Views into the batch's fields: tokens and segments [T], positions, labels and weights [P]. */
export interface ExampleRow {
  readonly tokens: Int32Array;
  readonly segments: Int32Array;
  readonly positions: Int32Array;
  readonly labels: Int32Array;
  readonly weights: Float32Array;
}

/**
 * Writes `<cls> a <sep> b <sep>`, its segments and its padding, without masks.
 * @returns the valid length: tokens before the padding
 */
export function writePair(
  row: Pick<ExampleRow, "tokens" | "segments">,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { cls, sep, pad }: Pick<Vocabulary, "cls" | "sep" | "pad">,
): number {
  const { tokens, segments } = row;
  const secondStart = a.length + 2;
  const length = secondStart + b.length + 1;
  tokens[0] = cls;
  tokens.set(a, 1);
  tokens[a.length + 1] = sep;
  tokens.set(b, secondStart);
  tokens[length - 1] = sep;
  tokens.fill(pad, length);
  segments.fill(0);
  segments.fill(1, secondStart, length);
  return length;
}

/**
 * Masked-LM targets (Devlin 2019, 3.1; d2l, `_get_mlm_data_from_tokens`): n = max(1, round(0.15 * length)) positions, uniform
 * among those that hold neither <cls> nor <sep>; at each the token becomes <mask> (80 %), stays (10 %) or
 * becomes a uniform entry of the whole vocabulary (10 %). Positions are sorted; unused slots hold zeros.
 * @returns how many tokens are to be predicted; no more than the row has slots
 */
export function maskTokens(row: ExampleRow, length: number, vocabulary: Vocabulary, random: Random): number {
  const { tokens, positions, labels, weights } = row;
  const candidates = new Int32Array(length);
  let candidateCount = 0;
  for (let i = 0; i < length; i++) {
    if (tokens[i] !== vocabulary.cls && tokens[i] !== vocabulary.sep) candidates[candidateCount++] = i;
  }
  const pool = candidates.subarray(0, candidateCount);
  const count = Math.min(predictionCount(length, positions.length), candidateCount);
  shuffle(pool, random, count);
  positions.fill(0);
  labels.fill(0);
  weights.fill(0);
  positions.set(pool.subarray(0, count).sort());
  for (let slot = 0; slot < count; slot++) {
    const position = positions[slot]!;
    labels[slot] = tokens[position]!;
    weights[slot] = 1;
    const fate = random.uniform();
    if (fate < 0.8) tokens[position] = vocabulary.mask;
    else if (fate >= 0.9) tokens[position] = random.below(vocabulary.tokens.length);
  }
  return count;
}

/** Tokens to predict in an example of this length, special tokens counted. */
export function predictionCount(length: number, slots: number): number {
  return Math.min(slots, Math.max(1, roundHalfEven(length * maskRate)));
}
