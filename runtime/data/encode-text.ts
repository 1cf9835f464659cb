import { KilnError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { writePair } from "./pretraining-pairs.ts";

export interface EncodedInput {
  /** The tokens as the model sees them, special ones and the unknown one included, without padding. */
  readonly tokens: readonly string[];
  /** Words that stand as the unknown token, in order. */
  readonly unknown: readonly string[];
  /** One row: `tokens` and `segments` i32[maxLength], `valid` i32[1]. A larger batch repeats it. */
  readonly fields: Readonly<Record<"tokens" | "segments" | "valid", Int32Array>>;
}

/**
 * A person's text as model input: `<cls> a <sep>`, or `<cls> a <sep> b <sep>`, padded to `maxLength`.
 *
 * The special tokens are those of the tokenizer; a text writes none of them but the mask and the unknown one (`Tokenizer.encode`).
 * @throws KilnError (`user`) for a text without a token, and for one longer than the model takes: nothing is cut off
 */
export function encodeText(
  tokenizer: Tokenizer,
  textA: string,
  textB: string | undefined,
  maxLength: number,
): EncodedInput {
  const texts = [textA, ...(textB === undefined ? [] : [textB])];
  const sentences = texts.map((text) => Int32Array.from(tokenizer.encode(text)));
  sentences.forEach((ids, i) => {
    if (ids.length === 0) {
      throw new KilnError("user", `the ${i === 0 ? "text" : "second text"} to encode is empty`);
    }
  });
  const [a = new Int32Array(), b] = sentences;
  const length = a.length + 2 + (b === undefined ? 0 : b.length + 1);
  if (length > maxLength) {
    throw new KilnError(
      "user",
      `the text has ${length} tokens with its special ones, and the model takes ${maxLength}`,
      "shorten it, or train with a larger max_len",
    );
  }
  const fields = {
    tokens: new Int32Array(maxLength),
    segments: new Int32Array(maxLength),
    valid: Int32Array.of(length),
  };
  if (b === undefined) {
    fields.tokens.fill(tokenizer.pad);
    fields.tokens[0] = tokenizer.cls;
    fields.tokens.set(a, 1);
    fields.tokens[length - 1] = tokenizer.sep;
  } else {
    writePair(fields, a, b, tokenizer);
  }
  return {
    tokens: Array.from(fields.tokens.subarray(0, length), (id) => tokenizer.tokens[id]!),
    unknown: texts.flatMap((text) => tokenizer.unknownWords(text)),
    fields,
  };
}
