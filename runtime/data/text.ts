import { KilnError } from "../errors.ts";
import { splitWords, type TokenizerDescription } from "../tokenizer/index.ts";

/** A paragraph: its sentences, each a string of tokens separated by single spaces, or as it stood in the text. */
export type Paragraph = readonly string[];

/** How a text marks its sentences and words. */
export type TextFormat = "tokenised" | "prose";

/**
 * Whether a text is tokenised already (WikiText and its like, where a full stop stands between two spaces) or plain
 * prose (where it follows a word). Decided by which of the two is commoner.
 */
export function detectFormat(text: string): TextFormat {
  const sample = text.slice(0, 1_000_000);
  const standing = sample.match(/ [.!?](?= |\n|$)/g)?.length ?? 0;
  const attached = sample.match(/[^\s.!?][.!?]["'”’)\]]*(?=\s|$)/g)?.length ?? 0;
  return standing > attached ? "tokenised" : "prose";
}

/** How sentences are given: lowercased words between single spaces, or as they stood in the text. */
export type SentenceForm = { readonly kind: "words" } | RawForm;

export interface RawForm {
  readonly kind: "raw";
  /** What a tokenised text's `<unk>` becomes: the unknown token of the tokenizer that will read the sentences. */
  readonly unknown: string;
}

/** The form in which a tokenizer's `encodeSentence` takes sentences. */
export function sentenceForm(tokenizer: TokenizerDescription): SentenceForm {
  return tokenizer.kind === "words"
    ? { kind: "words" }
    : { kind: "raw", unknown: tokenizer.specialTokens.unknown };
}

export function readParagraphs(text: string, format: TextFormat, form: SentenceForm): Paragraph[] {
  return readPart(text, { format, breaks: detectBreaks(text) }, form);
}

/** What ends a paragraph of prose. */
export type ParagraphBreaks = "blank lines" | "line ends";

export interface TextLayout {
  readonly format: TextFormat;
  readonly breaks: ParagraphBreaks;
}

/** `readParagraphs` for a part of a text whose layout is known: whole paragraphs of it. */
export function readPart(text: string, { format, breaks }: TextLayout, form: SentenceForm): Paragraph[] {
  if (format === "tokenised") {
    return form.kind === "raw" ? readTokenisedRaw(text, form) : readTokenised(text);
  }
  return proseParagraphs(text, breaks, form.kind === "raw" ? rawSentence : wordsOfSentence);
}

const blankLine = /\n[ \t]*\n/;

/** Blank lines, where there are any. */
export function detectBreaks(text: string): ParagraphBreaks {
  return blankLine.test(text.trim()) ? "blank lines" : "line ends";
}

/**
 * The book's rule (d2l, `_read_wiki`): a paragraph is a line that splits at " . " into two parts or more; it is then
 * trimmed, lowercased and split at " . ", so that only its last sentence keeps its full stop.
 * Only space and newline count as whitespace: U+FEFF is a token of WikiText-2, and `trim()` would swallow it.
 */
export function readTokenised(text: string): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  for (const line of text.split("\n")) {
    // The line's own newline ends " . \n", so a one-sentence line with a full stop counts as two parts.
    if (!line.includes(" . ")) continue;
    const sentences = withoutEndSpaces(line)
      .toLowerCase()
      .split(" . ")
      .map(singleSpaced)
      .filter((sentence) => sentence !== "");
    if (sentences.length > 0) paragraphs.push(sentences);
  }
  return paragraphs;
}

/** Without spaces at either end; other whitespace stays. */
function withoutEndSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (text.charCodeAt(start) === 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) === 0x20) end--;
  return text.slice(start, end);
}

/** Words between single spaces, none at the ends. */
function singleSpaced(text: string): string {
  return withoutEndSpaces(text.includes("  ") ? text.replace(/ {2,}/g, " ") : text);
}

/**
 * The sentences of `readTokenised`, each with its own full stop and in its own case, for a tokenizer that reads prose: `@-@`
 * becomes `-`, and so the other marks that WikiText sets apart inside words and numbers; `<unk>` becomes `unknown`. Full stops alone are left out.
 */
export function readTokenisedRaw(text: string, { unknown }: Pick<RawForm, "unknown">): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  for (const line of text.split("\n")) {
    if (!line.includes(" . ")) continue;
    const sentences = withoutEndSpaces(line)
      .split(/(?<= \.) (?=.)/)
      .map((sentence) =>
        singleSpaced(sentence.replace(/ @([-,.])@ /g, "$1").replaceAll("<unk>", () => unknown)),
      )
      .filter((sentence) => sentence !== "" && sentence !== ".");
    if (sentences.length > 0) paragraphs.push(sentences);
  }
  return paragraphs;
}

/** Words after which a full stop ends no sentence. */
const abbreviations = new Set(
  "mr mrs ms dr prof st sr jr vs etc e.g i.e cf no vol fig gen col capt lt sgt rev hon".split(" "),
);

/**
 * Plain prose. Blank lines separate paragraphs (a text without any has one paragraph a line); line breaks within one are
 * spaces. Sentences are those of `Intl.Segmenter` (Unicode UAX 29, English), joined again after an abbreviation
 * or an initial ("Dr.", "J."); words and punctuation marks are tokens (`splitWords`).
 */
export function readProse(text: string): Paragraph[] {
  return proseParagraphs(text, detectBreaks(text), wordsOfSentence);
}

/** The same sentences as `readProse`, as they stand in the text but for their spaces. */
export function readProseRaw(text: string): Paragraph[] {
  return proseParagraphs(text, detectBreaks(text), rawSentence);
}

const wordsOfSentence = (sentence: string): string => splitWords(sentence).join(" ");
const rawSentence = (sentence: string): string => sentence.trim();

function proseParagraphs(
  text: string,
  breaks: ParagraphBreaks,
  write: (sentence: string) => string,
): Paragraph[] {
  const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
  const blocks = text.split(breaks === "blank lines" ? /\n(?:[ \t]*\n)+/ : "\n");
  const paragraphs: Paragraph[] = [];
  for (const block of blocks) {
    const sentences: string[] = [];
    const push = (sentence: string): void => {
      if (/[\p{L}\p{N}]/u.test(sentence)) sentences.push(write(sentence));
    };
    let open = "";
    for (const segment of segmentsOf(block.replace(/\s+/g, " "), segmenter)) {
      open += segment;
      if (endsInAbbreviation(open)) continue;
      push(open);
      open = "";
    }
    push(open);
    if (sentences.length > 0) paragraphs.push(sentences);
  }
  return paragraphs;
}

/** Characters that are segmented at once. */
const segmentedAtOnce = 4096;

/** The segments of a text, a window at a time: V8's segmenter takes time with the square of the text. */
function* segmentsOf(text: string, segmenter: Intl.Segmenter): Generator<string, void> {
  let width = segmentedAtOnce;
  for (let start = 0; start < text.length; ) {
    const end = Math.min(text.length, start + width);
    const segments = Array.from(segmenter.segment(text.slice(start, end)), ({ segment }) => segment);
    // What ends a sentence depends on what follows it: of a window that is cut, the last two may not be over.
    const count = end === text.length ? segments.length : segments.length - 2;
    if (count <= 0) {
      width *= 2;
      continue;
    }
    for (const segment of segments.slice(0, count)) {
      yield segment;
      start += segment.length;
    }
    width = segmentedAtOnce;
  }
}

function endsInAbbreviation(text: string): boolean {
  // No abbreviation is longer; in all of a text without stops the search would begin at every letter.
  const last = /([\p{L}.]+)\.\s*$/u.exec(text.slice(-40))?.[1];
  if (last === undefined) return false;
  // A single capital is an initial, but "I." ends a sentence.
  return abbreviations.has(last.toLowerCase()) || (/^\p{Lu}$/u.test(last) && last !== "I");
}

/**
 * Decodes a corpus file.
 * @throws KilnError (`user`) for an empty file and for one that is no text: a NUL byte or bytes that are not UTF-8
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (bytes.length === 0) {
    throw new KilnError("user", `the corpus ${name} is empty`, "give a text file, or leave out --corpus");
  }
  const notText = (): KilnError =>
    new KilnError(
      "user",
      `the corpus ${name} is not UTF-8 text`,
      "give a plain text file, or a WikiText folder",
    );
  if (bytes.includes(0)) throw notText();
  let text: string;
  try {
    // A byte order mark at the very start is dropped; any other U+FEFF is text.
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw notText();
  }
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}
