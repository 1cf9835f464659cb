import type { Program } from "../compiler/program/index.ts";
import type { Checkpoint } from "../runtime/checkpoint/index.ts";
import type { EncodedInput } from "../runtime/data/index.ts";
import type { Console } from "./console.ts";
import { Failure } from "./failure.ts";

/** The length the model was compiled for: the last axis of its `tokens`. @throws Failure for a model without */
export function tokenLimit(program: Program): number {
  const limit = program.inputs.find((input) => input.name === "tokens")?.shape.at(-1);
  if (limit === undefined) {
    throw new Failure(1, {
      message: `\`${program.name}\` takes no \`tokens\`: there is nothing to encode a text into`,
    });
  }
  return limit;
}

/**
 * A person's text as the model's input, read as the checkpoint's run read its corpus; words that it does not know are said.
 * @throws KilnError `user` for a text that is empty or too long
 */
export async function encodeForModel(
  checkpoint: Checkpoint,
  text: string,
  second: string | undefined,
  limit: number,
  console: Console,
): Promise<EncodedInput> {
  const { encodeText } = await import("../runtime/data/index.ts");
  const { createTokenizer, wordsTokenizer } = await import("../runtime/tokenizer/index.ts");
  const tokenizer = createTokenizer(checkpoint.tokenizer ?? wordsTokenizer, checkpoint.vocabulary);
  const input = encodeText(tokenizer, text, second, limit);
  if (input.unknown.length > 0) {
    const unknown = tokenizer.tokens[tokenizer.unknown];
    console.note(`not in the vocabulary, read as ${unknown}: ${[...new Set(input.unknown)].join(", ")}`);
  }
  return input;
}
