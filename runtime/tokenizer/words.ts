import { wordsTokenizer } from "../tokenizer-description.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { eachToken, specialTokens, type Vocabulary } from "./vocabulary.ts";
import { WordTable } from "./word-table.ts";

/**
 * The tokenizer of a corpus's own words.
 *
 * A text is lowercased and split at whitespace. A piece that the vocabulary has stays whole (so text that is
 * tokenised already keeps its tokens, `<mask>` and `<unk>` among them); any other is split into words and punctuation marks.
 */
export function createWordsTokenizer(vocabulary: Vocabulary): Tokenizer {
  const { ids, unknown, tokens } = vocabulary;
  const look = (words: readonly string[]): number[] => words.map((word) => ids.get(word) ?? unknown);
  const table = new WordTable();
  for (const token of tokens) table.add(token);
  return {
    ...vocabulary,
    description: wordsTokenizer,
    encode: (text) => look(splitText(text, ids)),
    encodeSentence(sentence) {
      // Numbers of the table are ids: both count the vocabulary's tokens.
      const found: number[] = [];
      eachToken(sentence, (start, end) => {
        const id = table.find(sentence, start, end);
        found.push(id < 0 ? unknown : id);
      });
      return found;
    },
    unknownWords: (text) => splitText(text, ids).filter((word) => !ids.has(word)),
  };
}

/** Special tokens that mark the structure of an input: a person's text cannot write them. */
const structural: ReadonlySet<string> = new Set(
  specialTokens.filter((token) => token !== "<unk>" && token !== "<mask>"),
);

function splitText(text: string, ids: ReadonlyMap<string, number>): string[] {
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

/**
 * Lowercased words and punctuation marks of raw text: a word is a run of letters, marks and digits, with apostrophes
 * inside it; every other character that is not whitespace stands alone.
 */
export function splitWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+(?:['’][\p{L}\p{M}]+)*|[^\s\p{L}\p{N}\p{M}]/gu) ?? [];
}
