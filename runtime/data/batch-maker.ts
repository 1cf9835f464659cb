import type { DataRequest } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import type { Tokenizer, TokenizerDescription } from "../tokenizer/index.ts";
import { startDistributions } from "./automaton.ts";
import { type BestLosses, estimateBestLosses, type MaskedPair } from "./best-loss.ts";
import { runningText, windowCount, writeWindow } from "./causal-text.ts";
import {
  type Corpus,
  type EncodedText,
  encodeEpochs,
  type Split,
  splitNumber,
  type TextEpochs,
  wordIds,
} from "./corpus.ts";
import { type GivenTokenizer, openTokenizer, vocabularySource } from "./corpus-tokenizer.ts";
import { createOrders, exampleAt, keepTwo } from "./example-order.ts";
import { fillPairs, fillWindows } from "./fill-batch.ts";
import { createPairInference } from "./pair-posterior.ts";
import {
  drawPairs,
  type ExampleRow,
  maskTokens,
  predictionCount,
  type SentencePairs,
  writePair,
} from "./pretraining-pairs.ts";
import { randomAt, stream } from "./random.ts";
import { isLabelled, type PairSettings, readSettings, type TextSettings } from "./settings.ts";
import type { Batch } from "./types.ts";

export interface BatchMakerOptions extends GivenTokenizer {
  readonly corpus: Corpus;
  readonly split: Split;
  readonly seed: number;
  /** The model's vocabulary size, where the request's `vocab` does not say it: most entries of the vocabulary. */
  readonly vocabularySize?: number;
  /** Labelled data: the classes by id as they are (a checkpoint's). */
  readonly labels?: readonly string[];
  /** Labelled data: the examples once, in their own order; rows that no example is left for have weight 0. */
  readonly once?: boolean;
}

/** Makes any batch of a run, in any order. */
export interface BatchMaker {
  readonly vocabulary: readonly string[];
  readonly tokenizer: TokenizerDescription;
  readonly summary: string;
  /** Labelled data: the classes by id. */
  readonly labels?: readonly string[];
  /** Batches that show every example of the split; absent where it has no end. */
  readonly batchesInPass?: number;
  /** The best losses that can be reached: computed (some 0.3 s) for pairs of words from a grammar, unknown for all else. */
  best(): BestLosses | undefined;
  /** Batch `index`: a pure function of the corpus, the settings, the seed and `index`. */
  make(index: number): Batch;
}

/** Examples that a grammar draws for one epoch: pairs, or windows of running text. */
const freshExamples = { pairs: 4096, windows: 1024 } as const;
/** Examples that the best loss is estimated on; gives a standard error near 0.012 nats. */
const estimateExamples = 1024;

/**
 * The synchronous source of batches that everything else wraps: no files, no threads, no clock.
 *
 * Examples form one endless row: each epoch in an order of its own, one epoch after the other; batch i takes
 * examples i * batch and on. So an epoch's last partial batch is filled from the next epoch, since a
 * compiled program has fixed shapes, and no example is lost.
 * @throws KilnError (`user`) for settings that cannot work and for a corpus without a usable example
 */
export function createBatchMaker(request: DataRequest, options: BatchMakerOptions): BatchMaker {
  const settings = readSettings(request);
  if (isLabelled(settings))
    throw new KilnError("usage", `${settings.kind} reads labelled examples: use \`createLabelledMaker\``);
  const limit = settings.vocabularySize ?? options.vocabularySize;
  const tokenizer = openTokenizer(vocabularySource(options.corpus), settings, options, limit);
  const epochs = encodeEpochs(options.corpus, tokenizer, options.seed, options.split);
  const maker =
    settings.kind === "PretrainingPairs"
      ? createPairMaker(settings, tokenizer, epochs, options)
      : createTextMaker(settings, tokenizer, epochs, options);
  return {
    ...maker,
    make(index) {
      if (!Number.isSafeInteger(index) || index < 0) {
        throw new KilnError("usage", `there is no batch ${index}: batches are counted from 0`);
      }
      return maker.make(index);
    },
  };
}

function createPairMaker(
  settings: PairSettings,
  tokenizer: Tokenizer,
  epochs: TextEpochs,
  options: BatchMakerOptions,
): BatchMaker {
  const { batch, maxLength, predictions } = settings;
  const { seed, split, corpus } = options;
  const draw = (text: EncodedText, epoch: number): SentencePairs =>
    drawPairs(
      text,
      maxLength,
      settings.nextSentence,
      randomAt(seed, stream.nextSentence, splitNumber[split], epoch),
    );

  /** The pairs of an epoch: those of a file always the same; a grammar draws paragraphs until there are enough. */
  const pairsOf = keepTwo((epoch): { readonly text: EncodedText; readonly pairs: SentencePairs } => {
    if (!epochs.fresh) {
      const text = epochs.text(0, 0);
      return { text, pairs: draw(text, 0) };
    }
    for (let paragraphs = freshExamples.pairs / 4 + 1; ; paragraphs *= 2) {
      const text = epochs.text(epoch, paragraphs);
      const pairs = draw(text, epoch);
      // Where not one fits, more paragraphs would not help.
      const count = Math.min(pairs.count, freshExamples.pairs);
      if (count === 0 || count === freshExamples.pairs) return { text, pairs: { ...pairs, count } };
    }
  });
  const fixed = pairsOf(0);
  const count = fixed.pairs.count;
  if (count === 0) throw noPairs(corpus, split, fixed.text, maxLength);
  const of = epochs.fresh ? pairsOf : () => fixed;
  const orderOf = createOrders(count, options);

  /** Writes example `ordinal` of an epoch; returns its valid length and number of predictions. */
  const write = (row: ExampleRow, epoch: number, ordinal: number) => {
    const { text, pairs } = of(epoch);
    const a = sentence(text, pairs.first[ordinal]!);
    const b = sentence(text, pairs.second[ordinal]!);
    const length = writePair(row, a, b, tokenizer);
    const maskEpoch = settings.masking === "static" && !epochs.fresh ? 0 : epoch;
    const random = randomAt(seed, stream.mask, splitNumber[split], maskEpoch, ordinal);
    const predicted = maskTokens(row, length, tokenizer, random);
    return { length, predicted, firstLength: a.length, next: pairs.next[ordinal]! };
  };

  const make = (index: number): Batch =>
    fillPairs(settings, index, (row, place) => {
      const { epoch, ordinal } = exampleAt(place, count, orderOf);
      return write(row, epoch, ordinal);
    });

  let best: BestLosses | undefined;
  return {
    vocabulary: tokenizer.tokens,
    tokenizer: tokenizer.description,
    summary: `${describe(corpus, split, fixed.text, tokenizer)}, ${count} pairs${epochLength(epochs, count, batch)}`,
    best: () => {
      best ??= estimate();
      return best;
    },
    make,
  };

  function estimate(): BestLosses | undefined {
    // The posterior is over the words of the grammar: of pieces of them it says nothing.
    if (corpus.kind !== "grammar" || tokenizer.description.kind !== "words") return undefined;
    const { automaton } = corpus;
    const infer = createPairInference({
      automaton,
      starts: startDistributions(automaton),
      wordIds: wordIds(automaton, tokenizer),
      maskId: tokenizer.mask,
      vocabularySize: tokenizer.tokens.length,
      nextShare: settings.nextSentence ? 0.5 : 1,
    });
    const examples: MaskedPair[] = [];
    const order = orderOf(0);
    for (let k = 0; k < Math.min(count, estimateExamples); k++) {
      const row = emptyRow(maxLength, predictions);
      const { length, predicted, firstLength } = write(row, 0, order[k]!);
      examples.push(maskedPair(row, length, firstLength, predicted));
    }
    return estimateBestLosses(infer, examples, batch);
  }
}

function emptyRow(maxLength: number, predictions: number): ExampleRow {
  return {
    tokens: new Int32Array(maxLength),
    segments: new Int32Array(maxLength),
    positions: new Int32Array(predictions),
    labels: new Int32Array(predictions),
    weights: new Float32Array(predictions),
  };
}

/** An example without its special tokens: `a` starts at position 1, `b` after the <sep> between. */
export function maskedPair(
  row: ExampleRow,
  length: number,
  firstLength: number,
  predicted: number,
): MaskedPair {
  const seam = firstLength + 1;
  const place = (position: number): number => position - (position < seam ? 1 : 2);
  const words = [...row.tokens.subarray(1, seam), ...row.tokens.subarray(seam + 1, length - 1)];
  return {
    words,
    firstLength,
    chosen: predictionCount(length, row.positions.length),
    places: [...row.positions.subarray(0, predicted)].map(place),
    labels: [...row.labels.subarray(0, predicted)],
  };
}

function sentence(text: EncodedText, index: number): Int32Array {
  return text.tokens.subarray(text.sentenceStarts[index]!, text.sentenceStarts[index + 1]!);
}

function createTextMaker(
  settings: TextSettings,
  tokenizer: Tokenizer,
  epochs: TextEpochs,
  options: BatchMakerOptions,
): BatchMaker {
  const { batch, maxLength } = settings;
  const { corpus, split } = options;
  const runningOf = keepTwo((epoch) => {
    let paragraphs = 64;
    for (;;) {
      const text = epochs.text(epoch, paragraphs);
      const running = runningText(text, tokenizer);
      const enough = freshExamples.windows * maxLength + 1;
      if (!epochs.fresh) return { text, running };
      if (running.length >= enough) return { text, running: running.slice(0, enough) };
      paragraphs *= 2;
    }
  });
  const fixed = runningOf(0);
  if (fixed.running.length < 2) throw tooShort(corpus, split, "it has no two words in a row");
  const count = windowCount(fixed.running, maxLength);
  const of = epochs.fresh ? runningOf : () => fixed;
  const orderOf = createOrders(count, options);
  return {
    vocabulary: tokenizer.tokens,
    tokenizer: tokenizer.description,
    summary: `${describe(corpus, split, fixed.text, tokenizer)}, ${count} windows${epochLength(epochs, count, batch)}`,
    best: () => undefined,
    make: (index) =>
      fillWindows(settings, index, (row, place) => {
        const { epoch, ordinal } = exampleAt(place, count, orderOf);
        return writeWindow(row, of(epoch).running, ordinal, tokenizer);
      }),
  };
}

function describe(corpus: Corpus, split: Split, text: EncodedText, tokenizer: Tokenizer): string {
  const paragraphs = text.paragraphStarts.length - 1;
  const sentences = text.sentenceStarts.length - 1;
  return (
    `${corpus.name}, ${split}: ${paragraphs} paragraphs, ${sentences} sentences, ${text.tokens.length} tokens, ` +
    `vocabulary ${tokenizer.tokens.length}${tokenizer.description.kind === "words" ? "" : " word pieces"}`
  );
}

function epochLength(epochs: TextEpochs, count: number, batch: number): string {
  const batches = (count / batch).toFixed(1).replace(".0", "");
  return ` (${batches} batches an epoch${epochs.fresh ? ", every epoch drawn afresh" : ""})`;
}

function tooShort(corpus: Corpus, split: Split, why: string): KilnError {
  return new KilnError(
    "user",
    `the ${split} part of ${corpus.name} is too short: ${why}`,
    "give a longer text, or leave out --corpus for the generated one",
  );
}

function noPairs(corpus: Corpus, split: Split, text: EncodedText, maxLength: number): KilnError {
  const pairs = text.sentenceStarts.length - text.paragraphStarts.length;
  if (corpus.kind === "text" && pairs <= 0) {
    return tooShort(corpus, split, "no paragraph has two sentences");
  }
  return new KilnError(
    "user",
    `no pair of sentences of ${corpus.name} fits into max_len ${maxLength}`,
    "set a larger max_len",
  );
}
