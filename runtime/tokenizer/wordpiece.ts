import { WordPiece } from "@huggingface/tokenizers";
import type { WordPieceDescription } from "../tokenizer-description.ts";
import { createWordSplitter } from "./bert-text.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { ownText } from "./word-table.ts";

/**
 * BERT's tokenizer.
 *
 * Every step of it sees no further than to the next space, so ids are remembered for what stands between spaces: text with the
 * same words again costs one look-up a word.
 */
export function createWordPieceTokenizer(
  description: WordPieceDescription,
  vocabulary: Vocabulary,
): Tokenizer {
  const { ids, unknown, tokens } = vocabulary;
  const { specialTokens, prefix, maxCharsPerWord } = description;
  const splitWords = createWordSplitter(description);
  const model = new WordPiece({
    type: "WordPiece",
    unk_token: specialTokens.unknown,
    continuing_subword_prefix: prefix,
    max_input_chars_per_word: maxCharsPerWord,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
  });
  // With the usual brackets no word is spelled like one of these; with others it must not become structure either.
  const structural: ReadonlySet<string> = new Set([specialTokens.pad, specialTokens.cls, specialTokens.sep]);
  const idsOf = (words: readonly string[]): number[] =>
    model.encode([...words]).map((piece) => (structural.has(piece) ? unknown : (ids.get(piece) ?? unknown)));
  const isUnknown = (word: string): boolean => idsOf([word]).every((id) => id === unknown);

  const remembered = new Map<string, readonly number[]>();
  const encodePiece = (piece: string): readonly number[] => {
    const known = remembered.get(piece);
    if (known !== undefined) return known;
    const found = idsOf(splitWords(piece));
    if (piece.length <= longestRemembered) {
      if (remembered.size >= mostRemembered) remembered.clear();
      remembered.set(ownText(piece), found);
    }
    return found;
  };

  const written = new Map(
    [specialTokens.mask, specialTokens.unknown].map((token) => [token, ids.get(token)]),
  );
  const encode = (text: string): number[] => {
    const found: number[] = [];
    for (const section of sectionsOf(text, written.keys())) {
      const id = written.get(section);
      if (id !== undefined) {
        found.push(id);
        continue;
      }
      for (const piece of piecesOf(section)) {
        if (piece !== "") for (const id of encodePiece(piece)) found.push(id);
      }
    }
    return found;
  };
  return {
    ...vocabulary,
    description,
    encode,
    encodeSentence: encode,
    unknownWords: (text) =>
      sectionsOf(text, written.keys())
        .filter((section) => !written.has(section))
        .flatMap((section) => splitWords(section))
        .filter(isUnknown),
  };
}

/** Pieces whose ids are remembered at once, some 150 bytes each, and the longest of them in UTF-16 units. */
const mostRemembered = 200_000;
export const longestRemembered = 64;

/** What is whitespace in every setting; other Unicode spaces are left to the splitter. */
export function piecesOf(text: string): string[] {
  return text.split(/[ \t\n\r]+/);
}

/** The text cut around the tokens that a text may write, these included; empty sections too. */
export function sectionsOf(text: string, tokens: Iterable<string>): string[] {
  let sections = [text];
  for (const token of tokens) {
    if (!text.includes(token)) continue;
    sections = sections.flatMap((section) =>
      section.split(token).flatMap((part, i) => (i === 0 ? [part] : [token, part])),
    );
  }
  return sections;
}
