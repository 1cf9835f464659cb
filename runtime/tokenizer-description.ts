/**
 * How text becomes tokens, as plain data that a checkpoint keeps. The vocabulary (tokens by id) stands beside it.
 *
 * `words`: the corpus's own words, lowercased, those it does not know as `<unk>`. `wordpiece`: BERT's.
 */
export type TokenizerDescription = WordsDescription | WordPieceDescription;

export interface WordsDescription {
  readonly kind: "words";
}

/**
 * BERT's tokenizer: text is normalised, split at whitespace and punctuation, and each word is cut into the longest pieces
 * of the vocabulary from its start on.
 * @see Hugging Face `tokenizers`: BertNormalizer, BertPreTokenizer, WordPiece
 */
export interface WordPieceDescription {
  readonly kind: "wordpiece";
  readonly lowercase: boolean;
  /** null: as `lowercase`. */
  readonly stripAccents: boolean | null;
  /** Drop control characters and U+FFFD, read all whitespace as spaces. */
  readonly cleanText: boolean;
  /** Every CJK ideograph is a word. */
  readonly handleChineseChars: boolean;
  /** Code points; a longer word is unknown. */
  readonly maxCharsPerWord: number;
  /** What a piece that continues a word begins with: `##`. */
  readonly prefix: string;
  readonly specialTokens: SpecialTokens;
}

/** Spelling of the tokens that are no text. */
export interface SpecialTokens {
  readonly unknown: string;
  readonly pad: string;
  readonly mask: string;
  readonly cls: string;
  readonly sep: string;
}

export const wordsTokenizer: WordsDescription = { kind: "words" };

/** Of `bert-base-uncased`. */
export const uncasedWordPiece: WordPieceDescription = {
  kind: "wordpiece",
  lowercase: true,
  stripAccents: null,
  cleanText: true,
  handleChineseChars: true,
  maxCharsPerWord: 100,
  prefix: "##",
  specialTokens: { unknown: "[UNK]", pad: "[PAD]", mask: "[MASK]", cls: "[CLS]", sep: "[SEP]" },
};

/** What is wrong with a value that should be a `TokenizerDescription`; undefined where nothing is. */
export function descriptionMistake(value: unknown): string | undefined {
  if (!isObject(value)) return "it is no object";
  if (value.kind === "words") return undefined;
  if (value.kind !== "wordpiece")
    return `its kind is ${JSON.stringify(value.kind)}, not "words" or "wordpiece"`;
  for (const name of ["lowercase", "cleanText", "handleChineseChars"] as const) {
    if (typeof value[name] !== "boolean") return `its ${name} is neither true nor false`;
  }
  if (value.stripAccents !== null && typeof value.stripAccents !== "boolean") {
    return "its stripAccents is neither true, false nor null";
  }
  const { maxCharsPerWord, prefix, specialTokens } = value;
  if (typeof maxCharsPerWord !== "number" || !Number.isSafeInteger(maxCharsPerWord) || maxCharsPerWord < 1) {
    return "its maxCharsPerWord is no whole number above 0";
  }
  if (typeof prefix !== "string" || prefix === "") return "its prefix is no text";
  return specialTokensMistake(specialTokens);
}

const specialNames = [
  "unknown",
  "pad",
  "mask",
  "cls",
  "sep",
] as const satisfies readonly (keyof SpecialTokens)[];

function specialTokensMistake(value: unknown): string | undefined {
  if (!isObject(value)) return "it has no specialTokens";
  const seen = new Set<string>();
  for (const name of specialNames) {
    const token = value[name];
    if (typeof token !== "string" || token === "") return `it has no special token \`${name}\``;
    if (/\s/.test(token)) return `its special token \`${name}\` has a space in it`;
    if (seen.has(token)) return `two of its special tokens are spelled ${token}`;
    seen.add(token);
  }
  return undefined;
}

export function isTokenizerDescription(value: unknown): value is TokenizerDescription {
  return descriptionMistake(value) === undefined;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
