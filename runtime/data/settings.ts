import type { DataRequest } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import type { TokenizerDescription } from "../tokenizer/index.ts";

/** Share of an example's tokens that is predicted. */
export const maskRate = 0.15;

export type TokenizerKind = TokenizerDescription["kind"];

/** The settings of `PretrainingPairs`. */
export interface PairSettings {
  readonly kind: "PretrainingPairs";
  /** Sentence pairs a batch. */
  readonly batch: number;
  /** Tokens an example, padding included; longer pairs are dropped. */
  readonly maxLength: number;
  /** Prediction slots an example. */
  readonly predictions: number;
  /** The corpus's words, or word pieces of a vocabulary that is trained on it. */
  readonly tokenizer: TokenizerKind;
  /** Words seen less often become <unk>; of word pieces: those side by side less often are not joined. */
  readonly minFrequency: number;
  /** Most entries of the vocabulary (the model's `vocab`); undefined: no limit. */
  readonly vocabularySize: number | undefined;
  /** `static`: an example has the same masks in every epoch (the book); `dynamic`: new ones each epoch. */
  readonly masking: "static" | "dynamic";
  /** Whether half of the second sentences are random; otherwise all are true. */
  readonly nextSentence: boolean;
}

/** The settings of `CausalText`. */
export interface TextSettings {
  readonly kind: "CausalText";
  /** Windows a batch. */
  readonly batch: number;
  /** Tokens a window. */
  readonly maxLength: number;
  readonly tokenizer: TokenizerKind;
  readonly minFrequency: number;
  readonly vocabularySize: number | undefined;
}

/** The settings of `Classification` and `TokenClassification`. */
export interface LabelledSettings {
  readonly kind: "Classification" | "TokenClassification";
  /** Examples a batch. */
  readonly batch: number;
  /** Tokens an example, padding included; longer ones are cut. */
  readonly maxLength: number;
  readonly classes: number;
  /** By id; empty where the data says. */
  readonly labelNames: readonly string[];
  /** What the training split's vocabulary is made of, where none is given. */
  readonly tokenizer: "words" | "wordpiece";
  readonly minFrequency: number;
  readonly vocabularySize: number | undefined;
}

export type DataSettings = PairSettings | TextSettings | LabelledSettings;

export function isLabelled(settings: DataSettings): settings is LabelledSettings {
  return settings.kind === "Classification" || settings.kind === "TokenClassification";
}

/** Python's `round`: a half goes to the even neighbour. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const known: Readonly<Record<DataSettings["kind"], readonly string[]>> = {
  PretrainingPairs: [
    ...["batch", "max_len", "predictions", "min_frequency", "masking", "next_sentence", "vocab", "tokenizer"],
  ],
  CausalText: ["batch", "max_len", "min_frequency", "vocab", "tokenizer"],
  Classification: ["batch", "max_len", "classes", "label_names", "min_frequency", "vocab", "tokenizer"],
  TokenClassification: ["batch", "max_len", "classes", "label_names", "min_frequency", "vocab", "tokenizer"],
};

function isKnown(kind: string): kind is DataSettings["kind"] {
  return Object.hasOwn(known, kind);
}

/**
 * Reads the settings of a spec's `data` line. Left out, `vocab` is 0 (no limit), `tokenizer` words, `min_frequency` is 5, `masking` static, `next_sentence` true and
 * `predictions` round(0.15 * max_len), as in the book.
 * @throws KilnError (`user`) for a reader or a setting that does not exist, and for values out of range
 */
export function readSettings(request: DataRequest): DataSettings {
  const { kind } = request;
  if (!isKnown(kind)) {
    throw new KilnError(
      "user",
      `there is no corpus reader named \`${kind}\``,
      `readers: ${Object.keys(known).join(", ")}`,
    );
  }
  for (const name of Object.keys(request.settings)) {
    if (!known[kind].includes(name)) {
      throw new KilnError(
        "user",
        `${kind} has no setting \`${name}\``,
        `settings: ${known[kind].join(", ")}`,
      );
    }
  }
  const batch = wholeNumber(request, "batch", 1);
  const minFrequency = wholeNumber(request, "min_frequency", 1, 5);
  const vocab = wholeNumber(request, "vocab", 0, 0);
  const tokenizer = oneOf(request, "tokenizer", ["words", "wordpiece"], "words");
  const vocabularySize = vocab === 0 ? undefined : vocab;
  if (kind === "CausalText") {
    const maxLength = wholeNumber(request, "max_len", 1);
    return { kind, batch, maxLength, tokenizer, minFrequency, vocabularySize };
  }
  if (kind === "Classification" || kind === "TokenClassification") {
    const names = String(request.settings.label_names ?? "").split(",");
    return {
      kind,
      batch,
      maxLength: wholeNumber(request, "max_len", kind === "Classification" ? 5 : 3),
      classes: wholeNumber(request, "classes", 1),
      labelNames: names.map((name) => name.trim()).filter((name) => name !== ""),
      tokenizer,
      minFrequency: wholeNumber(request, "min_frequency", 1, 1),
      vocabularySize,
    };
  }
  // The shortest pair, one word each, has five tokens.
  const maxLength = wholeNumber(request, "max_len", 5);
  const predictions = Math.max(1, roundHalfEven(maskRate * maxLength));
  return {
    kind,
    batch,
    maxLength,
    predictions: wholeNumber(request, "predictions", 1, predictions),
    tokenizer,
    minFrequency,
    vocabularySize,
    masking: oneOf(request, "masking", ["static", "dynamic"], "static"),
    nextSentence: oneOf(request, "next_sentence", ["true", "false"], "true") === "true",
  };
}

function wholeNumber(request: DataRequest, name: string, least: number, otherwise?: number): number {
  const given = request.settings[name] ?? otherwise;
  if (given === undefined) throw new KilnError("user", `${request.kind} needs the setting \`${name}\``);
  const value = Number(given);
  if (!Number.isSafeInteger(value) || value < least || given === "") {
    throw new KilnError(
      "user",
      `\`${name}\` of ${request.kind} must be a whole number of at least ${least}, not ${JSON.stringify(given)}`,
    );
  }
  return value;
}

/** A word among few; the numbers 0 and 1 stand for false and true. */
function oneOf<const T extends string>(
  request: DataRequest,
  name: string,
  choices: readonly T[],
  otherwise: T,
): T {
  const given = request.settings[name] ?? otherwise;
  const text = given === 0 ? "false" : given === 1 ? "true" : String(given);
  const found = choices.find((choice) => choice === text);
  if (found === undefined) {
    throw new KilnError(
      "user",
      `\`${name}\` of ${request.kind} must be ${choices.join(" or ")}, not ${JSON.stringify(given)}`,
    );
  }
  return found;
}
