import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DataRequest } from "../../compiler/program/index.ts";
import {
  type Batch,
  type BatchMaker,
  type Corpus,
  createBatchMaker,
  grammarCorpus,
  readParagraphs,
} from "../../runtime/data/index.ts";
import { predictionCount } from "../../runtime/data/pretraining-pairs.ts";
import { roundHalfEven } from "../../runtime/data/settings.ts";

/** A text of numbered words, so that a sentence pair shows where it came from. */
function numberedText(paragraphs: number, sentences: number, words: number): Corpus {
  const lines = Array.from({ length: paragraphs }, (_, p) =>
    Array.from(
      { length: sentences },
      (_, s) => Array.from({ length: words }, (_, w) => `p${p}s${s}w${w}`).join(" ") + " . ",
    ).join(""),
  );
  const read = readParagraphs(lines.map((line) => ` ${line}\n`).join(""), "tokenised", {
    kind: "words",
  });
  return { kind: "text", name: "numbered", paragraphs: read, vocabularyParagraphs: read };
}

const numbered = numberedText(7, 4, 6);
const pairs = (settings: Record<string, number | string>): DataRequest => ({
  kind: "PretrainingPairs",
  settings: { min_frequency: 1, ...settings },
});

/** The rows of a batch as words. */
function rowsOf(batch: Batch, { vocabulary }: BatchMaker) {
  const { tokens, segments, valid, positions, labels, weights, next } = batch.fields;
  const length = tokens!.length / batch.examples;
  const slots = positions!.length / batch.examples;
  return Array.from({ length: batch.examples }, (_, i) => {
    const row = [...tokens!.subarray(i * length, (i + 1) * length)];
    const at = [...positions!.subarray(i * slots, (i + 1) * slots)];
    const label = [...labels!.subarray(i * slots, (i + 1) * slots)];
    const weight = [...weights!.subarray(i * slots, (i + 1) * slots)];
    const used = weight.filter((w) => w === 1).length;
    const original = [...row];
    for (let k = 0; k < used; k++) original[at[k]!] = label[k]!;
    const segment = [...segments!.subarray(i * length, (i + 1) * length)];
    return {
      seen: row.map((id) => vocabulary[id]!),
      original: original.map((id) => vocabulary[id]!),
      segment,
      valid: valid![i]!,
      at,
      label,
      weight,
      used,
      next: next![i]!,
      key: `${at.slice(0, used).join(",")}`,
    };
  });
}

describe("pretraining pairs", () => {
  const drawnFrom = (shortest: number) =>
    fc.record({
      batch: fc.integer({ min: 1, max: 9 }),
      max_len: fc.integer({ min: shortest, max: 40 }),
      predictions: fc.integer({ min: 1, max: 8 }),
      masking: fc.constantFrom("static", "dynamic"),
      seed: fc.integer({ min: 0, max: 2 ** 32 }),
      index: fc.integer({ min: 0, max: 10_000 }),
    });

  test.each([
    ["text", numbered],
    ["grammar", grammarCorpus()],
  ])("every row of a batch is a well-formed example: %s", (_, corpus) => {
    // The grammar's shortest pair has 19 tokens; most of its pairs are dropped at first.
    const [runs, shortest] = corpus.kind === "text" ? [60, 15] : [6, 19];
    fc.assert(
      fc.property(drawnFrom(shortest), ({ seed, index, ...settings }) => {
        const maker = createBatchMaker(pairs(settings), { corpus, split: "train", seed });
        const batch = maker.make(index);
        expect(batch.index).toBe(index);
        const rows = rowsOf(batch, maker);
        expect(rows.reduce((sum, row) => sum + row.valid, 0)).toBe(batch.validTokens);
        for (const row of rows) {
          expect(row.valid).toBeLessThanOrEqual(settings.max_len);
          // <cls> a <sep> b <sep> <pad>...
          const words = row.original.slice(0, row.valid);
          expect(words[0]).toBe("<cls>");
          expect(words.at(-1)).toBe("<sep>");
          const seam = words.indexOf("<sep>");
          expect(words.filter((word) => word === "<sep>" || word === "<cls>").length).toBe(3);
          expect(words.filter((word) => word === "<pad>" || word === "<mask>")).toEqual([]);
          expect(row.segment).toEqual(row.original.map((_, i) => (i > seam && i < row.valid ? 1 : 0)));
          expect(new Set(row.seen.slice(row.valid))).toEqual(
            new Set(row.valid < settings.max_len ? ["<pad>"] : []),
          );
          // Predictions: how many, sorted, distinct, inside, at no special token; unused slots all zero.
          expect(row.used).toBe(predictionCount(row.valid, settings.predictions));
          expect(row.weight).toEqual(row.weight.map((_, k) => (k < row.used ? 1 : 0)));
          for (let k = 0; k < row.weight.length; k++) {
            if (k >= row.used) expect([row.at[k], row.label[k]]).toEqual([0, 0]);
            else {
              if (k > 0) expect(row.at[k]!).toBeGreaterThan(row.at[k - 1]!);
              expect(row.at[k]!).toBeLessThan(row.valid);
              expect(["<cls>", "<sep>"]).not.toContain(row.original[row.at[k]!]);
            }
          }
          // With labels put back, both sentences are the text's, word for word.
          if (corpus.kind === "text") {
            const first = words.slice(1, seam);
            const second = words.slice(seam + 1, -1);
            const [, p = "", s = ""] = /^p(\d+)s(\d+)w0$/.exec(first[0]!) ?? [];
            const tail = (sentence: readonly string[]) => sentence.filter((word) => word !== ".");
            expect(tail(first)).toEqual(Array.from({ length: 6 }, (_, w) => `p${p}s${s}w${w}`));
            expect(second[0]).toMatch(/^p\d+s\d+w0$/);
            if (row.next === 1) expect(second[0]).toBe(`p${p}s${Number(s) + 1}w0`);
          }
        }
      }),
      { numRuns: runs },
    );
  });

  test("a batch is a pure function of seed and index, in any order of asking", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1000 }),
        fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 8 }),
        (seed, order) => {
          const make = () =>
            createBatchMaker(pairs({ batch: 4, max_len: 20 }), { corpus: numbered, split: "train", seed });
          const inOrder = make();
          const all = Array.from({ length: 61 }, (_, i) => inOrder.make(i));
          const jumping = make();
          for (const index of order) expect(jumping.make(index)).toEqual(all[index]);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("seeds and splits draw different numbers", () => {
    const make = (seed: number, split: "train" | "valid") =>
      createBatchMaker(pairs({ batch: 16, max_len: 24 }), { corpus: grammarCorpus(), split, seed }).make(0)
        .fields;
    expect(make(1, "train")).not.toEqual(make(2, "train"));
    expect(make(1, "train")).not.toEqual(make(1, "valid"));
  });

  test("every epoch holds every example once, and the last partial batch is filled from the next epoch", () => {
    // 7 paragraphs of 4 sentences: 21 pairs, no multiple of 4.
    const maker = createBatchMaker(pairs({ batch: 4, max_len: 32, next_sentence: "false" }), {
      corpus: numbered,
      split: "train",
      seed: 5,
    });
    const firsts = Array.from({ length: 21 }, (_, i) => maker.make(i)).flatMap((batch) =>
      rowsOf(batch, maker).map((row) => row.original[1]!),
    );
    expect(firsts.length).toBe(4 * 21);
    const epochs = [0, 1, 2, 3].map((e) => firsts.slice(e * 21, (e + 1) * 21));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(21);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  test("static masks stay the same from epoch to epoch, dynamic ones change", () => {
    const masksOf = (masking: string) => {
      const maker = createBatchMaker(pairs({ batch: 21, max_len: 32, masking }), {
        corpus: numbered,
        split: "train",
        seed: 5,
      });
      // One batch an epoch, examples by their words.
      return [0, 1].map((i) =>
        rowsOf(maker.make(i), maker)
          .map((row) => `${row.original.join(" ")} | ${row.seen.join(" ")}`)
          .sort(),
      );
    };
    const [first, second] = masksOf("static");
    expect(first).toEqual(second);
    const [one, two] = masksOf("dynamic");
    expect(one).not.toEqual(two);
    expect(one?.map((line) => line.split(" | ")[0])).toEqual(two?.map((line) => line.split(" | ")[0]));
  });

  test("80 % of the predicted tokens are masked, 10 % stay, 10 % are random entries of the whole vocabulary", () => {
    const maker = createBatchMaker(pairs({ batch: 512, max_len: 32 }), {
      corpus: grammarCorpus(),
      split: "train",
      seed: 9,
    });
    let masked = 0;
    let same = 0;
    let predicted = 0;
    let nextPairs = 0;
    const strange = new Set<string>();
    for (let i = 0; i < 24; i++) {
      for (const row of rowsOf(maker.make(i), maker)) {
        nextPairs += row.next;
        for (const place of row.at.slice(0, row.used)) {
          predicted++;
          if (row.seen[place] === "<mask>") masked++;
          else if (row.seen[place] === row.original[place]) same++;
          else strange.add(row.seen[place]!);
        }
      }
    }
    // Binomial: four standard deviations of a share of `predicted` (some 37,000) are 0.0083 at 0.8, 0.0062 at 0.1. A random
    // entry is the token itself, or <mask>, in 0.0007 of all.
    expect(predicted).toBeGreaterThan(35_000);
    expect(Math.abs(masked / predicted - 0.8)).toBeLessThan(0.009);
    expect(Math.abs(same / predicted - 0.1)).toBeLessThan(0.007);
    expect(Math.abs(nextPairs / (24 * 512) - 0.5)).toBeLessThan(0.02);
    // 3,700 random draws among 141 entries: each is missed with a chance of e^-26. (<mask> counts as masked.)
    expect([...maker.vocabulary].filter((word) => !strange.has(word))).toEqual(["<mask>"]);
  });

  test("a pair that does not fit is dropped, not cut", () => {
    // Six words a sentence, the last of a paragraph seven with its full stop: 15 or 16 tokens a pair.
    const lengths = (max_len: number) => {
      const maker = createBatchMaker(pairs({ batch: 64, max_len }), {
        corpus: numbered,
        split: "train",
        seed: 1,
      });
      return new Set(maker.make(0).fields.valid);
    };
    expect(lengths(15)).toEqual(new Set([15]));
    expect(lengths(16)).toEqual(new Set([15, 16]));
    expect(() => lengths(14)).toThrow("no pair of sentences of numbered fits into max_len 14");
  });
});

test("a vocabulary keeps the most frequent words under the request's limit; the grammar's is the same for every seed", () => {
  const make = (seed: number, vocab: number, vocabulary?: readonly string[]) =>
    createBatchMaker(pairs({ batch: 2, max_len: 32, vocab }), {
      corpus: grammarCorpus(),
      split: "train",
      seed,
      ...(vocabulary && { vocabulary }),
    });
  const all = make(1, 0).vocabulary;
  expect(make(2, 512).vocabulary).toEqual(all);
  const few = make(1, 20);
  expect(few.vocabulary.length).toBe(20);
  for (const word of ["the", "a", "some", "they", "in"]) expect(few.vocabulary).toContain(word);
  // With most words unknown there is less to guess, and the bound knows it.
  expect(few.best()!.maskedLanguageModel.mean).toBeLessThan(make(1, 0).best()!.maskedLanguageModel.mean);
  expect(() => make(1, 20, all)).toThrow(`the vocabulary has ${all.length} entries, and the model takes 20`);
});

test("Python's round: half to even", () => {
  expect([0.5, 1.5, 2.5, 3.5, 7.5, 2.4, 2.6, 9.6].map(roundHalfEven)).toEqual([0, 2, 2, 4, 8, 2, 3, 10]);
  expect(predictionCount(10, 99)).toBe(2);
  expect(predictionCount(30, 99)).toBe(4);
  expect(predictionCount(3, 99)).toBe(1);
});

describe("causal text", () => {
  const request = (batch: number, max_len: number): DataRequest => ({
    kind: "CausalText",
    settings: { batch, max_len, min_frequency: 1 },
  });

  test("windows cover the running text: each target is the next token, <sep> ends a sentence", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 99 }), (length, seed) => {
        const maker = createBatchMaker(request(1, length), { corpus: numbered, split: "train", seed });
        const windows = new Map<string, string[]>();
        const { vocabulary } = maker;
        // 7 * 4 sentences of six words, a full stop a paragraph, and 28 <sep>.
        const total = 7 * (4 * 7 + 1);
        const count = Math.ceil((total - 1) / length);
        let targets = 0;
        for (let i = 0; i < count; i++) {
          const { fields, validTokens } = maker.make(i);
          const used = fields.weights!.filter((w) => w === 1).length;
          expect(used).toBe(validTokens);
          const tokens = [...fields.tokens!].map((id) => vocabulary[id]!);
          const next = [...fields.targets!].map((id) => vocabulary[id]!);
          expect(next.slice(0, used - 1)).toEqual(tokens.slice(1, used));
          expect(tokens.slice(used).every((word) => word === "<pad>")).toBe(true);
          windows.set(tokens.join(" "), next);
          targets += used;
        }
        expect(targets).toBe(total - 1);
      }),
      { numRuns: 30 },
    );
  });

  test("a grammar's text is drawn afresh for every epoch", () => {
    const maker = createBatchMaker(request(1024, 16), { corpus: grammarCorpus(), split: "train", seed: 0 });
    expect(maker.make(0).fields.tokens).not.toEqual(maker.make(1).fields.tokens);
    expect(maker.make(0).fields.weights!.every((w) => w === 1)).toBe(true);
    expect(maker.best()).toBeUndefined();
  });
});

describe("settings that cannot work", () => {
  const open = (request: DataRequest) => () =>
    createBatchMaker(request, { corpus: numbered, split: "train", seed: 0 });

  test.each([
    [{ kind: "Pictures", settings: {} }, "there is no corpus reader named `Pictures`"],
    [pairs({ max_len: 32 }), "PretrainingPairs needs the setting `batch`"],
    [
      pairs({ batch: 0, max_len: 32 }),
      "`batch` of PretrainingPairs must be a whole number of at least 1, not 0",
    ],
    [pairs({ batch: 2.5, max_len: 32 }), "not 2.5"],
    [pairs({ batch: "many", max_len: 32 }), 'not "many"'],
    [pairs({ batch: 4, max_len: 4 }), "`max_len` of PretrainingPairs must be a whole number of at least 5"],
    [pairs({ batch: 4, max_len: 32, maskng: "static" }), "PretrainingPairs has no setting `maskng`"],
    [
      pairs({ batch: 4, max_len: 32, masking: "none" }),
      "`masking` of PretrainingPairs must be static or dynamic",
    ],
    [pairs({ batch: 4, max_len: 32, min_frequency: 1000 }), "no word occurs 1000 times"],
  ])("%j", (request, message) => {
    expect(open(request)).toThrow(message);
    expect(open(request)).toThrow(expect.objectContaining({ name: "KilnError", kind: "user" }));
  });
});
