// In. A program's data request, and a corpus: a folder of WikiText files, a text file, shards of a larger one, or none (generated).
// Out. Seeded batches, field by field, prepared ahead in a thread; a vocabulary; fields for a text to encode.
// Assumes. Node for files and threads; `createBatchMaker` and what it needs run anywhere. A vocabulary fits in memory.
// Guarantees. Batch i depends on corpus, settings, seed and i alone; each mistake of a person is a KilnError.
// Start reading at. batch-maker.ts; large corpora: prepared/prepare.ts; the corpus's best loss: pair-posterior.ts.
export { type BatchMaker, type BatchMakerOptions, createBatchMaker } from "./batch-maker.ts";
export type { BestLosses, Estimate } from "./best-loss.ts";
export type { Corpus, Split } from "./corpus.ts";
export { type GivenTokenizer, trainTokenizer, vocabularySource } from "./corpus-tokenizer.ts";
export { type EncodedInput, encodeText } from "./encode-text.ts";
export { fetchWikiText2 } from "./fetch.ts";
export type { FetchResult } from "./fetch-archive.ts";
export { grammarText } from "./grammar-text.ts";
export type { Columns } from "./labelled/parse-labelled.ts";
export { grammarCorpus, type OpenOptions, openCorpus, openMaker, sourceOf } from "./open.ts";
export { openBatches } from "./open-batches.ts";
export { type HeldOutShares, type Manifest, totalsOf } from "./prepared/manifest.ts";
export { findSources, hasSplitFiles, isPrepared, prepareCorpus, readManifest } from "./prepared/node-only.ts";
export {
  isPreparedFrom,
  type Prepared,
  type PrepareOptions,
  type PreparePlan,
  planOf,
  type TokenizerPlan,
  tokenizerKey,
  usualShardBytes,
  usualShares,
} from "./prepared/plan.ts";
export type { Sources } from "./prepared/sources.ts";
export {
  decodeText,
  detectFormat,
  type Paragraph,
  readParagraphs,
  type SentenceForm,
  sentenceForm,
  type TextFormat,
} from "./text.ts";
export type { Batch, BatchSource } from "./types.ts";
