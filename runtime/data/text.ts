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
  if (form.kind === "raw") return format === "tokenised" ? readTokenisedRaw(text, form) : readProseRaw(text);
  return format === "tokenised" ? readTokenised(text) : readProse(text);
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
    const sentences = line
      .replace(/^ +| +$/g, "")
      .toLowerCase()
      .split(" . ")
      .map((sentence) => sentence.replace(/ {2,}/g, " ").replace(/^ | $/g, ""))
      .filter((sentence) => sentence !== "");
    if (sentences.length > 0) paragraphs.push(sentences);
  }
  return paragraphs;
}

/**
 * The sentences of `readTokenised`, each with its own full stop and in its own case, for a tokenizer that reads prose: `@-@`
 * becomes `-`, and so the other marks that WikiText sets apart inside words and numbers; `<unk>` becomes `unknown`. Full stops alone are left out.
 */
export function readTokenisedRaw(text: string, { unknown }: Pick<RawForm, "unknown">): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  for (const line of text.split("\n")) {
    if (!line.includes(" . ")) continue;
    const sentences = line
      .replace(/^ +| +$/g, "")
      .split(/(?<= \.) (?=.)/)
      .map((sentence) =>
        sentence
          .replace(/ @([-,.])@ /g, "$1")
          .replaceAll("<unk>", () => unknown)
          .replace(/ {2,}/g, " ")
          .replace(/^ | $/g, ""),
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
  return proseParagraphs(text, (sentence) => splitWords(sentence).join(" "));
}

/** The same sentences as `readProse`, as they stand in the text but for their spaces. */
export function readProseRaw(text: string): Paragraph[] {
  return proseParagraphs(text, (sentence) => sentence.trim());
}

function proseParagraphs(text: string, write: (sentence: string) => string): Paragraph[] {
  const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
  const blankLine = /\n[ \t]*\n/;
  const blocks = text.split(blankLine.test(text.trim()) ? /\n(?:[ \t]*\n)+/ : "\n");
  const paragraphs: Paragraph[] = [];
  for (const block of blocks) {
    const sentences: string[] = [];
    const push = (sentence: string): void => {
      if (/[\p{L}\p{N}]/u.test(sentence)) sentences.push(write(sentence));
    };
    let open = "";
    for (const { segment } of segmenter.segment(block.replace(/\s+/g, " "))) {
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

function endsInAbbreviation(text: string): boolean {
  const last = /([\p{L}.]+)\.\s*$/u.exec(text)?.[1];
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
