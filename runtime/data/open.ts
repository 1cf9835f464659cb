import type { DataRequest } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import type { TokenizerDescription } from "../tokenizer/index.ts";
import { type BatchMaker, createBatchMaker } from "./batch-maker.ts";
import type { BestLosses } from "./best-loss.ts";
import type { Corpus, Split } from "./corpus.ts";
import { describeTokenizer, type GivenTokenizer } from "./corpus-tokenizer.ts";
import { buildGrammar } from "./grammar.ts";
import { entailmentCorpus } from "./labelled/entailment.ts";
import type { LabelledCorpus } from "./labelled/examples.ts";
import { createLabelledMaker } from "./labelled/labelled-maker.ts";
import type { Columns } from "./labelled/parse-labelled.ts";
import { wordRolesCorpus } from "./labelled/word-roles.ts";
import { isLabelled, type LabelledSettings, readSettings } from "./settings.ts";
import { type SentenceForm, sentenceForm } from "./text.ts";
import { textCorpus } from "./text-corpus.ts";
import type { BatchSource } from "./types.ts";

export interface OpenOptions extends GivenTokenizer {
  /** A folder of WikiText files, a text file, or a folder that `prepareCorpus` wrote; left out, the corpus is drawn from the built-in grammar. */
  readonly corpus?: string;
  /** A text that is no file, as UTF-8, in place of `corpus`: what a person gave a page. */
  readonly text?: { readonly name: string; readonly bytes: Uint8Array };
  readonly split: Split;
  readonly seed: number;
  /** The model's vocabulary size, where the request's `vocab` does not say it: most entries of the vocabulary. */
  readonly vocabularySize?: number;
  /** Labelled data: the classes by id as they are (a checkpoint's). */
  readonly labels?: readonly string[];
  /** Labelled data: which columns of a file hold what. */
  readonly columns?: Columns;
  /** Labelled data: the examples once, in their own order; rows that no example is left for have weight 0. */
  readonly once?: boolean;
  /** Of a prepared corpus: bytes of shards that are shuffled together (default: 32 MiB). A resumed run needs the same. */
  readonly bufferBytes?: number;
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
  const { corpus: path, text, columns = {}, bufferBytes, ...rest } = options;
  const settings = readSettings(request);
  if (isLabelled(settings) && text !== undefined) {
    throw new KilnError(
      "user",
      `${settings.kind} reads labelled examples, and ${text.name} is a plain text`,
      "choose a spec that reads text, or leave the text out for the generated examples",
    );
  }
  if (isLabelled(settings))
    return createLabelledMaker(settings, await openLabelled(settings, path, options.split, columns), rest);
  if (path !== undefined) {
    const prepared = await import("./prepared/prepared-folder.ts");
    if (await prepared.isPrepared(path)) {
      const { createPreparedMaker, usualBufferBytes } = await import("./prepared/prepared-maker.ts");
      const corpus = { folder: path, manifest: await prepared.readManifest(path) };
      return createPreparedMaker(settings, corpus, { ...rest, bufferBytes: bufferBytes ?? usualBufferBytes });
    }
  }
  const form = sentenceForm(describeTokenizer(settings, options));
  const corpus =
    text === undefined
      ? await openCorpus(path, options.split, form)
      : textCorpus(text.bytes, text.name, options.split, form);
  return createBatchMaker(request, { ...rest, corpus });
}

/** Labelled examples of a file or folder, or the generated task of their kind. */
async function openLabelled(
  { kind, classes }: LabelledSettings,
  path: string | undefined,
  split: Split,
  columns: Columns,
): Promise<LabelledCorpus> {
  if (path !== undefined)
    return (await import("./labelled/labelled-files.ts")).readLabelled(path, split, kind, columns);
  const corpus = kind === "Classification" ? entailmentCorpus(split) : wordRolesCorpus(split);
  const labels = corpus.labels?.length ?? 0;
  if (labels <= classes) return corpus;
  throw new KilnError(
    "user",
    `the generated task has ${labels} labels, and the model ${classes} classes`,
    `set classes to ${labels}, or give labelled data with --corpus`,
  );
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
  readonly labels?: readonly string[];
  readonly batchesInPass?: number;
  readonly best?: BestLosses;
}

export function describeMaker(maker: BatchMaker): MakerDescription {
  const { vocabulary, tokenizer, summary, labels, batchesInPass } = maker;
  const best = maker.best();
  return {
    vocabulary,
    tokenizer,
    summary,
    ...(labels !== undefined && { labels }),
    ...(batchesInPass !== undefined && { batchesInPass }),
    ...(best !== undefined && { best }),
  };
}

/** The parts of a source that never change. */
export function describeSource({
  vocabulary,
  tokenizer,
  summary,
  labels,
  batchesInPass,
  best,
}: MakerDescription): Omit<BatchSource, "next" | "seek" | "close"> {
  return {
    vocabulary,
    tokenizer,
    summary,
    ...(labels !== undefined && { labels }),
    ...(batchesInPass !== undefined && { batchesInPass }),
    ...(best !== undefined && {
      bestMaskedLanguageModelLoss: best.maskedLanguageModel.mean,
      bestLosses: best,
    }),
  };
}
