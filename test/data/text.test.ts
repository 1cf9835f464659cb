import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeText } from "../../runtime/data/index.ts";
import {
  decodeText,
  detectFormat,
  readParagraphs,
  readProse,
  readTokenised,
} from "../../runtime/data/text.ts";
import {
  buildVocabulary,
  compareCodePoints,
  countTokens,
  createTokenizer,
  specialTokens,
  splitWords,
  wordsTokenizer,
} from "../../runtime/tokenizer/index.ts";
import { indexVocabulary } from "../../runtime/tokenizer/vocabulary.ts";

describe("tokenised text", () => {
  test("the book's rule", () => {
    const text = [
      " \n",
      " = Title = \n",
      " One sentence with a stop . \n",
      " A first one . The Second , longer . A third \n",
      " No stop here \n",
    ].join("");
    expect(readTokenised(text)).toEqual([
      ["one sentence with a stop ."],
      ["a first one", "the second , longer", "a third"],
    ]);
  });

  test("U+FEFF and other Unicode spaces are tokens, not separators", () => {
    expect(readTokenised("\uFEFF a \u00A0 . b . \n")).toEqual([["\uFEFF a \u00A0", "b ."]]);
  });
});

describe("plain prose", () => {
  test("paragraphs by blank lines, sentences by Unicode's rule, joined after abbreviations and initials", () => {
    const text = [
      "Dr. Smith met J. R. Tolkien at 3.5 km. It was",
      "late! Wasn't it? So he (and I.) left.",
      "",
      "A second paragraph, e.g. this one. Done.",
      "  ",
      "* * *",
    ].join("\n");
    expect(readProse(text)).toEqual([
      [
        "dr . smith met j . r . tolkien at 3 . 5 km .",
        "it was late !",
        "wasn't it ?",
        "so he ( and i . ) left .",
      ],
      ["a second paragraph , e . g . this one .", "done ."],
    ]);
  });

  test("a text without blank lines has a paragraph a line", () => {
    expect(readProse("One. Two.\nThree.\n")).toEqual([["one .", "two ."], ["three ."]]);
  });

  test("a paragraph of any length has the sentences of the whole: windows of it do not show", () => {
    const pieces = [
      "One. ",
      "Dr. ",
      "A. ",
      "(He left.) ",
      "3.5 km. ",
      "Why?! ",
      "“Ah…” ",
      "e.g. this ",
      "界。",
      "so long ",
      ". ",
      "etc. but ",
      "... 12 ",
      "Émile ",
    ];
    const drawn = fc.array(fc.constantFrom(...pieces), { minLength: 2000, maxLength: 3000 });
    const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
    fc.assert(
      fc.property(drawn, (parts) => {
        const text = parts.join("");
        // A sentence longer than a window as well.
        const long = `${text}${"and so on ".repeat(1500)}${text}`.trim();
        // What joins sentences again is no concern here: compare with nothing but letters.
        const whole = [...segmenter.segment(long)].map(({ segment }) => segment.trim());
        const ends = (sentences: readonly string[]): ReadonlySet<number> => {
          let length = 0;
          return new Set(
            sentences.map((sentence) => (length += sentence.replace(/[^\p{L}\p{N}]/gu, "").length)),
          );
        };
        const found = ends(readParagraphs(long, "prose", { kind: "raw", unknown: "[UNK]" }).flat());
        const all = ends(whole);
        expect([...found].filter((end) => !all.has(end))).toEqual([]);
        expect(found.size).toBeGreaterThan(all.size / 3);
      }),
      { numRuns: 10 },
    );
  });

  test("words keep letters of every script with their marks, and apostrophes inside", () => {
    expect(splitWords("Señor Ünal's naïve «test»… 東京 don’t")).toEqual([
      "señor",
      "ünal's",
      "naïve",
      "«",
      "test",
      "»",
      "…",
      "東京",
      "don’t",
    ]);
  });

  test("no text makes the readers fail, and no sentence holds an empty token or a line break", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        for (const paragraph of [...readProse(text), ...readTokenised(text)]) {
          expect(paragraph.length).toBeGreaterThan(0);
          for (const sentence of paragraph) {
            expect(sentence).not.toMatch(/^ | {2}| $|\n/);
            expect(sentence).not.toBe("");
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

test("the two formats are told apart", () => {
  expect(detectFormat(" he left . she stayed . \n they ran . \n")).toBe("tokenised");
  expect(detectFormat("He left. She stayed.\nThey ran.")).toBe("prose");
});

test("bytes that are no text are refused", () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  expect(() => decodeText(bytes(), "x.txt")).toThrow("the corpus x.txt is empty");
  expect(() => decodeText(bytes(65, 0, 66), "x.bin")).toThrow("the corpus x.bin is not UTF-8 text");
  expect(() => decodeText(bytes(65, 0xff, 0xfe), "x.bin")).toThrow("not UTF-8 text");
  expect(decodeText(bytes(0xef, 0xbb, 0xbf, 65, 13, 10, 66), "bom.txt")).toBe("A\nB");
});

describe("vocabulary", () => {
  test("words seen often enough and the special tokens, sorted as one set", () => {
    const counts = countTokens([["the cat <unk>", "the dog"], ["the cat ～"]]);
    expect(buildVocabulary(counts, 2, undefined)).toEqual([
      "<cls>",
      "<mask>",
      "<pad>",
      "<sep>",
      "<unk>",
      "cat",
      "the",
    ]);
  });

  test("over the limit the most frequent words stay, equal counts by code point", () => {
    const counts = new Map([
      ["b", 3],
      ["a", 3],
      ["d", 9],
      ["c", 3],
    ]);
    expect(buildVocabulary(counts, 1, 8).filter((token) => !token.startsWith("<"))).toEqual(["a", "b", "d"]);
    expect(() => buildVocabulary(counts, 1, 5)).toThrow("a vocabulary of 5 leaves no room");
    expect(() => buildVocabulary(counts, 10, undefined)).toThrow("no word occurs 10 times or more");
  });

  test("order is by code point, beyond the basic plane too", () => {
    const byCodePoints = (a: string, b: string): number => {
      const x = Array.from(a, (c) => c.codePointAt(0)!);
      const y = Array.from(b, (c) => c.codePointAt(0)!);
      const at = x.findIndex((c, i) => c !== y[i]);
      return at === -1 ? x.length - y.length : y[at] === undefined ? 1 : x[at]! - y[at]!;
    };
    expect(["～", "𝄞", "a"].sort(compareCodePoints)).toEqual(["a", "～", "𝄞"]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(byCodePoints(a, b)));
      }),
    );
  });

  test("a list without the special tokens, or with repeated ones, is refused", () => {
    expect(() => indexVocabulary(["a", "b"])).toThrow("lacks the special token <unk>");
    expect(() => indexVocabulary([...specialTokens, "a", "a"])).toThrow("1 repeated tokens");
  });
});

describe("encoding a person's text", () => {
  const vocabulary = [
    ...specialTokens,
    ..."a crane is flying driver came he just left ' 's bob , @,@ ! x".split(" "),
  ];
  const tokenizer = createTokenizer(wordsTokenizer, vocabulary);
  const encode = (a: string, b?: string, maxLength = 16) => encodeText(tokenizer, a, b, maxLength);

  test("one text and a pair", () => {
    const one = encode("A crane\tis  flying");
    expect(one.tokens).toEqual(["<cls>", "a", "crane", "is", "flying", "<sep>"]);
    expect([...one.fields.valid]).toEqual([6]);
    expect([...one.fields.segments]).toEqual(new Array(16).fill(0));
    expect([...one.fields.tokens.subarray(6)]).toEqual(new Array(10).fill(vocabulary.indexOf("<pad>")));
    const two = encode("a crane driver came", "he just left");
    expect(two.tokens.join(" ")).toBe("<cls> a crane driver came <sep> he just left <sep>");
    expect([...two.fields.segments].join("")).toBe("0000001111000000");
  });

  test("punctuation, unknown words, tokens of the vocabulary, special tokens", () => {
    const { tokens, unknown } = encode("Bob's x,x <mask>, zebra! <sep>", undefined, 32);
    expect(tokens.join(" ")).toBe("<cls> bob 's x @,@ x <mask> , <unk> ! <unk> <unk> <unk> <sep>");
    expect(unknown).toEqual(["zebra", "<", "sep", ">"]);
  });

  test("an empty text and one too long are refused", () => {
    expect(() => encode(" \n")).toThrow("the text to encode is empty");
    expect(() => encode("a", "")).toThrow("the second text to encode is empty");
    expect(encode("a a", undefined, 4).tokens.length).toBe(4);
    expect(() => encode("a a a", undefined, 4)).toThrow(
      "the text has 5 tokens with its special ones, and the model takes 4",
    );
  });
});
