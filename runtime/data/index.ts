// In. A program's data request, and a corpus: a folder of WikiText files, a text file, or none (a generated one).
// Out. Seeded batches, field by field, prepared ahead in a thread; a vocabulary; fields for a text to encode.
// Assumes. Node for files and threads; `createBatchMaker` and what it needs run anywhere. Vocabulary and pairs fit in memory.
// Guarantees. Batch i depends on corpus, settings, seed and i alone; each mistake of a person is a KilnError.
// Start reading at. batch-maker.ts; the corpus's best loss: pair-posterior.ts.
export { type BatchMaker, type BatchMakerOptions, createBatchMaker } from "./batch-maker.ts";
export type { BestLosses, Estimate } from "./best-loss.ts";
export type { Corpus, Split } from "./corpus.ts";
export { type GivenTokenizer, trainTokenizer, vocabularySource } from "./corpus-tokenizer.ts";
export { type EncodedInput, encodeText } from "./encode-text.ts";
export { fetchWikiText2 } from "./fetch.ts";
export type { FetchResult } from "./fetch-archive.ts";
export type { Columns } from "./labelled/parse-labelled.ts";
export { grammarCorpus, type OpenOptions, openCorpus, openMaker, sourceOf } from "./open.ts";
export { openBatches } from "./open-batches.ts";
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
