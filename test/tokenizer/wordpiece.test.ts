import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KilnError } from "../../runtime/errors.ts";
import {
  createTokenizer,
  createWordCounter,
  isTokenizerDescription,
  type Tokenizer,
  trainWordPiece,
  uncasedWordPiece,
  wordsTokenizer,
} from "../../runtime/tokenizer/index.ts";
import { newerCharacters } from "../../runtime/tokenizer/newer-characters.ts";
import { modeNames, modes, readFixture } from "./fixture.ts";

const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const small = [...specials, "un", "##aff", "##able", "the", "[", "]", "cls", "a", "##b"];
const tokensOf = (tokenizer: Tokenizer, text: string): string =>
  tokenizer
    .encode(text)
    .map((id) => tokenizer.tokens[id])
    .join(" ");

describe("WordPiece", () => {
  const tokenizer = createTokenizer(uncasedWordPiece, small);

  test("words become the longest pieces, from the left", () => {
    expect(tokensOf(tokenizer, "The unaffable  ab")).toBe("the un ##aff ##able a ##b");
    expect(tokenizer.encodeSentence("the unaffable")).toEqual(tokenizer.encode("the unaffable"));
    expect([tokenizer.pad, tokenizer.unknown, tokenizer.cls, tokenizer.sep, tokenizer.mask]).toEqual([
      0, 1, 2, 3, 4,
    ]);
  });

  test("a text writes no structure, but masks and unknown words", () => {
    expect(tokensOf(tokenizer, "[CLS] the[MASK]a [UNK] [PAD]")).toBe("[ cls ] the [MASK] a [UNK] [ [UNK] ]");
    const bare = { unknown: "unk", pad: "pad", mask: "mask", cls: "cls", sep: "sep" };
    const odd = createTokenizer({ ...uncasedWordPiece, specialTokens: bare }, [
      ...Object.values(bare),
      "the",
      "##s",
    ]);
    // Special tokens that are spelled like words: the three that are structure are unknown where a text has them.
    expect(tokensOf(odd, "the cls sep pad clss thes mask")).toBe("the unk unk unk unk ##s the ##s mask");
  });

  test("says which words it does not know", () => {
    expect(tokenizer.unknownWords("The Zebra, [UNK] [MASK] unaffable zebra cls")).toEqual([
      "zebra",
      ",",
      "zebra",
    ]);
  });

  test("a word longer than the limit is unknown", () => {
    const short = createTokenizer({ ...uncasedWordPiece, maxCharsPerWord: 3 }, [
      ...specials,
      "a",
      "##a",
      "😀",
      "##😀",
    ]);
    expect(tokensOf(short, "aaa aaaa 😀😀😀")).toBe("a ##a ##a [UNK] 😀 ##😀 ##😀");
  });

  test.each(modeNames)("pieces between spaces are independent, and nothing fails, %s", (mode) => {
    const made = createTokenizer(modes[mode], readFixture().vocabulary);
    const newer = newerCharacters
      .split(" ")
      .map((range) => String.fromCodePoint(Number.parseInt(range.split("-")[0] ?? "", 16)));
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...newer, ..."aéΣİ東𠀀\u0301 .[MASK]ꀀꀁ"), maxLength: 30 }),
    );
    fc.assert(
      fc.property(text, text, (a, b) => {
        const both = made.encode(`${a} ${b}`);
        expect(both).toEqual([...made.encode(a), ...made.encode(b)]);
        for (const id of both) {
          expect(id === made.pad || id === made.cls || id === made.sep || id === undefined).toBe(false);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("what is hidden from the package comes back, however much of it there is", () => {
    const letters = newerCharacters
      .split(" ")
      .flatMap((range) => range.split("-"))
      .map((code) => String.fromCodePoint(Number.parseInt(code, 16)));
    const made = createTokenizer({ ...uncasedWordPiece, maxCharsPerWord: 1000 }, [
      ...specials,
      `ꀀ${letters.join("")}ꀂ`,
    ]);
    expect(made.encode(`ꀀ${letters.join("")}ꀂ`)).toEqual([5]);
  });
});

describe("a tokenizer that cannot be", () => {
  const failure = (work: () => unknown): string => {
    try {
      work();
    } catch (thrown) {
      if (thrown instanceof KilnError) return `${thrown.kind}: ${thrown.message}`;
      throw thrown;
    }
    return "";
  };

  test("special tokens are missing, tokens repeated", () => {
    expect(failure(() => createTokenizer(uncasedWordPiece, ["[PAD]", "[UNK]", "a"]))).toBe(
      "user: the vocabulary lacks the special token [MASK]",
    );
    expect(failure(() => createTokenizer(uncasedWordPiece, [...small, "a", "the"]))).toBe(
      'user: the vocabulary has 2 repeated tokens, "a" first',
    );
    expect(failure(() => createTokenizer(wordsTokenizer, small))).toBe(
      "user: the vocabulary lacks the special token <unk>",
    );
    expect(failure(() => createTokenizer({ ...uncasedWordPiece, prefix: "" }, small))).toBe(
      "user: this is no description of a tokenizer: its prefix is no text",
    );
  });

  test.each([
    [undefined, "nothing"],
    [[], "a list"],
    [{ kind: "bytes" }, "another kind"],
    [{ ...uncasedWordPiece, lowercase: 1 }, "a flag that is none"],
    [{ ...uncasedWordPiece, stripAccents: undefined }, "no stripAccents"],
    [{ ...uncasedWordPiece, maxCharsPerWord: 0 }, "no characters"],
    [{ ...uncasedWordPiece, specialTokens: undefined }, "no special tokens"],
    [
      { ...uncasedWordPiece, specialTokens: { ...uncasedWordPiece.specialTokens, sep: "[CLS]" } },
      "one spelling for two",
    ],
    [
      { ...uncasedWordPiece, specialTokens: { ...uncasedWordPiece.specialTokens, mask: "[MA SK]" } },
      "a space",
    ],
  ])("%j: %s", (value, what) => {
    expect(isTokenizerDescription(value), what).toBe(false);
  });

  test("what can be survives JSON", () => {
    for (const description of [wordsTokenizer, ...Object.values(modes)]) {
      expect(isTokenizerDescription(JSON.parse(JSON.stringify(description)))).toBe(true);
    }
  });
});

describe("training", () => {
  const train = (counts: ReadonlyMap<string, number>, vocabularySize: number, minFrequency = 1) =>
    trainWordPiece(counts, { description: uncasedWordPiece, vocabularySize, minFrequency });

  test("counts what the tokenizer splits, whatever it is fed in", () => {
    const counter = createWordCounter(uncasedWordPiece);
    counter.add("The cat, the [MASK] Câts", 1);
    expect(Object.fromEntries(counter.counts)).toEqual({ the: 2, cat: 1, ",": 1, cats: 1 });
    counter.add("the [UNK] [CLS]", 3);
    expect(counter.counts.get("the")).toBe(5);
    expect([...counter.counts.keys()].some((word) => word.includes("["))).toBe(false);
  });

  test("counts within bounded memory: the rarest words are forgotten", () => {
    const counter = createWordCounter(uncasedWordPiece, 3);
    counter.add("a a a b b c", 1);
    expect(Object.fromEntries(counter.counts)).toEqual({ a: 3, b: 2, c: 1 });
    counter.add("d", 1);
    // Four words: those seen once go.
    expect(Object.fromEntries(counter.counts)).toEqual({ a: 3, b: 2 });
    counter.add("c c c d d", 1);
    // And next those seen twice.
    expect(Object.fromEntries(counter.counts)).toEqual({ a: 3, c: 3 });
    for (let i = 0; i < 50; i++) counter.add(`a word${i}`, 1);
    expect(counter.counts.size).toBeLessThanOrEqual(3);
    expect(counter.counts.get("a")).toBe(53);
  });

  test("by hand", () => {
    // Pairs: a ##b 3 + 2, ##b ##c 3, x ##b 1. `ab` first; then ab ##c.
    const counts = new Map([
      ["abc", 3],
      ["ab", 2],
      ["xb", 1],
    ]);
    expect(train(counts, 40).slice(5)).toEqual(["a", "b", "c", "x", "##b", "##c", "ab", "abc", "xb"]);
    expect(train(counts, 40, 3).slice(5)).toEqual(["a", "b", "c", "x", "##b", "##c", "ab", "abc"]);
  });

  test("every word that it was trained on can be written, within the size", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ unit: fc.constantFrom(..."abcdé東"), minLength: 1, maxLength: 12 }),
          fc.integer({ min: 1, max: 50 }),
          { minKeys: 1, maxKeys: 30 },
        ),
        fc.integer({ min: 40, max: 120 }),
        (counts, size) => {
          const words = new Map(Object.entries(counts));
          const vocabulary = train(words, size);
          expect(vocabulary.length).toBeLessThanOrEqual(size);
          const made = createTokenizer(
            { ...uncasedWordPiece, stripAccents: false, handleChineseChars: false },
            vocabulary,
          );
          for (const word of words.keys()) expect(made.unknownWords(word)).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("rare characters give way", () => {
    const words = new Map(
      Array.from({ length: 100 }, (_, i) => [String.fromCodePoint(0x400 + i), 100 - i] as const),
    );
    // (45 - 5) / 4 characters.
    expect(train(words, 45).slice(5)).toEqual([...words.keys()].slice(0, 10));
    expect(() => train(words, 8)).toThrow("a vocabulary of 8 leaves no room for word pieces");
    expect(() => train(new Map(), 100)).toThrow("there is no word to train a vocabulary on");
  });

  test("tells how far it is", () => {
    const told: number[] = [];
    const counts = new Map(readFixture().counts);
    trainWordPiece(counts, {
      description: uncasedWordPiece,
      vocabularySize: 500,
      minFrequency: 1,
      onProgress: (entries) => told.push(entries),
    });
    expect(told).toEqual([164, 264]);
  });
});
