import type { WordPieceDescription } from "../tokenizer-description.ts";
import { createWordSplitter } from "./bert-text.ts";
import { BoundedCounts } from "./bounded-counts.ts";
import { ownText } from "./word-table.ts";
import { longestRemembered, piecesOf, sectionsOf } from "./wordpiece.ts";

/** Counts words of texts, of a stream of any length as well. */
export interface WordCounter {
  /** @param times how often the text is to count */
  add(text: string, times: number): void;
  readonly counts: ReadonlyMap<string, number>;
  /** Words are forgotten up to this count; 0: all counts are exact. */
  readonly forgotten: number;
}

/** Different words, and pieces between spaces, that are counted at once: some 100 bytes each. */
const mostCounted = 2_000_000;

/**
 * Counts words as a WordPiece vocabulary is trained on them.
 *
 * Memory is bounded: where more different words come up than `most`, the rarest are forgotten (`BoundedCounts`).
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
  const words = new BoundedCounts(most);
  const count = (piece: string, times: number): void => {
    for (const word of splitWords(piece)) words.add(word, 0, word.length, times);
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
          else if (piece !== "") {
            const before = pieces.get(piece);
            pieces.set(before === undefined ? ownText(piece) : piece, (before ?? 0) + times);
          }
        }
      }
      if (pieces.size > most) splitPieces();
    },
    get counts() {
      splitPieces();
      return words.counts;
    },
    get forgotten() {
      splitPieces();
      return words.forgotten;
    },
  };
}
