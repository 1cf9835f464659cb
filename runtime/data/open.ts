import type { DataRequest } from "../../compiler/program/index.ts";
import { type TokenizerDescription, wordsTokenizer } from "../tokenizer/index.ts";
import { type BatchMaker, createBatchMaker } from "./batch-maker.ts";
import type { BestLosses } from "./best-loss.ts";
import type { Corpus, Split } from "./corpus.ts";
import { buildGrammar } from "./grammar.ts";
import { sentenceForm } from "./text.ts";
import type { BatchSource } from "./types.ts";

export interface OpenOptions {
  /** A folder of WikiText files or a text file; left out, the corpus is drawn from the built-in grammar. */
  readonly corpus?: string;
  readonly split: Split;
  readonly seed: number;
  /** The model's vocabulary size, where the request's `vocab` does not say it: most entries of the vocabulary. */
  readonly vocabularySize?: number;
  /** A vocabulary to use as it is (a checkpoint's), instead of counting one on the training split. */
  readonly vocabulary?: readonly string[];
  /** What reads text with that vocabulary, whatever the request's `tokenizer` says. Absent: words. */
  readonly tokenizer?: TokenizerDescription;
}

/** The corpus that needs no file. */
export function grammarCorpus(): Corpus {
  return { kind: "grammar", name: "generated corpus", automaton: buildGrammar() };
}

/** Reads what `options` names and prepares it, in this thread. */
export async function openMaker(request: DataRequest, options: OpenOptions): Promise<BatchMaker> {
  const { corpus: path, ...rest } = options;
  const form = sentenceForm(options.tokenizer ?? wordsTokenizer);
  // Only this line touches files, and only when there is a path: without one the room runs in a browser.
  const corpus =
    path === undefined
      ? grammarCorpus()
      : await (await import("./files.ts")).readCorpus(path, options.split, form);
  return createBatchMaker(request, { ...rest, corpus });
}

/** A source that makes each batch when it is asked for, in this thread: for tests and browsers. */
export function sourceOf(maker: BatchMaker): BatchSource {
  let at = 0;
  return {
    ...describeSource(describeMaker(maker)),
    next: async () => maker.make(at++),
    seek(index) {
      at = index;
    },
    close: async () => {},
  };
}

/** What a maker knows, as plain data: it travels between threads. */
export interface MakerDescription {
  readonly vocabulary: readonly string[];
  readonly tokenizer: TokenizerDescription;
  readonly summary: string;
  readonly best?: BestLosses;
}

export function describeMaker(maker: BatchMaker): MakerDescription {
  const { vocabulary, tokenizer, summary } = maker;
  const best = maker.best();
  return { vocabulary, tokenizer, summary, ...(best !== undefined && { best }) };
}

/** The parts of a source that never change. */
export function describeSource({
  vocabulary,
  tokenizer,
  summary,
  best,
}: MakerDescription): Omit<BatchSource, "next" | "seek" | "close"> {
  return {
    vocabulary,
    tokenizer,
    summary,
    ...(best !== undefined && {
      bestMaskedLanguageModelLoss: best.maskedLanguageModel.mean,
      bestLosses: best,
    }),
  };
}
