import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DataRequest } from "../../compiler/program/index.ts";
import {
  createBatchMaker,
  encodeText,
  grammarCorpus,
  openBatches,
  openMaker,
  readParagraphs,
  sentenceForm,
  trainTokenizer,
  vocabularySource,
} from "../../runtime/data/index.ts";
import { createTokenizer, uncasedWordPiece, wordsTokenizer } from "../../runtime/tokenizer/index.ts";

const request = (kind: string, settings: Record<string, number | string>): DataRequest => ({
  kind,
  settings: { batch: 4, max_len: 48, min_frequency: 2, tokenizer: "wordpiece", ...settings },
});
const pairs = (settings: Record<string, number | string>) => request("PretrainingPairs", settings);

const tokenised = [
  " = A Title = \n",
  " The Sailor mends 1 @,@ 000 nets at half @-@ past three . <unk> Sailors sail . They rest . \n",
  " He steers 3 @.@ 5 <unk> ships . The ships sail on . \n",
].join("");

describe("sentences as WordPiece reads them", () => {
  const form = sentenceForm(uncasedWordPiece);

  test("of a tokenised text: their own case, stops and unknown words; joints undone", () => {
    expect(readParagraphs(tokenised, "tokenised", form)).toEqual([
      ["The Sailor mends 1,000 nets at half-past three .", "[UNK] Sailors sail .", "They rest ."],
      ["He steers 3.5 [UNK] ships .", "The ships sail on ."],
    ]);
    const words = readParagraphs(tokenised, "tokenised", sentenceForm(wordsTokenizer));
    expect(words.map((paragraph) => paragraph.length)).toEqual([3, 2]);
    expect(words[1]).toEqual(["he steers 3 @.@ 5 <unk> ships", "the ships sail on ."]);
  });

  test("of prose: as they stand there, but for their spaces", () => {
    const prose = "Dr. Smith's  “friend”\ncame late! So he left.\n\n* * *\n\nA <unk> stays. Über all.";
    expect(readParagraphs(prose, "prose", form)).toEqual([
      ["Dr. Smith's “friend” came late!", "So he left."],
      ["A <unk> stays.", "Über all."],
    ]);
  });
});

describe("batches of word pieces", () => {
  test("from the grammar: pieces of its words, the same for every seed, without a best loss", () => {
    const options = { corpus: grammarCorpus(), split: "train", seed: 3 } as const;
    const maker = createBatchMaker(pairs({ vocab: 130 }), options);
    expect(maker.tokenizer).toEqual(uncasedWordPiece);
    expect(maker.vocabulary).toHaveLength(130);
    expect(maker.vocabulary.slice(0, 5)).toEqual(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    expect(maker.summary).toContain("vocabulary 130 word pieces");
    expect(maker.best()).toBeUndefined();
    expect(createBatchMaker(pairs({ vocab: 130 }), { ...options, seed: 4 }).vocabulary).toEqual(
      maker.vocabulary,
    );
    const words = createBatchMaker(pairs({ vocab: 0, tokenizer: "words" }), options);
    expect(words.best()).toBeDefined();
    // Put together again, pieces are words of the grammar.
    const known = new Set(words.vocabulary);
    const { tokens, positions, labels, weights } = maker.make(0).fields;
    const original = [...tokens!];
    positions!.forEach((position, slot) => {
      const row = Math.floor(slot / (positions!.length / 4));
      if (weights![slot] === 1) original[row * 48 + position] = labels![slot]!;
    });
    const text = original
      .map((id) => maker.vocabulary[id])
      .join(" ")
      .replaceAll(" ##", "");
    const found = text.split(" ").filter((word) => !word.startsWith("["));
    expect(found.length).toBeGreaterThan(60);
    expect(found.filter((word) => !known.has(word))).toEqual([]);
    expect(text).not.toContain("[UNK]");
  });

  test("running text", () => {
    const corpus = grammarCorpus();
    const maker = createBatchMaker(request("CausalText", { vocab: 200 }), {
      corpus,
      split: "train",
      seed: 1,
    });
    const { tokens, targets } = maker.make(0).fields;
    expect([...tokens!.subarray(1, 48)]).toEqual([...targets!.subarray(0, 47)]);
    expect(maker.vocabulary.length).toBeLessThanOrEqual(200);
  });

  test("a size must be known, and be enough", () => {
    const options = { corpus: grammarCorpus(), split: "train", seed: 0 } as const;
    expect(() => createBatchMaker(pairs({}), options)).toThrow(
      "a WordPiece vocabulary is trained to a size, and the data line of PretrainingPairs says none",
    );
    expect(() => createBatchMaker(pairs({ vocab: 7 }), options)).toThrow("a vocabulary of 7 leaves no room");
    expect(() => createBatchMaker(pairs({ vocab: 130, tokenizer: "bytes" }), options)).toThrow(
      '`tokenizer` of PretrainingPairs must be words or wordpiece, not "bytes"',
    );
    expect(createBatchMaker(pairs({}), { ...options, vocabularySize: 140 }).vocabulary).toHaveLength(140);
  });

  test("a given tokenizer counts, whatever the data line says; one too large is refused with both numbers", () => {
    const corpus = grammarCorpus();
    const cased = { ...uncasedWordPiece, lowercase: false };
    const given = trainTokenizer(vocabularySource(corpus), {
      description: cased,
      vocabularySize: 150,
      minFrequency: 1,
    });
    const options = {
      corpus,
      split: "train",
      seed: 0,
      vocabulary: given.tokens,
      tokenizer: given.description,
    } as const;
    const maker = createBatchMaker(pairs({ vocab: 160, tokenizer: "words" }), options);
    expect(maker.tokenizer).toEqual(cased);
    expect(maker.vocabulary).toEqual(given.tokens);
    expect(() => createBatchMaker(pairs({ vocab: 149 }), options)).toThrow(
      "the vocabulary has 150 entries, and the model takes 149",
    );
  });
});

describe("files and the thread", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kiln-pieces-"));
    writeFileSync(join(folder, "train.txt"), tokenised.repeat(20));
    writeFileSync(join(folder, "valid.txt"), tokenised);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("a held-out part is read with the tokenizer of the training part, in a thread too", async () => {
    const options = { corpus: folder, seed: 5 };
    const maker = await openMaker(pairs({ vocab: 90 }), { ...options, split: "train" });
    const tokenizer = createTokenizer(maker.tokenizer, maker.vocabulary);
    // Cased text became lowercased pieces; `<unk>` one token.
    expect(tokenizer.unknownWords("The sailor mends 1,000 nets")).toEqual([]);
    const held = {
      ...options,
      split: "valid",
      vocabulary: maker.vocabulary,
      tokenizer: maker.tokenizer,
    } as const;
    const inProcess = await openMaker(pairs({ vocab: 90, tokenizer: "words" }), held);
    const source = await openBatches(pairs({ vocab: 90, tokenizer: "words" }), held);
    try {
      expect(source.tokenizer).toEqual(uncasedWordPiece);
      expect(source.vocabulary).toEqual(maker.vocabulary);
      const batch = await source.next();
      expect(batch.fields).toEqual(inProcess.make(0).fields);
      expect(batch.fields.tokens!.filter((id) => id === tokenizer.unknown).length).toBeGreaterThan(0);
    } finally {
      await source.close();
    }
  });
});

test("a person's text gets the tokenizer's own special tokens", () => {
  const tokenizer = createTokenizer(uncasedWordPiece, [
    ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    ...["the", "ship", "##s", "sail", "."],
  ]);
  const { tokens, unknown, fields } = encodeText(tokenizer, "The SHIPS [MASK].", "sails, sail", 16);
  expect(tokens.join(" ")).toBe("[CLS] the ship ##s [MASK] . [SEP] sail ##s [UNK] sail [SEP]");
  expect(unknown).toEqual([","]);
  expect([...fields.segments].join("")).toBe("0000000111110000");
  expect([...fields.tokens.subarray(12)]).toEqual([0, 0, 0, 0]);
});
