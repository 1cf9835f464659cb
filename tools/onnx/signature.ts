import type { InputRole, OnnxSignature } from "../../compiler/onnx/index.ts";

/** Readers of the runtime (`runtime/data`): what their fields mean is known, whatever the model does with them. */
const readers: ReadonlySet<string> = new Set([
  "PretrainingPairs",
  "Classification",
  "TokenClassification",
  "CausalText",
]);

/** Names and meanings as optimum and transformers.js have them. */
const inputs: Readonly<Record<string, InputRole>> = {
  tokens: { kind: "renamed", name: "input_ids" },
  segments: { kind: "renamed", name: "token_type_ids" },
  // The padding stands at the right: what counts is how many tokens there are.
  valid: { kind: "count", name: "attention_mask", like: "tokens" },
  // Logits for every token, not for the masked ones alone.
  positions: { kind: "every", like: "tokens" },
};

const outputs: Readonly<Record<string, string>> = { encoded: "last_hidden_state", pooled: "pooler_output" };

/**
 * What a model's inputs and outputs are called in the world, if a reader of Kiln's feeds it; else as the spec has them.
 * @param dataKind of the `data` line
 * @param wanted names of outputs and heads that are exported: the only one that is no vector is called `logits`
 */
export function worldSignature(dataKind: string, wanted: readonly string[]): OnnxSignature {
  if (!readers.has(dataKind)) return { inputs: {}, outputs: {}, sizes: {} };
  const others = wanted.filter((name) => !Object.hasOwn(outputs, name));
  const [only, second] = others;
  return {
    inputs,
    outputs: { ...outputs, ...(only !== undefined && second === undefined && { [only]: "logits" }) },
    sizes: { batch: "batch", max_len: "sequence" },
  };
}
