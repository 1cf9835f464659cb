/**
 * Numbers of different strings, looked up where they stand in a longer one: text of any length is read without making a string
 * of every word. Open addressing; hashes are FNV-1a over UTF-16 units.
 */
export class WordTable {
  readonly #words: string[] = [];
  #hashes = new Int32Array(2 ** 8);
  /** Numbers plus 1; 0: free. At least twice as many as there are words, so that a free one is near. */
  #slots = new Int32Array(2 ** 10);

  /** Strings by number, in the order they were added. */
  get words(): readonly string[] {
    return this.#words;
  }

  /** The number of `text.slice(start, end)`; -1 where it has none. */
  find(text: string, start: number, end: number): number {
    let hash = basis;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime);
    const mask = this.#slots.length - 1;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) return -1;
      if (this.#hashes[number] !== hash) continue;
      const word = this.#words[number]!;
      if (word.length === end - start && text.startsWith(word, start)) return number;
    }
  }

  /** Adds a string that it does not have; returns its number. */
  add(word: string): number {
    const number = this.#words.push(ownText(word)) - 1;
    if (number >= this.#hashes.length) {
      const hashes = new Int32Array(2 * this.#hashes.length);
      hashes.set(this.#hashes);
      this.#hashes = hashes;
    }
    let hash = basis;
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), prime);
    this.#hashes[number] = hash;
    if (2 * this.#words.length > this.#slots.length) {
      this.#slots = new Int32Array(2 * this.#slots.length);
      for (let n = 0; n < number; n++) this.#place(n);
    }
    this.#place(number);
    return number;
  }

  #place(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = spread(this.#hashes[number]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }
}

const basis = 0x811c9dc5 | 0;
const prime = 0x01000193;

/** The upper bits of the hash are the better ones. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

/** A copy that does not keep a larger string alive: in V8 a part of a string refers to the whole. */
export function ownText(text: string): string {
  // Shorter parts are copied by the engine itself.
  return text.length < 13 ? text : Array.from(text).join("");
}
