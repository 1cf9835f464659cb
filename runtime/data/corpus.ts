import type { Tokenizer, Vocabulary } from "../tokenizer/index.ts";
import type { Automaton } from "./automaton.ts";
import { drawParagraphs } from "./automaton.ts";
import { randomAt, stream } from "./random.ts";
import type { Paragraph } from "./text.ts";

export type Split = "train" | "valid" | "test";

/** Number of a split in the keys of random streams. */
export const splitNumber: Readonly<Record<Split, number>> = { train: 0, valid: 1, test: 2 };

/** Where text comes from: read, or drawn without end from a grammar. */
export type Corpus =
  | {
      readonly kind: "text";
      /** What to call it in messages. */
      readonly name: string;
      readonly paragraphs: readonly Paragraph[];
      /** The training split, which the vocabulary is counted on. Sentences of both are as the tokenizer reads them. */
      readonly vocabularyParagraphs: readonly Paragraph[];
    }
  | { readonly kind: "grammar"; readonly name: string; readonly automaton: Automaton };

/** Text as ids. Sentence s is tokens[sentenceStarts[s] .. sentenceStarts[s + 1] - 1]; paragraphs hold sentences likewise. */
export interface EncodedText {
  readonly tokens: Int32Array;
  readonly sentenceStarts: Int32Array;
  readonly paragraphStarts: Int32Array;
}

/** The texts of the epochs: the same one again and again for a file, a fresh one each time for a grammar. */
export interface TextEpochs {
  readonly fresh: boolean;
  /**
   * The text of an epoch.
   * @param paragraphs how many of them a fresh text shall have; a longer one begins with the shorter one
   */
  text(epoch: number, paragraphs: number): EncodedText;
}

export function encodeEpochs(corpus: Corpus, tokenizer: Tokenizer, seed: number, split: Split): TextEpochs {
  if (corpus.kind === "text") {
    const encoded = encodeParagraphs(corpus.paragraphs, tokenizer);
    return { fresh: false, text: () => encoded };
  }
  const { automaton } = corpus;
  const ids = automaton.words.map((word) => tokenizer.encodeSentence(word));
  return {
    fresh: true,
    text(epoch, count) {
      const collect = createCollector();
      let left = count;
      const random = randomAt(seed, stream.grammar, splitNumber[split], epoch);
      for (const sentences of drawParagraphs(automaton, random)) {
        if (left-- === 0) break;
        for (const sentence of sentences) collect.sentence(sentence.flatMap((word) => ids[word]!));
        collect.endParagraph();
      }
      return collect.text();
    },
  };
}

/** Ids of an automaton's words in a vocabulary of words. */
export function wordIds(automaton: Automaton, vocabulary: Pick<Vocabulary, "ids" | "unknown">): Int32Array {
  return Int32Array.from(automaton.words, (word) => vocabulary.ids.get(word) ?? vocabulary.unknown);
}

function encodeParagraphs(paragraphs: readonly Paragraph[], tokenizer: Tokenizer): EncodedText {
  const collect = createCollector();
  for (const paragraph of paragraphs) {
    for (const sentence of paragraph) {
      collect.sentence(tokenizer.encodeSentence(sentence));
    }
    collect.endParagraph();
  }
  return collect.text();
}

function createCollector() {
  const tokens: number[] = [];
  const sentenceStarts = [0];
  const paragraphStarts = [0];
  return {
    sentence(ids: readonly number[]): void {
      for (const id of ids) tokens.push(id);
      sentenceStarts.push(tokens.length);
    },
    endParagraph(): void {
      paragraphStarts.push(sentenceStarts.length - 1);
    },
    text: (): EncodedText => ({
      tokens: Int32Array.from(tokens),
      sentenceStarts: Int32Array.from(sentenceStarts),
      paragraphStarts: Int32Array.from(paragraphStarts),
    }),
  };
}
