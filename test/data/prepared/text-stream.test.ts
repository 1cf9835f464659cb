import { describe, expect, test } from "vitest";
import { readTextParts } from "../../../runtime/data/prepared/text-stream.ts";
import {
  decodeText,
  detectFormat,
  type Paragraph,
  readParagraphs,
  type SentenceForm,
} from "../../../runtime/data/text.ts";
import { testFolder, tokenisedText } from "./folder.ts";

const files = testFolder("text-stream");
const forms: readonly SentenceForm[] = [{ kind: "words" }, { kind: "raw", unknown: "[UNK]" }];

async function read(path: string, form: SentenceForm = { kind: "words" }) {
  const paragraphs: Paragraph[] = [];
  const largest = { characters: 0, readBytes: 0 };
  for await (const part of readTextParts(path, "the file", form)) {
    paragraphs.push(...part.paragraphs);
    largest.characters = Math.max(largest.characters, part.paragraphs.flat().join("").length);
    largest.readBytes = part.readBytes;
  }
  return { paragraphs, ...largest };
}

/** Some 1.3 MiB, so that it is read in several parts, each of which ends inside a line and now and then inside a character. */
const repeat = (text: string): string => text.repeat(Math.ceil((1.3 * 2 ** 20) / text.length));

describe("a text read in parts has the paragraphs of the whole", () => {
  const prose = "Dr. Smith came – late! “So” he left.\nA line further, 界界界.\n";
  const texts: Readonly<Record<string, string>> = {
    "tokenised text": repeat(tokenisedText(50)),
    "prose, a paragraph a line": repeat(prose),
    "prose, blank lines between paragraphs": repeat(`${prose}More of it.\n \t\n${prose}\n\n\n`),
    "Windows' and old Macs' line ends": repeat("One of. Two of.\r\nThree of it\rand four.\r\n"),
    "a byte order mark, which goes, and others, which stay": `\uFEFF${repeat(" a \uFEFF b . c d . \n")}`,
    "no line end at the end": ` a b . c d . \n e f . g`,
  };
  for (const [name, text] of Object.entries(texts)) {
    test(name, async () => {
      const bytes = new TextEncoder().encode(text);
      const path = files.write("text.txt", bytes);
      const whole = decodeText(bytes, "text");
      for (const form of forms) {
        const { paragraphs, readBytes } = await read(path, form);
        expect(paragraphs.length).toBeGreaterThan(1);
        expect(readBytes).toBe(bytes.length);
        // Not `toEqual`, which would print megabytes.
        const expected = readParagraphs(whole, detectFormat(whole), form);
        expect(JSON.stringify(paragraphs) === JSON.stringify(expected)).toBe(true);
      }
    });
  }
});

test("a line without an end is cut between words, or between characters, and stays small in memory", async () => {
  const words = "word ".repeat(2 ** 22);
  const spaced = await read(files.write("long.txt", words));
  expect(spaced.characters).toBeLessThan(6 * 2 ** 20);
  expect(spaced.paragraphs.flat().join(" ")).toBe(words.trim());
  const characters = "界".repeat(3 * 2 ** 20);
  const unspaced = await read(files.write("cjk.txt", characters), { kind: "raw", unknown: "[UNK]" });
  expect(unspaced.paragraphs.length).toBeGreaterThan(1);
  expect(unspaced.paragraphs.flat().join("")).toBe(characters);
  expect(unspaced.characters).toBeLessThan(3 * 2 ** 20);
});

test("paragraphs between blank lines that never come are read in pieces", async () => {
  const lines = `a first.\n\n${"One of many lines.\n".repeat(240_000)}`;
  const { paragraphs, characters } = await read(files.write("blank.txt", lines));
  expect(paragraphs.flat()).toHaveLength(240_001);
  expect(characters).toBeLessThan(8 * 2 ** 20);
});

describe("what is no text is told, with the byte", () => {
  const good = tokenisedText(30_000);
  const wrong = (bytes: Uint8Array | string): Promise<unknown> =>
    read(files.write("bad.txt", bytes)).then(
      () => "no error",
      (error: unknown) => (error instanceof Error ? error.message : error),
    );
  const spoilt = (at: number, ...bytes: readonly number[]): Uint8Array => {
    const text = new TextEncoder().encode(good);
    text.set(bytes, at);
    return text;
  };

  test("in the middle of a large file", async () => {
    expect(good.length).toBeGreaterThan(2 ** 21);
    expect(await wrong(spoilt(1_500_003, 0xff))).toBe(
      "the file is not UTF-8 text: byte 1500003 (counted from 0) cannot stand there",
    );
    // The first byte of two, and no second.
    expect(await wrong(spoilt(1_500_003, 0xc3, 0x28))).toContain("byte 1500004 ");
    expect(await wrong(spoilt(2_000_000, 0))).toContain("byte 2000000 ");
  });

  test("a character that the end of the file cuts off", async () => {
    expect(await wrong(new Uint8Array([0x61, 0x0a, 0x62, 0xe7, 0x95]))).toContain("byte 5 ");
  });

  test("an empty file, and one that is not there", async () => {
    expect(await wrong("")).toBe("the file is empty");
    await expect(read(files.path("none.txt"))).rejects.toThrow(/^cannot read the file: ENOENT/);
  });
});
