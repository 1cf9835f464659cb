import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Split } from "../corpus.ts";
import type { ShardEntry } from "./manifest.ts";
import { pairLengths, type TokenArray, type TokenBytes, tokenArray, writeShard } from "./shard-format.ts";

/** Collects the sentences of one split and writes a shard whenever enough have come together. */
export class ShardWriter {
  readonly entries: ShardEntry[] = [];
  readonly #folder: string;
  readonly #split: Split;
  readonly #tokenBytes: TokenBytes;
  /** Tokens that make a shard full. */
  readonly #enough: number;
  #tokens: TokenArray;
  #tokenCount = 0;
  #sentenceStarts = [0];
  #paragraphStarts = [0];

  /** @param shardBytes of tokens; a shard ends with the paragraph that reaches them */
  constructor(folder: string, split: Split, tokenBytes: TokenBytes, shardBytes: number) {
    this.#folder = folder;
    this.#split = split;
    this.#tokenBytes = tokenBytes;
    this.#enough = Math.max(1, Math.floor(shardBytes / tokenBytes));
    this.#tokens = tokenArray(tokenBytes, 2 ** 12);
  }

  /** A sentence without a token is left out. */
  sentence(ids: readonly number[]): void {
    if (ids.length === 0) return;
    const end = this.#tokenCount + ids.length;
    if (end > this.#tokens.length) {
      const larger = tokenArray(this.#tokenBytes, Math.max(end, 2 * this.#tokens.length));
      larger.set(this.#tokens.subarray(0, this.#tokenCount));
      this.#tokens = larger;
    }
    for (let i = 0; i < ids.length; i++) this.#tokens[this.#tokenCount + i] = ids[i]!;
    this.#tokenCount = end;
    this.#sentenceStarts.push(end);
  }

  endParagraph(): void {
    const sentences = this.#sentenceStarts.length - 1;
    if (sentences > this.#paragraphStarts.at(-1)!) this.#paragraphStarts.push(sentences);
  }

  /** Whether `write` is due: memory stays bounded only if it follows. */
  get isFull(): boolean {
    return this.#tokenCount >= this.#enough;
  }

  /** Writes what was collected as a shard; nothing if that is no paragraph. */
  async write(): Promise<void> {
    if (this.#paragraphStarts.length === 1) return;
    const text = {
      tokens: this.#tokens.subarray(0, this.#tokenCount),
      sentenceStarts: Int32Array.from(this.#sentenceStarts),
      paragraphStarts: Int32Array.from(this.#paragraphStarts),
    };
    const bytes = writeShard(text);
    const file = `${this.#split}-${String(this.entries.length).padStart(5, "0")}.shard`;
    await writeFile(join(this.#folder, file), bytes, { flush: true });
    this.entries.push({
      file,
      bytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      paragraphs: text.paragraphStarts.length - 1,
      sentences: text.sentenceStarts.length - 1,
      tokens: this.#tokenCount,
      pairs: pairLengths(text),
    });
    this.#tokenCount = 0;
    this.#sentenceStarts = [0];
    this.#paragraphStarts = [0];
  }
}
