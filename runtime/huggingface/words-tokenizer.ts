import { KilnError } from "../errors.ts";
import { specialTokens } from "../tokenizer/index.ts";
import { isRecord, parseJsonObject } from "./json.ts";

/**
 * A `tokenizer.json` that reads text as Kiln reads it with a vocabulary of words: lowercased and split at whitespace; a piece that the
 * vocabulary has stays whole (text that is tokenised already keeps its tokens), any other is split into words and
 * punctuation marks. `BertTokenizer` with a vocab.txt of words would split `@-@` and `'s`, and cut words into pieces.
 *
 * Not expressed: a hyphen inside a word is not read as WikiText's `@-@`, nor `bob's` as `bob` and `'s`; they are split at the mark.
 */
export function printWordsTokenizer(vocabulary: readonly string[]): string {
  const ids = new Map(vocabulary.map((token, id) => [token, id]));
  const added = specialTokens.map((content) => ({
    id: ids.get(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const token = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  const [cls, sep] = ["<cls>", "<sep>"] as const;
  const templateToken = (content: string) => ({ id: content, ids: [ids.get(content)], tokens: [content] });
  return `${JSON.stringify(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: { type: "Lowercase" },
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "WhitespaceSplit" },
          {
            type: "Split",
            pattern: { Regex: piecePattern(vocabulary) },
            behavior: "Isolated",
            invert: false,
          },
        ],
      },
      post_processor: {
        type: "TemplateProcessing",
        single: [token(cls, 0), sequence("A", 0), token(sep, 0)],
        pair: [token(cls, 0), sequence("A", 0), token(sep, 0), sequence("B", 1), token(sep, 1)],
        special_tokens: { [cls]: templateToken(cls), [sep]: templateToken(sep) },
      },
      decoder: null,
      model: { type: "WordLevel", vocab: Object.fromEntries(ids), unk_token: "<unk>" },
    },
    undefined,
    2,
  )}\n`;
}

const word = "[\\p{L}\\p{N}\\p{M}]+(?:['’][\\p{L}\\p{M}]+)*";
const mark = "[^\\s\\p{L}\\p{N}\\p{M}]";

/** Pieces of a text between spaces: a token of the vocabulary that is no plain word, if it is the whole of it, or words and marks. */
function piecePattern(vocabulary: readonly string[]): string {
  const isPlain = new RegExp(`^(?:${word}|${mark})$`, "u");
  const structure = new Set<string>(specialTokens);
  const whole = vocabulary.filter(
    (token) => !isPlain.test(token) && !structure.has(token) && !/\s/.test(token),
  );
  const alternatives = whole.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|");
  return `${whole.length === 0 ? "" : `^(?:${alternatives})$|`}${word}|${mark}`;
}

/**
 * The vocabulary of a `tokenizer.json` that `printWordsTokenizer` wrote.
 * @returns undefined for a tokenizer of another kind
 * @throws KilnError `user` for one of words that Kiln did not write: it would read text otherwise
 */
export function parseWordsTokenizer(text: string, path: string): readonly string[] | undefined {
  const { model } = parseJsonObject(text, path);
  if (!isRecord(model) || model.type !== "WordLevel" || !isRecord(model.vocab)) return undefined;
  const vocabulary: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) if (typeof id === "number") vocabulary[id] = token;
  const isWhole = Array.from(vocabulary).every((token) => token !== undefined);
  if (isWhole && sameJson(printWordsTokenizer(vocabulary), text)) return vocabulary;
  throw new KilnError(
    "user",
    `${path} is a vocabulary of words that Kiln did not write: its rules for splitting text are not Kiln's`,
    "Kiln imports WordPiece, and the words that `export` wrote",
  );
}

function sameJson(a: string, b: string): boolean {
  return JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));
}
