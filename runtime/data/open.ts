import type { DataRequest } from "../../compiler/program/index.ts";
import type { TokenizerDescription } from "../tokenizer/index.ts";
import { type BatchMaker, createBatchMaker } from "./batch-maker.ts";
import type { BestLosses } from "./best-loss.ts";
import type { Corpus, Split } from "./corpus.ts";
import { describeTokenizer, type GivenTokenizer } from "./corpus-tokenizer.ts";
import { buildGrammar } from "./grammar.ts";
import { readSettings } from "./settings.ts";
import { type SentenceForm, sentenceForm } from "./text.ts";
import type { BatchSource } from "./types.ts";

export interface OpenOptions extends GivenTokenizer {
  /** A folder of WikiText files or a text file; left out, the corpus is drawn from the built-in grammar. */
  readonly corpus?: string;
  readonly split: Split;
  readonly seed: number;
  /** The model's vocabulary size, where the request's `vocab` does not say it: most entries of the vocabulary. */
  readonly vocabularySize?: number;
}

/** The corpus that needs no file. */
export function grammarCorpus(): Corpus {
  return { kind: "grammar", name: "generated corpus", automaton: buildGrammar() };
}

/** The corpus at a path, or without one the grammar. `form`: how the tokenizer to come reads sentences. */
export async function openCorpus(
  path: string | undefined,
  split: Split,
  form: SentenceForm,
): Promise<Corpus> {
  // Only this line touches files, and only when there is a path: without one the room runs in a browser.
  return path === undefined ? grammarCorpus() : (await import("./files.ts")).readCorpus(path, split, form);
}

/** Reads what `options` names and prepares it, in this thread. */
export async function openMaker(request: DataRequest, options: OpenOptions): Promise<BatchMaker> {
  const { corpus: path, ...rest } = options;
  const form = sentenceForm(describeTokenizer(readSettings(request), options));
  return createBatchMaker(request, { ...rest, corpus: await openCorpus(path, options.split, form) });
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
