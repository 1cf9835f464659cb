import type { ModelSummary } from "../../compiler/index.ts";
import type { OnnxModel } from "../../compiler/onnx/index.ts";
import { printConfig } from "../../runtime/huggingface/index.ts";
import { Failure } from "../failure.ts";
import { describeModel } from "../huggingface/describe-model.ts";

/** What the config of an exported model is made of. */
export interface ConfigSources {
  readonly spec: string;
  readonly summary: ModelSummary;
  readonly model: OnnxModel;
  readonly padTokenId: number;
  /** Names of the classes, separated by commas; "" numbers them. */
  readonly labelNames: string;
  /** Whether the parameters stand in a file of their own. */
  readonly external: boolean;
}

/**
 * The `config.json` by which transformers.js knows how to run `onnx/model.onnx`, for a model that takes what BERT takes; else
 * undefined. The graph is complete in itself, so of a BERT of another layout only the type and the sizes are told.
 * @see https://huggingface.co/docs/transformers.js, `transformers.js_config`
 */
export function transformersJsConfig(sources: ConfigSources): string | undefined {
  const { model, external } = sources;
  const takes = new Set(model.inputs.map((input) => input.name));
  if (!takes.has("input_ids") || !takes.has("attention_mask")) return undefined;
  const config = {
    ...bertConfig(sources),
    "transformers.js_config": {
      // There is no other: browsers would ask for a quantized one.
      dtype: "fp32",
      ...(external && { use_external_data_format: { "model.onnx": 1 } }),
    },
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

function bertConfig({
  spec,
  summary,
  model,
  padTokenId,
  labelNames,
}: ConfigSources): Readonly<Record<string, unknown>> {
  try {
    const text = printConfig(describeModel(spec, summary, labelNames), padTokenId);
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) return { ...parsed };
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
  }
  const hidden = model.outputs.find((output) => output.name === "last_hidden_state")?.shape.at(-1);
  const longest = model.dynamic.find((size) => size.name === "sequence")?.most;
  const classes = model.outputs.find((output) => output.name === "logits")?.shape.at(-1);
  const labels = labelNames.split(",").map((label) => label.trim());
  return {
    model_type: "bert",
    pad_token_id: padTokenId,
    ...(typeof hidden === "number" && { hidden_size: hidden }),
    ...(longest !== undefined && { max_position_embeddings: longest }),
    ...(labels.length === classes && { id2label: Object.fromEntries(labels.entries()) }),
  };
}
