import { KilnError } from "../errors.ts";
import type { Corpus, Split } from "./corpus.ts";
import { decodeText, detectFormat, type Paragraph, readParagraphs, type SentenceForm } from "./text.ts";

/** A JavaScript string holds about 512 MiB; words and ids of a text take several times its size. */
const maxBytes = 256 * 2 ** 20;

/** @throws KilnError `user` for a text too large to be read */
export function checkTextSize(sizeBytes: number, name: string, hint: string): void {
  if (sizeBytes <= maxBytes) return;
  throw new KilnError(
    "user",
    `the corpus ${name} has ${Math.round(sizeBytes / 2 ** 20)} MiB, and at most ${maxBytes / 2 ** 20} are read`,
    hint,
  );
}

/**
 * One text as a corpus: the first 90 % of its paragraphs are the training split, the next 5 % valid, the rest test.
 * @param form how sentences are given: as the tokenizer reads them
 * @throws KilnError `user` for bytes that are no text, or a text without a sentence
 */
export function textCorpus(bytes: Uint8Array, name: string, split: Split, form: SentenceForm): Corpus {
  checkTextSize(bytes.length, name, "give a part of it");
  const parts = splitParagraphs(paragraphsOf(bytes, name, form));
  return { kind: "text", name, paragraphs: parts[split], vocabularyParagraphs: parts.train };
}

function splitParagraphs(all: readonly Paragraph[]): Readonly<Record<Split, readonly Paragraph[]>> {
  const trainEnd = Math.ceil(all.length * 0.9);
  const validEnd = trainEnd + Math.ceil((all.length - trainEnd) / 2);
  return { train: all.slice(0, trainEnd), valid: all.slice(trainEnd, validEnd), test: all.slice(validEnd) };
}

/** @throws KilnError `user` for bytes that are no text, or a text without a sentence */
export function paragraphsOf(bytes: Uint8Array, name: string, form: SentenceForm): Paragraph[] {
  const text = decodeText(bytes, name);
  const paragraphs = readParagraphs(text, detectFormat(text), form);
  if (paragraphs.length === 0) {
    throw new KilnError("user", `no paragraph with a sentence was found in ${name}`, "give a longer text");
  }
  return paragraphs;
}
