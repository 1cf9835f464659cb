import type { WordPieceDescription } from "../tokenizer-description.ts";
import { createWordSplitter } from "./bert-text.ts";
import { longestRemembered, piecesOf, sectionsOf } from "./wordpiece.ts";

/** Counts words of texts, of a stream of any length as well. */
export interface WordCounter {
  /** @param times how often the text is to count */
  add(text: string, times: number): void;
  readonly counts: ReadonlyMap<string, number>;
}

/** Different words, and pieces between spaces, that are counted at once: some 100 bytes each. */
const mostCounted = 2_000_000;

/**
 * Counts words as a WordPiece vocabulary is trained on them.
 *
 * Memory is bounded: where more different words come up than `most`, the rarest so far are forgotten (Mikolov's word2vec does
 * the same), words seen once the first time, twice the second. So the counts of words are exact, or low by as much as that.
 * @param description how words are cut out; its special tokens are no words
 */
export function createWordCounter(
  description: WordPieceDescription,
  most: number = mostCounted,
): WordCounter {
  const splitWords = createWordSplitter(description);
  const specials = Object.values(description.specialTokens);
  /** Of what stands between spaces: split only when there are many, or when the counts are asked for, once each. */
  const pieces = new Map<string, number>();
  const counts = new Map<string, number>();
  let rare = 0;
  const count = (piece: string, times: number): void => {
    for (const word of splitWords(piece)) counts.set(word, (counts.get(word) ?? 0) + times);
    while (counts.size > most) {
      rare++;
      for (const [word, seen] of counts) if (seen <= rare) counts.delete(word);
    }
  };
  const splitPieces = (): void => {
    for (const [piece, times] of pieces) count(piece, times);
    pieces.clear();
  };
  return {
    add(text, times) {
      for (const section of sectionsOf(text, specials)) {
        if (specials.includes(section)) continue;
        for (const piece of piecesOf(section)) {
          if (piece.length > longestRemembered) count(piece, times);
          else if (piece !== "") pieces.set(piece, (pieces.get(piece) ?? 0) + times);
        }
      }
      if (pieces.size > most) splitPieces();
    },
    get counts() {
      splitPieces();
      return counts;
    },
  };
}
