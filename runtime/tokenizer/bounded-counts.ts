import { WordTable } from "./word-table.ts";

/**
 * Counts of different strings in bounded memory: where more come up than `most`, the rarest so far are forgotten
 * (Mikolov's word2vec does the same), those seen once the first time, those seen twice the second. So counts are exact, or low by
 * at most `forgotten`.
 */
export class BoundedCounts {
  #table = new WordTable();
  #counts: number[] = [];
  readonly #most: number;
  #forgotten = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts `text.slice(start, end)`, so many times more. */
  add(text: string, start: number, end: number, times: number): void {
    const known = this.#table.find(text, start, end);
    if (known >= 0) {
      this.#counts[known]! += times;
      return;
    }
    this.#table.add(text.slice(start, end));
    this.#counts.push(times);
    while (this.#counts.length > this.#most) this.#forget();
  }

  #forget(): void {
    this.#forgotten++;
    const { words } = this.#table;
    const counts = this.#counts;
    this.#table = new WordTable();
    this.#counts = [];
    for (let i = 0; i < words.length; i++) {
      if (counts[i]! <= this.#forgotten) continue;
      this.#table.add(words[i]!);
      this.#counts.push(counts[i]!);
    }
  }

  /** A copy, in the order the strings were seen first. */
  get counts(): Map<string, number> {
    return new Map(this.#table.words.map((word, i) => [word, this.#counts[i]!]));
  }

  /** The count up to which strings have been forgotten; 0: all counts are exact. */
  get forgotten(): number {
    return this.#forgotten;
  }
}
