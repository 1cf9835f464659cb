import { KilnError } from "../errors.ts";
import {
  buildVocabulary,
  countTokens,
  createTokenizer,
  createWordCounter,
  type Tokenizer,
  type TokenizerDescription,
  trainWordPiece,
  uncasedWordPiece,
  type WordPieceTraining,
  wordsTokenizer,
} from "../tokenizer/index.ts";
import { drawParagraphs } from "./automaton.ts";
import type { Corpus } from "./corpus.ts";
import { randomAt, stream } from "./random.ts";
import type { DataSettings } from "./settings.ts";

/** A vocabulary that is there already, and what reads text with it. */
export interface GivenTokenizer {
  /** A vocabulary to use as it is (a checkpoint's, a file's), instead of making one from the training split. */
  readonly vocabulary?: readonly string[];
  /** What reads text with that vocabulary, whatever the request's `tokenizer` says. Absent: words. */
  readonly tokenizer?: TokenizerDescription;
}

/** What a vocabulary is made from. */
export interface VocabularySource {
  /** How often each word occurs. */
  wordCounts(): ReadonlyMap<string, number>;
  /** Texts with how often they count, for pieces of words. */
  texts(): Iterable<readonly [text: string, count: number]>;
  /** All words there are, however rare: none is left out for its frequency. */
  readonly isClosed: boolean;
}

/** The training split of a corpus. */
export function vocabularySource(corpus: Corpus): VocabularySource {
  if (corpus.kind === "grammar") {
    const counts = countGrammar(corpus);
    return { wordCounts: () => counts, texts: () => counts, isClosed: true };
  }
  return {
    wordCounts: () => countTokens(corpus.vocabularyParagraphs),
    texts: () => corpus.vocabularyParagraphs.flat().map((sentence) => [sentence, 1] as const),
    isClosed: false,
  };
}

/** How the sentences of a corpus will be read: known before its vocabulary is. */
export function describeTokenizer(
  settings: Pick<DataSettings, "tokenizer">,
  given: GivenTokenizer,
): TokenizerDescription {
  if (given.vocabulary !== undefined) return given.tokenizer ?? wordsTokenizer;
  return settings.tokenizer === "words" ? wordsTokenizer : uncasedWordPiece;
}

/**
 * The tokenizer for a corpus or labelled data: the given one, or one whose vocabulary is made from the training split.
 * @param limit most entries of the vocabulary: the model's vocabulary size; undefined: not known
 * @throws KilnError `user` for a vocabulary larger than the limit, and for a corpus that none can be made from
 */
export function openTokenizer(
  source: VocabularySource,
  settings: DataSettings,
  given: GivenTokenizer,
  limit: number | undefined,
): Tokenizer {
  const description = describeTokenizer(settings, given);
  if (given.vocabulary !== undefined) {
    const { length } = given.vocabulary;
    if (limit !== undefined && length > limit) {
      throw new KilnError(
        "user",
        `the vocabulary has ${length} entries, and the model takes ${limit}`,
        `set vocab to ${length} or more`,
      );
    }
    return createTokenizer(description, given.vocabulary);
  }
  const { minFrequency } = settings;
  if (description.kind === "words") {
    // A grammar's words are known: all enter, however few were drawn, so that every seed has the same vocabulary.
    const vocabulary = buildVocabulary(source.wordCounts(), source.isClosed ? 1 : minFrequency, limit);
    return createTokenizer(description, vocabulary);
  }
  return trainTokenizer(source, { description, vocabularySize: sizeToTrain(settings, limit), minFrequency });
}

/** @throws KilnError `user` where nothing says how large a vocabulary of word pieces is to be */
export function sizeToTrain({ kind }: Pick<DataSettings, "kind">, limit: number | undefined): number {
  if (limit !== undefined) return limit;
  throw new KilnError(
    "user",
    `a WordPiece vocabulary is trained to a size, and the data line of ${kind} says none`,
    "set `vocab` in the data line to the model's vocabulary size",
  );
}

/**
 * A WordPiece tokenizer whose vocabulary is trained on the training split of a corpus.
 * @throws KilnError `user` when the size leaves no room for pieces
 */
export function trainTokenizer(source: VocabularySource, training: WordPieceTraining): Tokenizer {
  const counter = createWordCounter(training.description);
  for (const [text, count] of source.texts()) counter.add(text, count);
  return createTokenizer(training.description, trainWordPiece(counter.counts, training));
}

/** How often each word occurs in one fixed draw, and once more: which words stay under a limit must not depend on the seed. */
function countGrammar({ automaton }: Corpus & { readonly kind: "grammar" }): Map<string, number> {
  const { words } = automaton;
  const counts = new Map(words.map((word) => [word, 1]));
  const drawn = drawParagraphs(automaton, randomAt(0, stream.grammar));
  for (let i = 0; i < 1000; i++) {
    for (const word of drawn.next().value.flat()) counts.set(words[word]!, counts.get(words[word]!)! + 1);
  }
  return counts;
}
