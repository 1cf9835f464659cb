/**
 * Fixture names are Flax paths (`encoder.blocks_0.attention.query.kernel`); parameters of a spec are paths of its layer
 * instances (`encoder.blocks.0.attention.query.weight`). Modules by their path in the fixture, layers of a block counted:
 */
const modules: Readonly<Record<string, string>> = {
  "encoder.token_embedding": "encoder.token",
  "encoder.segment_embedding": "encoder.segment",
  "encoder.position_embedding": "encoder.position",
  "encoder.embedding_norm": "encoder.norm",
  "encoder.blocks_#.attention.query": "encoder.blocks.#.attention.query",
  "encoder.blocks_#.attention.key": "encoder.blocks.#.attention.key",
  "encoder.blocks_#.attention.value": "encoder.blocks.#.attention.value",
  "encoder.blocks_#.attention.output": "encoder.blocks.#.attention.output",
  "encoder.blocks_#.attention_norm": "encoder.blocks.#.attention_norm",
  "encoder.blocks_#.ffn_in": "encoder.blocks.#.feed_forward.inner",
  "encoder.blocks_#.ffn_out": "encoder.blocks.#.feed_forward.outer",
  "encoder.blocks_#.ffn_norm": "encoder.blocks.#.output_norm",
  mlm_dense: "masked_lm.dense",
  mlm_norm: "masked_lm.norm",
  mlm_decoder: "masked_lm.decoder",
  nsp_hidden: "pooler.dense",
  nsp_output: "next_sentence.classifier",
};

/** Parameters of a module: Flax's words and the library's. */
const leaves: Readonly<Record<string, string>> = { kernel: "weight", embedding: "weight", bias: "bias" };
const normLeaves: Readonly<Record<string, string>> = { scale: "gamma", bias: "beta" };

/** @throws Error if the fixture has a parameter that this map does not know */
export function specName(fixtureName: string): string {
  if (fixtureName === "mlm_bias") return "masked_lm.bias";
  const dot = fixtureName.lastIndexOf(".");
  const path = fixtureName.slice(0, dot);
  const leaf = fixtureName.slice(dot + 1);
  const index = /blocks_(\d+)/.exec(path)?.[1] ?? "";
  const module = modules[path.replace(/blocks_\d+/, "blocks_#")]?.replace("#", index);
  const parameter = (path.endsWith("_norm") ? normLeaves : leaves)[leaf];
  if (module === undefined || parameter === undefined) throw new Error(`no spec name for ${fixtureName}`);
  return `${module}.${parameter}`;
}
