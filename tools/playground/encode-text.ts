import { compile } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import { encodeText } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createTokenizer, wordsTokenizer } from "../../runtime/tokenizer/index.ts";
import { createEncoder } from "../../runtime/train/index.ts";
import { SpecError } from "./failure.ts";
import type { Encoded } from "./messages.ts";
import { carriedSources, problemsOf } from "./spec-sources.ts";

/**
 * A vector for every token of a text or a pair, by a checkpoint: as the command `encode`.
 * @throws KilnError `user` for a text that is empty or too long, or a model without such an output
 */
export async function encodeWith(
  checkpoint: Checkpoint,
  kiln: KilnDevice,
  text: string,
  second: string | undefined,
): Promise<Encoded> {
  const program = compileEncoder(checkpoint, kiln);
  const length = program.inputs.find((input) => input.name === "tokens")?.shape.at(-1);
  if (length === undefined)
    throw new KilnError(
      "user",
      `\`${program.name}\` takes no \`tokens\`: there is nothing to encode a text into`,
    );
  const tokenizer = createTokenizer(checkpoint.tokenizer ?? wordsTokenizer, checkpoint.vocabulary);
  const input = encodeText(tokenizer, text, second, length);
  const encoder = await createEncoder(program, kiln, checkpoint);
  try {
    const outputs = Object.entries(await encoder.encode(input.fields)).filter(
      ([, { shape }]) => shape.length === 3 && shape[0] === 1 && shape[1] === length,
    );
    const [, found] = outputs.find(([name]) => name === "encoded") ?? outputs[0] ?? [];
    if (found === undefined)
      throw new KilnError("user", "no output of the model has a vector for every token");
    const hidden = found.shape[2] ?? 0;
    return {
      tokens: input.tokens,
      shape: [input.tokens.length, hidden],
      vectors: input.tokens.map((_, at) => Array.from(found.data.subarray(at * hidden, (at + 1) * hidden))),
    };
  } finally {
    encoder.dispose();
  }
}

function compileEncoder(checkpoint: Checkpoint, kiln: KilnDevice): Program {
  const path = checkpoint.sources[0]?.path ?? "spec.bert";
  const result = compile(path, {
    ...carriedSources(checkpoint.sources, checkpoint.overrides),
    profile: kiln.profile,
    ...(checkpoint.precision !== undefined && { precision: checkpoint.precision }),
    data: { batch: 1 },
    entries: ["encode"],
  });
  if (result.program === undefined) throw new SpecError(problemsOf(path, result));
  return result.program;
}
