import { KilnError } from "../../errors.ts";
import { splitWords, type Tokenizer } from "../../tokenizer/index.ts";
import type { BatchMaker, BatchMakerOptions } from "../batch-maker.ts";
import { openTokenizer, type VocabularySource } from "../corpus-tokenizer.ts";
import { createOrders, exampleAt } from "../example-order.ts";
import type { LabelledSettings } from "../settings.ts";
import type { Batch } from "../types.ts";
import { chooseLabels, indexLabels } from "./class-labels.ts";
import { type EncodedExample, encodeExample, writeRow } from "./encode-examples.ts";
import { type LabelledCorpus, labelsOf, textsOf } from "./examples.ts";

type LabelledOptions = Omit<BatchMakerOptions, "corpus">;

/**
 * Batches of labelled examples: an endless row, in an order of its own each epoch; with `options.once` the examples in their
 * own order, once, and rows beyond the last with weight 0.
 *
 * Fields: tokens, segments i32 [batch, max_len], valid i32 [batch]; labels i32 and weights f32, [batch] for texts with a class,
 * [batch, max_len] for words with one each (0 for tokens that no class is asked of).
 * @throws KilnError (`user`) for an empty split, and for labels that do not fit the model's classes
 */
export function createLabelledMaker(
  settings: LabelledSettings,
  corpus: LabelledCorpus,
  options: LabelledOptions,
): BatchMaker {
  const { batch, maxLength } = settings;
  const { split, once = false } = options;
  const perToken = settings.kind === "TokenClassification";
  const { examples } = corpus.split;
  const count = examples.length;
  if (count === 0) {
    throw new KilnError(
      "user",
      `the ${split} part of ${corpus.name} has no labelled example`,
      "give a file with a label in every row",
    );
  }
  const labels = chooseLabels(settings, corpus, options.labels);
  const labelIds = indexLabels(labels, corpus);
  const limit = settings.vocabularySize ?? options.vocabularySize;
  const tokenizer = openTokenizer(vocabularySource(corpus), settings, options, limit);
  const encoded = examples.map((example) => encodeExample(example, tokenizer, labelIds, maxLength));
  const orderOf = createOrders(count, options);
  /** Example of row `place`; undefined beyond the last one of a single pass. */
  const exampleOf = (place: number): EncodedExample | undefined =>
    once ? encoded[place] : encoded[exampleAt(place, count, orderOf).ordinal];

  const make = (index: number): Batch => {
    const slots = perToken ? maxLength : 1;
    const tokens = new Int32Array(batch * maxLength);
    const segments = new Int32Array(batch * maxLength);
    const valid = new Int32Array(batch);
    const labelField = new Int32Array(batch * slots);
    const weights = new Float32Array(batch * slots);
    let filled = 0;
    let validTokens = 0;
    for (let i = 0; i < batch; i++) {
      const found = exampleOf(index * batch + i);
      // A row that counts for nothing is an example too: the model never meets one without a token.
      const example = found ?? encoded[0]!;
      const from = i * maxLength;
      const row = {
        tokens: tokens.subarray(from, from + maxLength),
        segments: segments.subarray(from, from + maxLength),
      };
      valid[i] = writeRow(row, example, tokenizer);
      if (found === undefined) continue;
      filled++;
      validTokens += valid[i]!;
      // A token's slot is its place in the row, after <cls>.
      const first = perToken ? from + 1 : i;
      labelField.set(example.labels, first);
      weights.set(example.counted, first);
    }
    const fields = { tokens, segments, valid, labels: labelField, weights };
    return { index, fields, examples: filled, validTokens };
  };

  return {
    vocabulary: tokenizer.tokens,
    tokenizer: tokenizer.description,
    labels,
    batchesInPass: Math.ceil(count / batch),
    summary: describe(corpus, settings, split, labels, encoded, tokenizer),
    best: () => undefined,
    make,
  };
}

/** The texts of the training split, whose words are those that a person's text is split into. */
function vocabularySource({ train }: LabelledCorpus): VocabularySource {
  const texts = train.examples.flatMap(textsOf);
  return {
    wordCounts() {
      const counts = new Map<string, number>();
      for (const text of texts)
        for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
      return counts;
    },
    texts: () => texts.map((text) => [text, 1] as const),
    isClosed: false,
  };
}

function describe(
  corpus: LabelledCorpus,
  { batch }: LabelledSettings,
  split: string,
  labels: readonly string[],
  encoded: readonly EncodedExample[],
  { tokens }: Tokenizer,
): string {
  const counts = new Map(labels.map((label) => [label, 0]));
  for (const label of corpus.split.examples.flatMap(labelsOf))
    counts.set(label, (counts.get(label) ?? 0) + 1);
  const shown = [...counts].slice(0, 8).map(([label, count]) => `${label} ${count}`);
  const more = counts.size > shown.length ? `, and ${counts.size - shown.length} more labels` : "";
  const cut = encoded.filter(({ isCut }) => isCut).length;
  const notes = [
    ...(corpus.split.unlabelled > 0 ? [`${corpus.split.unlabelled} without a label left out`] : []),
    ...(cut > 0 ? [`${cut} longer than the model takes and cut`] : []),
  ];
  const batches = (encoded.length / batch).toFixed(1).replace(".0", "");
  return (
    `${corpus.name}, ${split}: ${encoded.length} examples (${shown.join(", ")}${more}), vocabulary ${tokens.length}, ` +
    `${batches} batches an epoch${notes.map((note) => `; ${note}`).join("")}`
  );
}
