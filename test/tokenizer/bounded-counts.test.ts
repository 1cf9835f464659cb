import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedCounts } from "../../runtime/tokenizer/index.ts";
import { WordTable } from "../../runtime/tokenizer/word-table.ts";

const words = fc.array(fc.string({ unit: "grapheme", minLength: 0, maxLength: 20 }), { maxLength: 400 });

describe("a table of words", () => {
  test("finds what was added, wherever it stands, and nothing else", () => {
    fc.assert(
      fc.property(words, words, (known, others) => {
        const table = new WordTable();
        const numbers = new Map<string, number>();
        for (const word of known) {
          if (!numbers.has(word)) numbers.set(word, table.add(word));
        }
        expect([...numbers.values()]).toEqual([...numbers.keys()].map((_, i) => i));
        expect(table.words).toEqual([...numbers.keys()]);
        for (const word of [...known, ...others]) {
          const text = `xy${word}z`;
          expect(table.find(text, 2, 2 + word.length)).toBe(numbers.get(word) ?? -1);
        }
      }),
    );
  });

  test("of a hundred thousand words", () => {
    const table = new WordTable();
    for (let i = 0; i < 100_000; i++) expect(table.add(`word ${i}`)).toBe(i);
    for (let i = 0; i < 100_000; i += 97) expect(table.find(`a word ${i}`, 2, `a word ${i}`.length)).toBe(i);
    expect(table.find("word 100000", 0, 11)).toBe(-1);
  });
});

describe("counts in bounded memory", () => {
  const count = (counts: BoundedCounts, word: string, times = 1): void =>
    counts.add(word, 0, word.length, times);

  test("are those of a map while there is room", () => {
    fc.assert(
      fc.property(words, (drawn) => {
        const counts = new BoundedCounts(drawn.length + 1);
        const expected = new Map<string, number>();
        for (const word of drawn) {
          count(counts, word);
          expected.set(word, (expected.get(word) ?? 0) + 1);
        }
        expect([...counts.counts]).toEqual([...expected]);
        expect(counts.forgotten).toBe(0);
      }),
    );
  });

  test("forget the rarest beyond it, and are low by no more than they say", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { minLength: 100, maxLength: 2000 }), (drawn) => {
        const counts = new BoundedCounts(20);
        const expected = new Map<string, number>();
        for (const number of drawn) {
          // Low numbers are common.
          const word = `word${Math.floor(number ** 2 / 60)}`;
          count(counts, word);
          expected.set(word, (expected.get(word) ?? 0) + 1);
        }
        const found = counts.counts;
        expect(found.size).toBeLessThanOrEqual(20);
        let lost = 0;
        for (const [word, times] of expected) {
          expect(found.get(word) ?? 0).toBeLessThanOrEqual(times);
          lost = Math.max(lost, times - (found.get(word) ?? 0));
        }
        expect(lost === 0 || counts.forgotten > 0).toBe(true);
      }),
    );
    const counts = new BoundedCounts(2);
    for (const [word, times] of [
      ["a", 5],
      ["b", 1],
      ["c", 1],
    ] as const)
      count(counts, word, times);
    expect([[...counts.counts], counts.forgotten]).toEqual([[["a", 5]], 1]);
    count(counts, "c", 2);
    count(counts, "d", 2);
    expect([[...counts.counts], counts.forgotten]).toEqual([[["a", 5]], 2]);
  });
});
