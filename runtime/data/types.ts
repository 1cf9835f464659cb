import type { TokenizerDescription } from "../tokenizer/index.ts";
import type { BestLosses } from "./best-loss.ts";

/** One batch: a typed array a field, row-major, as the spec's `data` declaration names and shapes them. */
export interface Batch {
  /** Number of the batch since the start of the run, from 0. */
  readonly index: number;
  readonly fields: Readonly<Record<string, Int32Array | Float32Array>>;
  /** Examples (sentence pairs) in it that count, and their tokens without padding. */
  readonly examples: number;
  readonly validTokens: number;
}

/**
 * An endless, seeded stream of batches. Batch `i` is a pure function of corpus, settings, seed and `i`, so that
 * a resumed run reads on where it stopped by `seek(i)`.
 */
export interface BatchSource {
  /** Tokens by id. */
  readonly vocabulary: readonly string[];
  /** How text becomes those tokens. Absent: words. */
  readonly tokenizer?: TokenizerDescription;
  /** What a person should know: corpus, sentences, examples, batches an epoch. */
  readonly summary: string;
  /** Labelled data: the classes by id. */
  readonly labels?: readonly string[];
  /** Batches that show every example of the split; absent where it has no end. */
  readonly batchesInPass?: number;
  /** The best masked-LM loss any model can reach on this corpus (nats), where it can be computed. */
  readonly bestMaskedLanguageModelLoss?: number;
  /** The same with its standard error, and the best next-sentence loss. */
  readonly bestLosses?: BestLosses;
  next(): Promise<Batch>;
  seek(index: number): void;
  close(): Promise<void>;
}
