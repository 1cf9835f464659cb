/** A text, or a pair of texts, with a class. */
export interface LabelledText {
  readonly texts: readonly [string] | readonly [string, string];
  readonly label: string;
}

/** A text as words with a class each. */
export interface LabelledWords {
  readonly words: readonly string[];
  /** As many as words. */
  readonly labels: readonly string[];
}

export type LabelledExample = LabelledText | LabelledWords;

/** A split of a labelled corpus. */
export interface LabelledSplit {
  readonly examples: readonly LabelledExample[];
  /** Examples without a label, left out. */
  readonly unlabelled: number;
}

/** The split asked for, and the training split, from which labels and words are known. */
export interface LabelledCorpus {
  /** What to call it in messages. */
  readonly name: string;
  readonly split: LabelledSplit;
  readonly train: LabelledSplit;
  /** The classes by id, where the corpus knows their order; else they are those of the training split, sorted. */
  readonly labels?: readonly string[];
}

export function textsOf(example: LabelledExample): readonly string[] {
  return "texts" in example ? example.texts : example.words;
}

export function labelsOf(example: LabelledExample): readonly string[] {
  return "texts" in example ? [example.label] : example.labels;
}
