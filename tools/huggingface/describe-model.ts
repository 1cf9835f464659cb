import type { ModelSummary } from "../../compiler/index.ts";
import type { Shape } from "../../compiler/program/index.ts";
import {
  type Activation,
  type Architecture,
  type HeadedConfig,
  partsOf,
  tensorPairs,
} from "../../runtime/huggingface/index.ts";
import { Failure } from "../failure.ts";

/**
 * What a spec's model would be in Hugging Face's words: its class by the heads that it has parameters of, sizes by the shapes of
 * parameters, the rest by the arguments that the model was made with. This is a guess until the graphs are compared.
 * @param labelNames of the classes, separated by commas; "" numbers them
 * @throws Failure for a model with parameters that no BERT of transformers has, or without some that it has
 */
export function describeModel(spec: string, summary: ModelSummary, labelNames: string): HeadedConfig {
  const shapes = new Map(summary.params.map(({ name, shape }) => [name, shape]));
  const [vocab, hidden] = shapes.get("encoder.token.weight") ?? [];
  const [positions] = shapes.get("encoder.position.weight") ?? [];
  const [, ffn] = shapes.get("encoder.blocks.0.feed_forward.inner.weight") ?? [];
  if (vocab === undefined || hidden === undefined || positions === undefined || ffn === undefined) {
    throw notBert(spec, [
      "it has no `encoder` that is a BertEncoder of lib/bert.bert (encoder.token.weight, encoder.position.weight, encoder.blocks)",
    ]);
  }
  const classes = shapes.get("classifier.bias")?.[0];
  const config: HeadedConfig = {
    architecture: architectureOf(spec, shapes),
    vocab,
    hidden,
    layers: layersOf(shapes),
    heads: numberOf(spec, summary, "heads"),
    ffn,
    positions,
    activation: activationOf(spec, summary),
    eps: numberOf(spec, summary, "eps"),
    dropout: numberOf(spec, summary, "dropout"),
    tied: !shapes.has("masked_lm.decoder.weight"),
    initializerRange: deviationOf(summary),
    labels: classes === undefined ? [] : labelsOf(spec, labelNames, classes),
  };
  checkParameters(spec, config, shapes);
  return config;
}

function notBert(spec: string, reasons: readonly string[], hint?: string): Failure {
  return new Failure(1, {
    message: `${spec} describes no BERT that transformers has: ${reasons.length === 1 ? reasons[0] : reasons.map((reason) => `\n  ${reason}`).join("")}`,
    file: spec,
    ...(hint !== undefined && { hint }),
  });
}

function architectureOf(spec: string, shapes: ReadonlyMap<string, Shape>): Architecture {
  const has = (part: string) => [...shapes.keys()].some((name) => name.startsWith(`${part}.`));
  const heads = ["masked_lm", "pooler", "next_sentence", "classifier"].filter(has);
  const known: Readonly<Record<string, Architecture>> = {
    "masked_lm pooler next_sentence": "BertForPreTraining",
    masked_lm: "BertForMaskedLM",
    "pooler classifier": "BertForSequenceClassification",
    classifier: "BertForTokenClassification",
  };
  const found = known[heads.join(" ")];
  if (found !== undefined) return found;
  throw notBert(
    spec,
    [`its heads are ${heads.length === 0 ? "none" : heads.join(", ")}`],
    `transformers has ${Object.entries(known)
      .map(([parts, name]) => `${name} (${parts.replaceAll(" ", ", ")})`)
      .join(", ")}`,
  );
}

function layersOf(shapes: ReadonlyMap<string, Shape>): number {
  const numbers = [...shapes.keys()].map((name) => Number(/^encoder\.blocks\.(\d+)\./.exec(name)?.[1] ?? -1));
  return Math.max(...numbers) + 1;
}

function numberOf(spec: string, { model }: ModelSummary, name: string): number {
  const value = model.arguments[name];
  if (typeof value === "number") return value;
  throw noArgument(spec, model.declaration, name);
}

const activations: readonly Activation[] = ["relu", "gelu", "gelu_tanh", "silu", "tanh"];

function activationOf(spec: string, { model }: ModelSummary): Activation {
  const value = model.arguments.activation;
  const found = activations.find((activation) => activation === value);
  if (found === undefined) throw noArgument(spec, model.declaration, "activation");
  return found;
}

function noArgument(spec: string, declaration: string, name: string): Failure {
  return new Failure(1, {
    message: `the model \`${declaration}\` has no parameter \`${name}\`: the config of an exported model takes it from there`,
    file: spec,
    hint: `give \`${declaration}\` the parameter \`${name}\`, as the models of lib/bert.bert have it, and hand it on to the encoder`,
  });
}

/** Fresh weights of another head are drawn with it; Glorot's, which has no number, becomes BERT's own. */
function deviationOf({ model }: ModelSummary): number {
  const { std } = model.arguments;
  return typeof std === "number" && std > 0 ? std : 0.02;
}

function labelsOf(spec: string, names: string, classes: number): readonly string[] {
  if (names === "") return Array.from({ length: classes }, (_, id) => `LABEL_${id}`);
  const labels = names.split(",").map((name) => name.trim());
  if (labels.length === classes) return labels;
  throw new Failure(1, {
    message: `\`label_names\` names ${labels.length} classes, the model has ${classes}`,
    file: spec,
  });
}

/** Parameters by name and shape: a BERT of transformers has exactly these. */
function checkParameters(spec: string, config: HeadedConfig, shapes: ReadonlyMap<string, Shape>): void {
  const pairs = tensorPairs(config, partsOf[config.architecture]);
  const wanted = new Map(pairs.map(({ kiln, shape }) => [kiln, shape]));
  const text = (shape: Shape) => `[${shape.join(", ")}]`;
  const missing = [...wanted].filter(([name]) => !shapes.has(name)).map(([name]) => name);
  const surplus = [...shapes.keys()].filter((name) => !wanted.has(name));
  const other = [...wanted].flatMap(([name, shape]) => {
    const own = shapes.get(name);
    return own === undefined || text(own) === text(shape)
      ? []
      : [`\`${name}\` is ${text(own)}, not ${text(shape)}`];
  });
  const reasons = [
    ...missing.map((name) => `it has no \`${name}\``),
    ...surplus.map((name) => `a ${config.architecture} has no \`${name}\``),
    ...other,
  ];
  if (reasons.length === 0) return;
  const normIsMissing = missing.some((name) => name.startsWith("encoder.norm."));
  throw notBert(
    spec,
    reasons,
    normIsMissing
      ? "BERT normalises its embeddings: make the model with `embedding_norm: true`, and train it again"
      : undefined,
  );
}
