import { BertNormalizer, BertPreTokenizer } from "@huggingface/tokenizers";
import type { WordPieceDescription } from "../tokenizer-description.ts";
import { newerCharacters } from "./newer-characters.ts";

type TextRules = Pick<
  WordPieceDescription,
  "lowercase" | "stripAccents" | "cleanText" | "handleChineseChars"
>;

/**
 * Splits text into words as BERT does: normalised, then cut at whitespace, at every punctuation mark and around ideographs.
 *
 * The package does the work. Where it differs from the reference (the Rust library `tokenizers` behind `BertTokenizerFast`)
 * the text is changed before it gets there:
 * - ideographs beyond U+FFFF, which the package reads as two halves, get their spaces here;
 * - Σ is lowercased to σ wherever it stands, as the reference lowercases character by character; JavaScript writes ς at a word's end;
 * - the reference knows Unicode 8. Characters that are marks, punctuation or controls since a later version, or decompose since
 *   then, are letters to it: they pass the package as letters that the text does not have. Four have changed their class since.
 */
export function createWordSplitter(rules: TextRules): (text: string) => readonly string[] {
  const { lowercase, cleanText, handleChineseChars } = rules;
  const stripAccents = rules.stripAccents ?? lowercase;
  const normalizer = new BertNormalizer({
    type: "BertNormalizer",
    clean_text: cleanText,
    handle_chinese_chars: handleChineseChars,
    strip_accents: stripAccents,
    lowercase,
  });
  const preTokenizer = new BertPreTokenizer();
  const split = (text: string): string[] => preTokenizer.pre_tokenize(normalizer.normalize(text));

  const prepare = (text: string): string => {
    let prepared = text;
    if (lowercase) prepared = prepared.replaceAll("Σ", "σ");
    if (stripAccents) prepared = prepared.replace(onceMarks, "");
    if (handleChineseChars) prepared = prepared.replace(farIdeographs, " $& ");
    // JavaScript's \s has U+FEFF and lacks U+0085; to the reference it is the other way round. Cleaning drops both.
    if (!cleanText) prepared = prepared.replaceAll("\x85", " ");
    return prepared.replace(oncePunctuation, " $& ");
  };

  return (text) => {
    if (!special.test(text)) return split(text);
    const prepared = prepare(text);
    const hidden = new Set(prepared.match(letters));
    if (!cleanText && prepared.includes("\uFEFF")) hidden.add("\uFEFF");
    if (hidden.size === 0) return split(prepared);
    const free = standIns(prepared);
    const stands = new Map<string, string>();
    for (const character of hidden) {
      const stand = free.next().value;
      if (stand !== undefined) stands.set(character, stand);
    }
    const back = new Map([...stands].map(([character, stand]) => [stand, character]));
    const replace = (word: string, by: ReadonlyMap<string, string>): string =>
      Array.from(word, (character) => by.get(character) ?? character).join("");
    return split(replace(prepared, stands)).map((word) => replace(word, back));
  };
}

/** Letters without case and accents that a text does not have: of the 1,165 syllables of Yi, in Unicode since 3.0. */
function* standIns(text: string): Generator<string, undefined> {
  const taken = new Set(text);
  for (let code = 0xa000; code <= 0xa48c; code++) {
    const letter = String.fromCharCode(code);
    if (!taken.has(letter)) yield letter;
  }
}

/** The reference's ranges, which leave out U+2B820..2B91F. */
const ideographRanges = String.raw`\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}`;
/** Nonspacing marks in Unicode 8, spacing ones today. */
const markRanges = String.raw`\u1734\u{1171E}`;
/** Punctuation in Unicode 8, a symbol and a mark today. */
const punctuationRanges = String.raw`\u166D\u{111C9}`;
const letterRanges = newerCharacters
  .split(" ")
  .map((range) =>
    range
      .split("-")
      .map((code) => `\\u{${code}}`)
      .join("-"),
  )
  .join("");

const farIdeographs = new RegExp(`[${ideographRanges}]`, "gu");
const onceMarks = new RegExp(`[${markRanges}]`, "gu");
const oncePunctuation = new RegExp(`[${punctuationRanges}]`, "gu");
/** What is a letter to the reference; a mark that was punctuation stands between its spaces as one. */
const letters = new RegExp(`[${letterRanges}${punctuationRanges}]`, "gu");
/** Whether any of the above can matter. */
const special = new RegExp(
  `[Σ\\x85\\uFEFF${ideographRanges}${markRanges}${punctuationRanges}${letterRanges}]`,
  "u",
);
