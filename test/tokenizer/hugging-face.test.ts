import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KilnError } from "../../runtime/errors.ts";
import {
  createTokenizer,
  huggingFaceFiles,
  parseTokenizer,
  readTokenizer,
  uncasedWordPiece,
  wordsTokenizer,
} from "../../runtime/tokenizer/index.ts";
import { modeNames, modes, readFixture } from "./fixture.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-tokenizer-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const { vocabulary } = readFixture();

function write(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

async function failure(path: string): Promise<string> {
  try {
    await readTokenizer(path);
  } catch (thrown) {
    if (thrown instanceof KilnError) return `${thrown.kind}: ${thrown.message.replaceAll(`${folder}/`, "")}`;
    throw thrown;
  }
  return "no failure";
}

const vocabularyText = vocabulary.map((token) => `${token}\n`).join("");

describe("files of Hugging Face's", () => {
  test.each(modeNames)("what is written is read back, %s", async (mode) => {
    const tokenizer = createTokenizer(modes[mode], vocabulary);
    const path = write(`round-trip-${mode}`, Object.fromEntries(huggingFaceFiles(tokenizer)));
    for (const from of [path, join(path, "tokenizer.json")]) {
      const read = await readTokenizer(from);
      expect(read.description).toEqual(tokenizer.description);
      expect(read.tokens).toEqual(tokenizer.tokens);
    }
    // vocab.txt and the configuration beside it know all but cleaning.
    const read = await readTokenizer(join(path, "vocab.txt"));
    expect(read.description).toEqual({ ...tokenizer.description, cleanText: true });
  });

  test("a vocabulary alone is uncased; tokenizer_config.json says what it is otherwise", async () => {
    const alone = write("alone", { "vocab.txt": vocabularyText });
    expect((await readTokenizer(alone)).description).toEqual(uncasedWordPiece);
    const config = {
      do_lower_case: false,
      strip_accents: true,
      tokenize_chinese_chars: false,
      mask_token: { content: "[PAD]" },
      pad_token: "[MASK]",
    };
    const configured = write("configured", {
      "vocab.txt": vocabularyText.replaceAll("\n", "\r\n"),
      "tokenizer_config.json": JSON.stringify(config),
    });
    const { description, tokens, mask } = await readTokenizer(configured);
    expect(description).toEqual({
      ...uncasedWordPiece,
      lowercase: false,
      stripAccents: true,
      handleChineseChars: false,
      specialTokens: { ...uncasedWordPiece.specialTokens, mask: "[PAD]", pad: "[MASK]" },
    });
    expect(tokens).toEqual(vocabulary);
    expect(mask).toBe(vocabulary.indexOf("[PAD]"));
  });

  test("of both files tokenizer.json is read", async () => {
    const path = write("both", {
      ...Object.fromEntries(huggingFaceFiles(createTokenizer(modes.cased, vocabulary))),
      "vocab.txt": "nonsense\n",
    });
    expect((await readTokenizer(path)).tokens).toEqual(vocabulary);
  });

  test("older forms of tokenizer.json: no type of the model, BertProcessing, tokens added behind the vocabulary", () => {
    const json = {
      added_tokens: [{ id: 5, content: "[MASK]", special: true }],
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: { type: "BertProcessing", cls: ["[CLS]", 2], sep: ["[SEP]", 3] },
      model: {
        continuing_subword_prefix: "##",
        unk_token: "[UNK]",
        vocab: { a: 4, "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3 },
      },
    };
    const tokenizer = parseTokenizer({
      tokenizer: { name: "tokenizer.json", text: JSON.stringify(json), format: "tokenizer.json" },
    });
    expect(tokenizer.tokens).toEqual(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "[MASK]"]);
    expect(tokenizer.encode("a [MASK] b")).toEqual([4, 5, 1]);
  });

  test("a vocabulary of words cannot be written", () => {
    const words = createTokenizer(wordsTokenizer, ["<unk>", "<pad>", "<mask>", "<cls>", "<sep>"]);
    expect(() => huggingFaceFiles(words)).toThrow("no form that Hugging Face's libraries read");
    const line = createTokenizer(uncasedWordPiece, [...vocabulary, "a\nb"]);
    expect(() => huggingFaceFiles(line)).toThrow('the token "a\\nb" cannot stand in a line');
  });
});

describe("bad input", () => {
  test("paths", async () => {
    expect(await failure(join(folder, "nowhere"))).toBe("user: there is no tokenizer at nowhere");
    expect(await failure(write("nothing", { "readme.md": "" }))).toBe(
      "user: the folder nothing has neither tokenizer.json nor vocab.txt",
    );
  });

  test.each([
    ["empty", "", "the vocabulary empty/vocab.txt is empty"],
    ["hole", "[PAD]\n[UNK]\n\na\n", "line 3 of hole/vocab.txt is empty: every line is a token"],
    ["twice", `${vocabularyText}a\na\n`, 'twice/vocab.txt: the vocabulary has 2 repeated tokens, "a" first'],
    [
      "lacks",
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n",
      "lacks/vocab.txt: the vocabulary lacks the special token [MASK]",
    ],
    ["latin1", Uint8Array.of(0x5b, 0xe9, 0x0a), "latin1/vocab.txt is not UTF-8 text"],
  ])("vocab.txt: %s", async (name, content, message) => {
    expect(await failure(write(name, { "vocab.txt": content }))).toBe(`user: ${message}`);
  });

  const good = JSON.parse(
    huggingFaceFiles(createTokenizer(uncasedWordPiece, [...vocabulary.slice(0, 5), "a"])).get(
      "tokenizer.json",
    ) ?? "",
  );
  const at = "bad.json is no tokenizer of BERT: ";
  test.each([
    ["broken", '{"model": ', "bad.json is no JSON"],
    ["a list", "[]", "bad.json is no JSON object"],
    ["no model", {}, "bad.json has no `model`"],
    ["byte pairs", { ...good, model: { type: "BPE", vocab: {} } }, `${at}its model is BPE, not WordPiece`],
    ["no normalizer", { ...good, normalizer: null }, `${at}it has no normalizer`],
    [
      "another normalizer",
      { ...good, normalizer: { type: "NFC" } },
      `${at}its normalizer is NFC, not BertNormalizer`,
    ],
    [
      "another splitter",
      { ...good, pre_tokenizer: { type: "ByteLevel" } },
      `${at}its pre_tokenizer is ByteLevel, not BertPreTokenizer`,
    ],
    [
      "a flag",
      { ...good, normalizer: { ...good.normalizer, lowercase: "yes" } },
      `${at}\`lowercase\` of its normalizer is neither true nor false`,
    ],
    [
      "another structure",
      { ...good, post_processor: { type: "RobertaProcessing" } },
      `${at}its post_processor puts other tokens around texts than \`[CLS] a [SEP] b [SEP]\``,
    ],
    [
      "another template",
      { ...good, post_processor: { ...good.post_processor, pair: good.post_processor.single } },
      `${at}its post_processor puts other tokens around texts than \`[CLS] a [SEP] b [SEP]\``,
    ],
    [
      "more tokens",
      { ...good, added_tokens: [...good.added_tokens, { id: 6, content: "<ent>" }] },
      `${at}it adds the tokens "<ent>" to the special ones`,
    ],
    [
      "choosy tokens",
      { ...good, added_tokens: [{ id: 4, content: "[MASK]", lstrip: true }] },
      `${at}it takes [MASK] with the spaces beside it`,
    ],
    ["added tokens that are none", { ...good, added_tokens: [3] }, "`added_tokens` of bad.json holds 3"],
    ["no vocabulary", { ...good, model: { ...good.model, vocab: [] } }, "bad.json has no `vocab`"],
    [
      "an empty vocabulary",
      { ...good, added_tokens: [], model: { ...good.model, vocab: {} } },
      "the vocabulary of bad.json is empty",
    ],
    [
      "ids with holes",
      { ...good, model: { ...good.model, vocab: { ...good.model.vocab, b: 8 } } },
      "bad.json has ids with holes: 7 tokens, and none has the id 6",
    ],
    [
      "one id for two",
      { ...good, model: { ...good.model, vocab: { ...good.model.vocab, b: 5 } } },
      'the tokens "a" and "b" of bad.json have the same id 5',
    ],
    [
      "a token twice",
      { ...good, added_tokens: [{ id: 6, content: "[MASK]" }] },
      'bad.json: the vocabulary has 1 repeated tokens, "[MASK]" first',
    ],
    [
      "an id that is none",
      { ...good, model: { ...good.model, vocab: { ...good.model.vocab, b: "5" } } },
      'the token "b" of bad.json has the id "5"',
    ],
    [
      "a special token missing",
      { ...good, added_tokens: [], model: { ...good.model, vocab: { "[PAD]": 0, "[UNK]": 1, a: 2 } } },
      "bad.json: the vocabulary lacks the special token [MASK]",
    ],
    [
      "no characters",
      { ...good, model: { ...good.model, max_input_chars_per_word: 0 } },
      "bad.json: this is no description of a tokenizer: its maxCharsPerWord is no whole number above 0",
    ],
  ])("tokenizer.json: %s", async (name, content, message) => {
    const path = write(name.replaceAll(" ", "-"), {
      "bad.json": typeof content === "string" ? content : JSON.stringify(content),
    });
    expect(await failure(join(path, "bad.json"))).toBe(
      `user: ${message}`.replaceAll("bad.json", `${name.replaceAll(" ", "-")}/bad.json`),
    );
  });

  test.each([
    ["{", "is no JSON"],
    ['{"do_lower_case": "yes"}', "`do_lower_case` of config/tokenizer_config.json is neither true nor false"],
    ['{"mask_token": 3}', "`mask_token` of config/tokenizer_config.json is no token"],
    [
      '{"do_basic_tokenize": false}',
      "config/tokenizer_config.json turns `do_basic_tokenize` off, which Kiln cannot",
    ],
    ['{"mask_token": "<mask>"}', "config/vocab.txt: the vocabulary lacks the special token <mask>"],
  ])("tokenizer_config.json: %s", async (text, message) => {
    expect(
      await failure(write("config", { "vocab.txt": vocabularyText, "tokenizer_config.json": text })),
    ).toContain(message);
  });
});
