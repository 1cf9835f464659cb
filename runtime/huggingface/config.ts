import { KilnError } from "../errors.ts";
import { isRecord, parseJsonObject } from "./json.ts";

/** The classes of `transformers` that have a model of the library, `models/lib/bert.bert`. */
export const architectures = [
  "BertForPreTraining",
  "BertForMaskedLM",
  "BertForSequenceClassification",
  "BertForTokenClassification",
] as const;
export type Architecture = (typeof architectures)[number];

/** What `activate` of `models/lib/math.bert` takes. */
export type Activation = "relu" | "gelu" | "gelu_tanh" | "silu" | "tanh";

/** A BERT as both sides can describe it: Hugging Face's `BertConfig` in the words of `models/lib/bert.bert`. */
export interface BertConfig {
  /** `BertModel` has no heads: imported, it becomes a BertForPreTraining whose heads are fresh. */
  readonly architecture: Architecture | "BertModel";
  /** Rows of the token embedding. */
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  /** Rows of the position embedding. */
  readonly positions: number;
  readonly activation: Activation;
  readonly eps: number;
  readonly dropout: number;
  /** Whether the masked-LM decoder is the token embedding. */
  readonly tied: boolean;
  /** Standard deviation of fresh weights. */
  readonly initializerRange: number;
  /** Names of the classes by id; none where there is no classifier. */
  readonly labels: readonly string[];
}

/** Of a class with heads, all of which are models of the library. */
export interface HeadedConfig extends BertConfig {
  readonly architecture: Architecture;
}

/** Names of `transformers`' `ACT2FN` that the library has; the first of each value is the one written. */
const activations: ReadonlyMap<string, Activation> = new Map([
  ["gelu", "gelu"],
  ["relu", "relu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["silu", "silu"],
  ["swish", "silu"],
  ["tanh", "tanh"],
]);

/** Bounds on sizes, so that a number that makes no sense is told before anything is made of it. */
const largest = { size: 2 ** 24, layers: 512, labels: 10_000 };

/**
 * Reads a `config.json`.
 * @param path for messages
 * @returns the model, and what a person should know of it that is no mistake
 * @throws KilnError `user` with everything in it that Kiln cannot follow
 */
export function parseConfig(
  text: string,
  path: string,
): { readonly config: BertConfig; readonly notes: readonly string[] } {
  const json = parseJsonObject(text, path);
  const reader = new ConfigReader(json);
  const architecture = reader.architecture();
  const hasClasses =
    architecture === "BertForSequenceClassification" || architecture === "BertForTokenClassification";
  const config: BertConfig = {
    architecture,
    vocab: reader.wholeNumber("vocab_size", largest.size),
    hidden: reader.wholeNumber("hidden_size", largest.size),
    layers: reader.wholeNumber("num_hidden_layers", largest.layers),
    heads: reader.wholeNumber("num_attention_heads", largest.size),
    ffn: reader.wholeNumber("intermediate_size", largest.size),
    positions: reader.wholeNumber("max_position_embeddings", largest.size),
    activation: reader.activation(),
    eps: reader.number("layer_norm_eps", 1e-12, 0, 1),
    dropout: reader.number("hidden_dropout_prob", 0.1, 0, 0.999),
    tied: reader.choice("tie_word_embeddings", [true, false], true),
    initializerRange: reader.number("initializer_range", 0.02, 1e-8, 1000),
    labels: hasClasses ? reader.labels() : [],
  };
  reader.refuseOthers(architecture);
  const { hidden, heads } = config;
  if (heads > 0 && hidden % heads !== 0)
    reader.problems.push(`\`hidden_size\` (${hidden}) is no multiple of \`num_attention_heads\` (${heads})`);
  if (reader.problems.length > 0) {
    const [only] = reader.problems;
    const list = reader.problems.map((problem) => `\n  ${problem}`).join("");
    throw new KilnError(
      "user",
      `${path} describes a model that Kiln cannot import: ${reader.problems.length === 1 ? only : list}`,
    );
  }
  return { config, notes: reader.notes(config.dropout) };
}

/** Takes fields out of a config, collecting what is wrong with them. A wrong number is read as 1. */
class ConfigReader {
  readonly problems: string[] = [];
  readonly #json: Readonly<Record<string, unknown>>;

  constructor(json: Readonly<Record<string, unknown>>) {
    this.#json = json;
  }

  architecture(): BertConfig["architecture"] {
    const { architectures: named, model_type: type } = this.#json;
    if (type !== undefined && type !== "bert")
      this.problems.push(`\`model_type\` is ${JSON.stringify(type)}; "bert" is what Kiln imports`);
    // A config of a BertModel may leave its class out.
    const name: unknown = named === undefined || named === null ? "BertModel" : firstOf(named);
    const found = [...architectures, "BertModel" as const].find((known) => known === name);
    if (found === undefined)
      this.problems.push(
        `\`architectures\` is ${JSON.stringify(named)}; Kiln has BertModel, ${architectures.join(", ")}`,
      );
    return found ?? "BertModel";
  }

  wholeNumber(name: string, most: number): number {
    const value = this.#json[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
    this.problems.push(`\`${name}\` is ${shown(value)}; it must be a whole number from 1 to ${most}`);
    return 1;
  }

  number(name: string, otherwise: number, least: number, most: number): number {
    const value = this.#json[name] ?? otherwise;
    if (typeof value === "number" && value >= least && value <= most) return value;
    this.problems.push(`\`${name}\` is ${shown(value)}; it must be a number from ${least} to ${most}`);
    return otherwise;
  }

  choice<T extends string | boolean>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.#json[name] ?? otherwise;
    const found = choices.find((choice) => choice === value);
    if (found === undefined)
      this.problems.push(
        `\`${name}\` is ${shown(value)}; Kiln has ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`,
      );
    return found ?? otherwise;
  }

  activation(): Activation {
    const name = this.choice("hidden_act", [...activations.keys()], "gelu");
    return activations.get(name) ?? "gelu";
  }

  /** `id2label`, or as many names as `num_labels` says; two without either, as in `transformers`. */
  labels(): readonly string[] {
    const { id2label, num_labels: count = 2 } = this.#json;
    if (id2label === undefined || id2label === null) {
      const number =
        typeof count === "number" && Number.isInteger(count) && count <= largest.labels ? count : 0;
      if (number < 2) this.problems.push(`\`num_labels\` is ${shown(count)}: no number of classes`);
      return Array.from({ length: number }, (_, id) => `LABEL_${id}`);
    }
    const entries = isRecord(id2label) ? Object.entries(id2label) : [];
    const names = new Map(
      entries.flatMap(([id, name]) => (typeof name === "string" ? [[Number(id), name]] : [])),
    );
    const ordered = Array.from({ length: Math.min(names.size, largest.labels) }, (_, id) => names.get(id));
    const found = ordered.filter((name) => name !== undefined);
    if (found.length < 2 || found.length !== entries.length) {
      this.problems.push(
        `\`id2label\` is ${shown(id2label)}; it must name two classes or more, by the ids 0, 1, ...`,
      );
    }
    return found;
  }

  /** Settings that change what is computed, in ways that the library's layers do not know. */
  refuseOthers(architecture: BertConfig["architecture"]): void {
    this.choice("position_embedding_type", ["absolute"], "absolute");
    this.choice("is_decoder", [false], false);
    this.choice("add_cross_attention", [false], false);
    const segments = this.#json.type_vocab_size ?? 2;
    if (segments !== 2)
      this.problems.push(`\`type_vocab_size\` is ${shown(segments)}; Kiln's encoder has 2 segments`);
    const pruned = this.#json.pruned_heads;
    if (isRecord(pruned) && Object.keys(pruned).length > 0)
      this.problems.push(
        "`pruned_heads` names heads that were taken out; Kiln's layers all have the same number",
      );
    if (architecture === "BertForSequenceClassification") {
      const problem = this.#json.problem_type ?? "single_label_classification";
      if (problem !== "single_label_classification")
        this.problems.push(`\`problem_type\` is ${shown(problem)}; Kiln has single_label_classification`);
    }
  }

  notes(dropout: number): readonly string[] {
    const rates = ["attention_probs_dropout_prob", "classifier_dropout"].flatMap((name) => {
      const rate = this.#json[name];
      return typeof rate === "number" && rate !== dropout ? [`${name} ${rate}`] : [];
    });
    if (rates.length === 0) return [];
    return [
      `the library has one rate of dropout, ${dropout} (hidden_dropout_prob); left behind: ${rates.join(", ")}`,
    ];
  }
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : undefined;
}

/** A value of the file, short enough for a message. */
function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/**
 * The `config.json` that `transformers` reads: what it needs, in its own order (by name).
 * @param padTokenId id of the token that stands for nothing
 */
export function printConfig(config: HeadedConfig, padTokenId: number): string {
  const [hiddenAct] = [...activations].find(([, activation]) => activation === config.activation) ?? [];
  const { labels } = config;
  return `${JSON.stringify(
    {
      architectures: [config.architecture],
      attention_probs_dropout_prob: config.dropout,
      classifier_dropout: null,
      hidden_act: hiddenAct,
      hidden_dropout_prob: config.dropout,
      hidden_size: config.hidden,
      ...(labels.length > 0 && { id2label: Object.fromEntries(labels.entries()) }),
      initializer_range: config.initializerRange,
      intermediate_size: config.ffn,
      ...(labels.length > 0 && { label2id: Object.fromEntries(labels.map((label, id) => [label, id])) }),
      layer_norm_eps: config.eps,
      max_position_embeddings: config.positions,
      model_type: "bert",
      num_attention_heads: config.heads,
      num_hidden_layers: config.layers,
      pad_token_id: padTokenId,
      position_embedding_type: "absolute",
      ...(!config.tied && { tie_word_embeddings: false }),
      torch_dtype: "float32",
      type_vocab_size: 2,
      use_cache: true,
      vocab_size: config.vocab,
    },
    undefined,
    2,
  )}\n`;
}
