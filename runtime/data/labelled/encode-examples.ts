import type { Tokenizer } from "../../tokenizer/index.ts";
import { writePair } from "../pretraining-pairs.ts";
import type { LabelledExample, LabelledText, LabelledWords } from "./examples.ts";

/** Examples as ids, without special tokens: one a row. */
export interface EncodedExample {
  readonly first: Int32Array;
  /** The second text of a pair. */
  readonly second?: Int32Array;
  /** Class ids, and whether they count: one for the example, or one for each id of `first`. */
  readonly labels: Int32Array;
  readonly counted: Uint8Array;
  /** It was longer than the model takes. */
  readonly isCut: boolean;
}

/** <cls> and <sep>, and one more <sep> in a pair. */
const specials = { text: 2, pair: 3 } as const;

export function encodeExample(
  example: LabelledExample,
  tokenizer: Tokenizer,
  labelIds: ReadonlyMap<string, number>,
  maxLength: number,
): EncodedExample {
  return "texts" in example
    ? encodeText(example, tokenizer, labelIds, maxLength)
    : encodeWords(example, tokenizer, labelIds, maxLength);
}

/**
 * Texts that are too long lose tokens at their ends: of a pair the longer one, the second where both are equal, one by one
 * (d2l, `_truncate_pair_of_tokens`).
 */
function encodeText(
  { texts, label }: LabelledText,
  tokenizer: Tokenizer,
  labelIds: ReadonlyMap<string, number>,
  maxLength: number,
): EncodedExample {
  const [a, b] = texts.map((text) => tokenizer.encode(text));
  const first = a ?? [];
  const labels = Int32Array.of(labelIds.get(label) ?? 0);
  const counted = Uint8Array.of(1);
  if (b === undefined) {
    const room = maxLength - specials.text;
    const isCut = first.length > room;
    return { first: Int32Array.from(first.slice(0, room)), labels, counted, isCut };
  }
  const room = maxLength - specials.pair;
  const over = Math.max(0, first.length + b.length - room);
  // What one token at a time comes to: first the longer down to the other, then both in turn, the second first.
  const fromLonger = Math.min(over, Math.abs(first.length - b.length));
  const rest = over - fromLonger;
  const isFirstLonger = first.length > b.length;
  const cutFirst = (isFirstLonger ? fromLonger : 0) + Math.floor(rest / 2);
  const cutSecond = (isFirstLonger ? 0 : fromLonger) + Math.ceil(rest / 2);
  return {
    first: Int32Array.from(first.slice(0, first.length - cutFirst)),
    second: Int32Array.from(b.slice(0, b.length - cutSecond)),
    labels,
    counted,
    isCut: over > 0,
  };
}

/** The first token of a word speaks for it; a word without a token is left out. */
function encodeWords(
  { words, labels }: LabelledWords,
  tokenizer: Tokenizer,
  labelIds: ReadonlyMap<string, number>,
  maxLength: number,
): EncodedExample {
  const ids: number[] = [];
  const classes: number[] = [];
  const counted: number[] = [];
  words.forEach((word, i) => {
    tokenizer.encode(word).forEach((id, piece) => {
      ids.push(id);
      classes.push(labelIds.get(labels[i] ?? "") ?? 0);
      counted.push(piece === 0 ? 1 : 0);
    });
  });
  const room = maxLength - specials.text;
  return {
    first: Int32Array.from(ids.slice(0, room)),
    labels: Int32Array.from(classes.slice(0, room)),
    counted: Uint8Array.from(counted.slice(0, room)),
    isCut: ids.length > room,
  };
}

/** Views into a batch's fields: tokens and segments [T]. */
export interface TextRow {
  readonly tokens: Int32Array;
  readonly segments: Int32Array;
}

/** Writes `<cls> first <sep>` or `<cls> first <sep> second <sep>`, padded. @returns tokens before the padding */
export function writeRow(row: TextRow, { first, second }: EncodedExample, tokenizer: Tokenizer): number {
  if (second !== undefined) return writePair(row, first, second, tokenizer);
  row.tokens.fill(tokenizer.pad);
  row.segments.fill(0);
  row.tokens[0] = tokenizer.cls;
  row.tokens.set(first, 1);
  row.tokens[first.length + 1] = tokenizer.sep;
  return first.length + specials.text;
}
