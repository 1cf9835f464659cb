import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { type PrepareOptions, prepareCorpus } from "../../../runtime/data/index.ts";

/** A folder for the tests of a file, removed after them. */
export function testFolder(name: string) {
  const folder = mkdtempSync(join(tmpdir(), `kiln-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true }));
  return {
    folder,
    path: (...parts: readonly string[]) => join(folder, ...parts),
    /** Writes a file, and the folders on the way; returns its path. */
    write(name: string, content: string | Uint8Array): string {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
  };
}

export const wordsPlan = { kind: "words", minFrequency: 1, vocabularySize: undefined } as const;

/** `prepareCorpus` into small shards, with nothing held out unless said. */
export function prepare(path: string, folder: string, options: Partial<PrepareOptions> = {}) {
  return prepareCorpus(path, folder, {
    tokenizer: wordsPlan,
    shares: { valid: 0, test: 0 },
    shardBytes: 400,
    force: false,
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
  });
}

const nouns = ["crane", "driver", "player", "sailor", "reader", "cook", "queen", "baker"];
const verbs = ["plays", "sails", "reads", "drives", "replays", "bakes", "rules"];

/** Paragraphs in WikiText's form: 2 to 6 sentences of 3 to 10 words, all paragraphs different. */
export function tokenisedText(paragraphs: number): string {
  let text = "";
  for (let p = 0; p < paragraphs; p++) {
    for (let s = 0; s < 2 + (p % 5); s++) {
      const tail = nouns.slice(0, (p * 3 + s * 5) % 8).join(" ");
      text += ` ${nouns[(p + s) % 8]} ${verbs[(p + 2 * s) % 7]} n${p} ${tail === "" ? "" : `${tail} `}.`;
    }
    text += " \n";
  }
  return text;
}
