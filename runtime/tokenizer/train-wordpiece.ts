import TinyQueue from "tinyqueue";
import { KilnError } from "../errors.ts";
import type { WordPieceDescription } from "../tokenizer-description.ts";
import { compareCodePoints } from "./vocabulary.ts";

export interface WordPieceTraining {
  readonly description: WordPieceDescription;
  /** Most entries of the vocabulary, special tokens included. */
  readonly vocabularySize: number;
  /** Pieces that stand side by side less often are not joined. */
  readonly minFrequency: number;
  /** Called now and then with the entries so far: it may be the last call before `vocabularySize` is reached. */
  readonly onProgress?: (entries: number) => void;
}

/** Characters that get into a vocabulary at most: as `BertWordPieceTokenizer.train`. */
const mostCharacters = 1000;
/** Entries between two calls of `onProgress`. */
const progressEvery = 100;

/**
 * Trains a WordPiece vocabulary on counted words: single characters first, then again and again the two neighbouring pieces
 * that occur most often become one.
 *
 * The algorithm is that of Hugging Face's `WordPieceTrainer` (byte-pair merges by frequency), its lazily corrected queue
 * included, so that where counts are equal the same pair comes first: the one whose pieces have the lower ids. There the ids of
 * `##` characters, and which of equally rare characters stay, depend on a hash's chance; here both go by code point.
 * Characters take at most half of the vocabulary, at most 1,000 of them.
 * @param counts how often each word occurs, split as the tokenizer does (`createWordCounter`)
 * @returns tokens by id: special tokens, characters, characters inside words, then pieces in the order they were made
 * @throws KilnError `user` when there are no words or the size leaves no room for pieces
 */
export function trainWordPiece(
  counts: ReadonlyMap<string, number>,
  { description, vocabularySize, minFrequency, onProgress }: WordPieceTraining,
): string[] {
  const { specialTokens, prefix } = description;
  const { pad, unknown, cls, sep, mask } = specialTokens;
  const tokens = [pad, unknown, cls, sep, mask];
  const characterLimit = Math.min(mostCharacters, Math.floor((vocabularySize - tokens.length) / 4));
  if (characterLimit < 1) {
    throw new KilnError(
      "user",
      `a vocabulary of ${vocabularySize} leaves no room for word pieces beside the ${tokens.length} special tokens`,
      "set a larger vocab",
    );
  }
  if (counts.size === 0) {
    throw new KilnError("user", "there is no word to train a vocabulary on", "give a longer text");
  }
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const idOf = (token: string): number => {
    const known = ids.get(token);
    if (known !== undefined) return known;
    ids.set(token, tokens.length);
    return tokens.push(token) - 1;
  };

  const entries = [...counts].sort(([a], [b]) => compareCodePoints(a, b));
  const characters = commonCharacters(entries, characterLimit);
  for (const character of characters) idOf(character);
  const alphabet = new Set(characters);
  const inside = new Set(entries.flatMap(([word]) => Array.from(word).slice(1)));
  for (const character of characters) if (inside.has(character)) idOf(prefix + character);
  const words = entries.map(([word]) =>
    Array.from(word).flatMap((character, i) =>
      alphabet.has(character) ? [idOf(i === 0 ? character : prefix + character)] : [],
    ),
  );

  const pairs = new PairCounts();
  words.forEach((pieces, word) => {
    for (let i = 0; i + 1 < pieces.length; i++) {
      pairs.add(pieces[i]!, pieces[i + 1]!, entries[word]![1], word);
    }
  });
  pairs.enqueue();
  let told = tokens.length;
  while (tokens.length < vocabularySize) {
    const best = pairs.next();
    if (best === undefined || best.count < minFrequency) break;
    const { first, second } = best;
    const tail = tokens[second]!;
    const joined = idOf(tokens[first]! + (tail.startsWith(prefix) ? tail.slice(prefix.length) : tail));
    for (const word of best.words) merge(words[word]!, first, second, joined, word, entries[word]![1], pairs);
    pairs.enqueue();
    if (onProgress !== undefined && tokens.length >= told + progressEvery) {
      told = tokens.length;
      onProgress(told);
    }
  }
  return tokens;
}

/** The characters that occur most often, in the order of their code points. */
function commonCharacters(words: readonly (readonly [string, number])[], limit: number): string[] {
  const counts = new Map<string, number>();
  for (const [word, count] of words) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  return [...counts]
    .sort(([a, countA], [b, countB]) => countB - countA || compareCodePoints(a, b))
    .slice(0, limit)
    .map(([character]) => character)
    .sort(compareCodePoints);
}

/** Two neighbouring pieces, how often they stood so when this was queued, and words that have them. */
interface QueuedPair {
  readonly first: number;
  readonly second: number;
  readonly count: number;
  readonly words: readonly number[];
}

/** Beyond any id: a pair's key is one number, exact up to 2^53. */
const keyBase = 2 ** 24;

class PairCounts {
  readonly #counts = new Map<number, number>();
  /** Words in which a pair is new since the last `enqueue`. */
  readonly #fresh = new Map<number, number[]>();
  readonly #queue = new TinyQueue<QueuedPair>(
    [],
    (a, b) => b.count - a.count || a.first - b.first || a.second - b.second,
  );

  add(first: number, second: number, count: number, word: number): void {
    const key = first * keyBase + second;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
    const words = this.#fresh.get(key);
    if (words === undefined) this.#fresh.set(key, [word]);
    // Words come one after another, so a word that is there already is the last one.
    else if (words.at(-1) !== word) words.push(word);
  }

  remove(first: number, second: number, count: number): void {
    const key = first * keyBase + second;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) - count);
  }

  enqueue(): void {
    for (const [key, words] of this.#fresh) {
      const count = this.#counts.get(key) ?? 0;
      if (count > 0)
        this.#queue.push({ first: Math.floor(key / keyBase), second: key % keyBase, count, words });
    }
    this.#fresh.clear();
  }

  /** The pair that occurs most often; undefined when none is left. Counts may have fallen since it was queued. */
  next(): QueuedPair | undefined {
    for (;;) {
      const top = this.#queue.pop();
      if (top === undefined) return undefined;
      const count = this.#counts.get(top.first * keyBase + top.second) ?? 0;
      if (count === top.count) return top;
      if (count > 0) this.#queue.push({ ...top, count });
    }
  }
}

/** Joins a pair wherever it stands in a word, from the left, and counts the neighbours anew. */
function merge(
  pieces: number[],
  first: number,
  second: number,
  joined: number,
  word: number,
  count: number,
  pairs: PairCounts,
): void {
  for (let i = 0; i + 1 < pieces.length; i++) {
    if (pieces[i] !== first || pieces[i + 1] !== second) continue;
    pieces.splice(i, 2, joined);
    const before = pieces[i - 1];
    if (before !== undefined) {
      pairs.remove(before, first, count);
      pairs.add(before, joined, count, word);
    }
    const after = pieces[i + 1];
    if (after !== undefined) {
      pairs.remove(second, after, count);
      pairs.add(joined, after, count, word);
    }
  }
}
