import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createWordSplitter } from "../../runtime/tokenizer/bert-text.ts";
import {
  createTokenizer,
  createWordCounter,
  readTokenizer,
  trainWordPiece,
  uncasedWordPiece,
} from "../../runtime/tokenizer/index.ts";
import { modeNames, modes, readFixture } from "./fixture.ts";

const fixture = readFixture();

describe("ids are those of BertTokenizerFast", () => {
  test("the fixture has what it should", () => {
    expect(fixture.strings.length).toBeGreaterThanOrEqual(60);
    const unknown = fixture.vocabulary.indexOf("[UNK]");
    for (const mode of modeNames) {
      const ids = fixture.strings.flatMap((row) => row[mode]);
      // A fixture in which all is unknown, or nothing is, would show little.
      expect(ids.filter((id) => id === unknown).length).toBeGreaterThan(10);
      expect(new Set(ids).size).toBeGreaterThan(400);
    }
  });

  test.each(modeNames)("hard strings, %s", (mode) => {
    const tokenizer = createTokenizer(modes[mode], fixture.vocabulary);
    for (const row of fixture.strings) {
      expect({ text: row.text, ids: tokenizer.encode(row.text) }).toEqual({ text: row.text, ids: row[mode] });
    }
    // Once more: now from memory.
    for (const row of fixture.strings) expect(tokenizer.encode(row.text)).toEqual(row[mode]);
    const all = fixture.strings.map(({ text }) => text).join("\n");
    expect(tokenizer.encode(all)).toEqual(fixture.strings.flatMap((row) => row[mode]));
  });

  test.each(modeNames)("every character of Unicode 14 between two letters, %s", (mode) => {
    const split = createWordSplitter(modes[mode]);
    const blocks = new Map<string, string[]>();
    for (const range of fixture.characters.assigned.split(" ")) {
      const [from = 0, to = from] = range.split("-").map((code) => Number.parseInt(code, 16));
      for (let code = from; code <= to; code++) {
        const block = (code >> 12).toString(16);
        const lines = blocks.get(block) ?? [];
        lines.push(`${split(`a${String.fromCodePoint(code)}b`).join("\t")}\n`);
        blocks.set(block, lines);
      }
    }
    const hashes = [...blocks].map(([block, lines]) => [
      block,
      createHash("sha256").update(lines.join("")).digest("hex").slice(0, 12),
    ]);
    expect(hashes.length).toBeGreaterThan(70);
    expect(Object.fromEntries(hashes)).toEqual(fixture.characters.blocks[mode]);
  });
});

describe("vocabularies are those of WordPieceTrainer", () => {
  test.each(fixture.trainings)("of at most $size, pairs $min_frequency times or more", (training) => {
    const trained = trainWordPiece(new Map(fixture.counts), {
      description: uncasedWordPiece,
      vocabularySize: training.size,
      minFrequency: training.min_frequency,
    });
    expect(trained).toEqual(training.vocabulary);
  });

  test("whatever order words come in", () => {
    const train = (counts: ReadonlyMap<string, number>) =>
      trainWordPiece(counts, { description: uncasedWordPiece, vocabularySize: 250, minFrequency: 1 });
    expect(train(new Map([...fixture.counts].reverse()))).toEqual(train(new Map(fixture.counts)));
  });
});

const bert = fileURLToPath(new URL("../../../shared/data/bert-base-uncased", import.meta.url));
const wikitext = fileURLToPath(new URL("../../../shared/data/wikitext-2/test.txt", import.meta.url));
const present = existsSync(bert) && existsSync(wikitext);
if (!present)
  console.log("skipped: no bert-base-uncased and WikiText-2 in ../shared/data beside the repository");

describe.skipIf(!present)("bert-base-uncased's vocabulary", () => {
  test("is read, and reads WikiText", async () => {
    const { readFile } = await import("node:fs/promises");
    const tokenizer = await readTokenizer(bert);
    expect(tokenizer.tokens.length).toBe(30_522);
    const { pad, unknown, cls, sep, mask } = tokenizer;
    expect({ pad, unknown, cls, sep, mask }).toEqual({ pad: 0, unknown: 100, cls: 101, sep: 102, mask: 103 });
    expect(tokenizer.description).toEqual(uncasedWordPiece);
    expect(tokenizer.encode("Hello wörld [MASK] unaffable")).toEqual([7592, 2088, 103, 14477, 20961, 3468]);
    const text = await readFile(wikitext, "utf8");
    const ids = tokenizer.encode(text);
    const hash = createHash("sha256").update(Int32Array.from(ids));
    // BertTokenizerFast, transformers 4.57, on the whole file.
    expect([ids.length, hash.digest("hex").slice(0, 16)]).toEqual([299_307, "a93d61b6b8388969"]);
    const counter = createWordCounter(uncasedWordPiece);
    counter.add(text, 1);
    const trained = trainWordPiece(counter.counts, {
      description: uncasedWordPiece,
      vocabularySize: 8000,
      minFrequency: 2,
    });
    expect(trained.length).toBe(8000);
  });
});
