import type { DataRequest } from "../../../compiler/program/index.ts";
import type { TokenizerDescription } from "../../tokenizer/index.ts";
import { describeTokenizer, type GivenTokenizer, sizeToTrain } from "../corpus-tokenizer.ts";
import { readSettings } from "../settings.ts";
import type { HeldOutShares, Manifest } from "./manifest.ts";
import type { Sources } from "./sources.ts";

/** Where the tokenizer comes from: it is there, or its vocabulary is made from the training split. */
export type TokenizerPlan =
  | {
      readonly kind: "given";
      readonly description: TokenizerDescription;
      readonly vocabulary: readonly string[];
    }
  | {
      readonly kind: "words";
      readonly minFrequency: number;
      /** Most entries; undefined: no limit. */
      readonly vocabularySize: number | undefined;
    }
  | { readonly kind: "wordpiece"; readonly minFrequency: number; readonly vocabularySize: number };

export interface PreparePlan {
  readonly tokenizer: TokenizerPlan;
  readonly shares: HeldOutShares;
}

/** Bytes of tokens a shard: 4 million tokens of 2 bytes, some 25 MB of text. */
export const usualShardBytes = 2 ** 23;
export const usualShares: HeldOutShares = { valid: 0.05, test: 0.05 };

export interface PrepareOptions extends PreparePlan {
  /** Bytes of tokens a shard. */
  readonly shardBytes: number;
  /** Replace a prepared corpus that is there already. */
  readonly force: boolean;
  /** Once it is aborted, the work ends with its reason and leaves nothing. */
  readonly signal: AbortSignal;
  /** Called with every MiB or so. `totalBytes`: of the text, once for each time it is read. */
  readonly onProgress: (doing: string, doneBytes: number, totalBytes: number) => void;
}

export interface Prepared {
  readonly manifest: Manifest;
  /** Files of a folder with splits that belong to none. */
  readonly leftOut: readonly string[];
  /** Words were forgotten up to this count while they were counted; 0: the counts are exact. */
  readonly forgotten: number;
}

/** What a made vocabulary depends on beside the text and the shares. */
export function tokenizerKey(plan: TokenizerPlan): string {
  if (plan.kind === "given") return "given";
  const { kind, vocabularySize, minFrequency } = plan;
  return `${kind}, vocab ${vocabularySize ?? "any"}, min_frequency ${minFrequency}`;
}

/** Whether `prepareCorpus` would write the same again: the files are as they were, and the tokenizer is the same. */
export function isPreparedFrom(
  manifest: Manifest,
  sources: Sources,
  { tokenizer, shares }: PreparePlan,
): boolean {
  const isSameTokenizer =
    tokenizer.kind === "given"
      ? isTokenizerOf(manifest, tokenizer.description, tokenizer.vocabulary)
      : manifest.made === tokenizerKey(tokenizer);
  return (
    isSameTokenizer &&
    manifest.shares.valid === shares.valid &&
    manifest.shares.test === shares.test &&
    JSON.stringify(manifest.sources) === JSON.stringify(sourceEntries(sources))
  );
}

/** Whether the ids of a prepared corpus are those of this tokenizer. */
export function isTokenizerOf(
  manifest: Pick<Manifest, "tokenizer" | "vocabulary">,
  description: TokenizerDescription,
  vocabulary: readonly string[],
): boolean {
  return (
    vocabulary.length === manifest.vocabulary.length &&
    vocabulary.every((token, id) => token === manifest.vocabulary[id]) &&
    hasSameFields(description, manifest.tokenizer)
  );
}

/** Equality of plain data, whatever the order of fields. */
function hasSameFields(a: object, b: object): boolean {
  const inB = new Map<string, unknown>(Object.entries(b));
  const inA = Object.entries(a);
  return (
    inA.length === inB.size &&
    inA.every(([key, value]: [string, unknown]) => {
      const other = inB.get(key);
      return typeof value === "object" && value !== null && typeof other === "object" && other !== null
        ? hasSameFields(value, other)
        : value === other;
    })
  );
}

/**
 * The plan that a spec's data line and a tokenizer that is there come to.
 * @throws KilnError `user` for word pieces without a size, and for settings that cannot work
 */
export function planOf(request: DataRequest, given: GivenTokenizer): TokenizerPlan {
  const settings = readSettings(request);
  const { minFrequency, vocabularySize } = settings;
  if (given.vocabulary !== undefined) {
    return { kind: "given", description: describeTokenizer(settings, given), vocabulary: given.vocabulary };
  }
  if (settings.tokenizer === "words") return { kind: "words", minFrequency, vocabularySize };
  return { kind: "wordpiece", minFrequency, vocabularySize: sizeToTrain(settings, vocabularySize) };
}

/** Sources as a manifest names them. */
export function sourceEntries({ files }: Sources): Manifest["sources"] {
  return files.map(({ name, bytes, modifiedMs }) => ({ name, bytes, modifiedMs }));
}
