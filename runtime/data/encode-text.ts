import { KilnError } from "../errors.ts";
import { writePair } from "./pretraining-pairs.ts";
import { splitWords } from "./text.ts";
import { indexVocabulary, specialTokens, type Vocabulary } from "./vocabulary.ts";

export interface EncodedInput {
  /** The tokens as the model sees them, special ones and <unk> included, without padding. */
  readonly tokens: readonly string[];
  /** Words that stand as <unk>, in order. */
  readonly unknown: readonly string[];
  /** One row: `tokens` and `segments` i32[maxLength], `valid` i32[1]. A larger batch repeats it. */
  readonly fields: Readonly<Record<"tokens" | "segments" | "valid", Int32Array>>;
}

/**
 * A person's text as model input: `<cls> a <sep>`, or `<cls> a <sep> b <sep>`, padded to `maxLength`.
 *
 * The text is lowercased and split at whitespace. A piece that the vocabulary has stays whole (so text that is
 * tokenised already keeps its tokens, `<mask>` and `<unk>` among them); any other is split into words and punctuation marks.
 * @throws KilnError (`user`) for a text without a token, and for one longer than the model takes: nothing is cut off
 */
export function encodeText(
  vocabulary: readonly string[],
  textA: string,
  textB: string | undefined,
  maxLength: number,
): EncodedInput {
  const index = indexVocabulary(vocabulary);
  const sentences = [textA, ...(textB === undefined ? [] : [textB])].map((text) => splitText(text, index));
  sentences.forEach((words, i) => {
    if (words.length === 0) {
      throw new KilnError("user", `the ${i === 0 ? "text" : "second text"} to encode is empty`);
    }
  });
  const [a = [], b] = sentences;
  const length = a.length + 2 + (b === undefined ? 0 : b.length + 1);
  if (length > maxLength) {
    throw new KilnError(
      "user",
      `the text has ${length} tokens with its special ones, and the model takes ${maxLength}`,
      "shorten it, or train with a larger max_len",
    );
  }
  const ids = (words: readonly string[]): Int32Array =>
    Int32Array.from(words, (word) => index.ids.get(word) ?? index.unknown);
  const fields = {
    tokens: new Int32Array(maxLength),
    segments: new Int32Array(maxLength),
    valid: Int32Array.of(length),
  };
  if (b === undefined) {
    fields.tokens.fill(index.pad);
    fields.tokens[0] = index.cls;
    fields.tokens.set(ids(a), 1);
    fields.tokens[length - 1] = index.sep;
  } else {
    writePair(fields, ids(a), ids(b), index);
  }
  return {
    tokens: Array.from(fields.tokens.subarray(0, length), (id) => vocabulary[id]!),
    unknown: sentences.flat().filter((word) => !index.ids.has(word)),
    fields,
  };
}

/** Special tokens that mark the structure of an input: a person's text cannot write them. */
const structural: ReadonlySet<string> = new Set(
  specialTokens.filter((token) => token !== "<unk>" && token !== "<mask>"),
);

function splitText(text: string, { ids }: Vocabulary): string[] {
  const words: string[] = [];
  // \s, not the space alone: a person's text has tabs and line breaks.
  for (const piece of text.toLowerCase().split(/\s+/)) {
    for (const part of piece.split(/(<mask>|<unk>)/)) {
      if (part === "") continue;
      if (ids.has(part) && !structural.has(part)) words.push(part);
      else words.push(...splitPiece(part, ids));
    }
  }
  return words;
}

/** Splits a piece as the text that the vocabulary was counted on was split, where the vocabulary shows how. */
function splitPiece(piece: string, ids: ReadonlyMap<string, number>): string[] {
  const parts = splitWords(piece);
  return parts.flatMap((part, i) => {
    // WikiText writes a hyphen, comma or point inside a word or number as `@-@`, `@,@`, `@.@`.
    const joint = `@${part}@`;
    if (i > 0 && i < parts.length - 1 && ids.has(joint)) return [joint];
    if (ids.has(part)) return [part];
    // "bob's" as "bob" and "'s".
    const apostrophe = part.search(/['’]/);
    const suffix = `'${part.slice(apostrophe + 1)}`;
    return apostrophe > 0 && ids.has(suffix) ? [part.slice(0, apostrophe), suffix] : [part];
  });
}
