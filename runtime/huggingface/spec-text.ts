import type { HeadedConfig } from "./config.ts";

/** What a spec says beside its model. */
interface Training {
  readonly data: string;
  /** Fields of the `data` line and their values, in its order. */
  readonly fields: readonly (readonly [string, string])[];
  readonly minimize: string;
  /** Settings of the data beside `max_len` and `batch`. */
  readonly settings: readonly (readonly [string, string])[];
  readonly learningRate: string;
}

/** Longest text that is trained on by default: attention is quadratic in it. */
const usualLength = 128;

/**
 * A spec of an imported model, formatted as `fmt` does: every number a setting, and a training that goes on from the
 * imported weights with what Devlin et al. 2019 use.
 * @param config of a class with heads
 * @param from what the first comment says the model is
 * @param tokenizer which kind of it the model reads text with
 */
export function specText(config: HeadedConfig, from: string, tokenizer: "words" | "wordpiece"): string {
  const training = trainingOf(config, tokenizer);
  const hasMaskedLm =
    config.architecture === "BertForPreTraining" || config.architecture === "BertForMaskedLM";
  const classes = config.labels.length;
  const settings: readonly (readonly [string, string])[] = [
    ["vocab: int", String(config.vocab)],
    ...(classes > 0 ? [["classes: int", String(classes)] as const] : []),
    ["hidden: int", String(config.hidden)],
    ["layers: int", String(config.layers)],
    ["heads: int", String(config.heads)],
    ["ffn: int", String(config.ffn)],
    ["max_positions: int", String(config.positions)],
    ["max_len: int", String(Math.min(config.positions, usualLength))],
    ["batch: int", "32"],
    ...training.settings,
    ["dropout: float", floatText(config.dropout)],
    ["steps: int", "1000"],
    ["learning_rate: float", training.learningRate],
    ["warmup: int", "floor(steps / 10)"],
  ];
  const model = [
    "vocab: vocab",
    ...(classes > 0 ? ["classes: classes"] : []),
    ...["hidden: hidden", "layers: layers", "heads: heads", "ffn: ffn", "max_len: max_positions"],
    `dropout: dropout`,
    `activation: "${config.activation}"`,
    `eps: ${floatText(config.eps)}`,
    "embedding_norm: true",
    ...(hasMaskedLm ? [`tied: ${config.tied}`] : []),
    `std: ${floatText(config.initializerRange)}`,
    `embedding_std: ${floatText(config.initializerRange)}`,
  ];
  const optimizer = [
    "lr: warmup_linear(peak: learning_rate, warmup: warmup, total: steps)",
    ...["eps: 1e-6", "weight_decay: 0.01"],
    'exclude: ["*.bias", "*.gamma", "*.beta"]',
  ];
  const data = training.fields.map(([name, value]) => `${name}: ${value}`);
  return [
    `// ${from}`,
    'import "lib/bert.bert"',
    'import "lib/data.bert"',
    "",
    ...settings.map(([name, value]) => `setting ${name} = ${value}`),
    "",
    wrapped(`model Imported = ${config.architecture}(`, model),
    "",
    "train Imported {",
    wrapped(`  data      ${training.data}(`, data),
    `  minimize  ${training.minimize}`,
    wrapped("  optimizer adamw(", optimizer),
    "  clip      global_norm(1.0)",
    "  steps     steps",
    "}",
    "",
  ].join("\n");
}

function trainingOf(
  { architecture, positions, labels }: HeadedConfig,
  tokenizer: "words" | "wordpiece",
): Training {
  const length = Math.min(positions, usualLength);
  const size: readonly (readonly [string, string])[] = [
    ["batch", "batch"],
    ["max_len", "max_len"],
  ];
  switch (architecture) {
    case "BertForPreTraining":
    case "BertForMaskedLM": {
      const pairs = architecture === "BertForPreTraining";
      return {
        data: "PretrainingPairs",
        fields: [
          ...size,
          ["predictions", "predictions"],
          ["min_frequency", "1"],
          ["vocab", "vocab"],
          ...(pairs ? [] : [["next_sentence", "false"] as const]),
          ...(tokenizer === "words" ? [] : [["tokenizer", stringText(tokenizer)] as const]),
        ],
        minimize: pairs ? "mlm + nsp" : "mlm",
        settings: [["predictions: int", String(Math.max(1, Math.round(0.15 * length)))]],
        learningRate: "1e-4",
      };
    }
    case "BertForSequenceClassification":
    case "BertForTokenClassification": {
      const names = labelNames(labels) ?? "";
      return {
        data: architecture === "BertForSequenceClassification" ? "Classification" : "TokenClassification",
        fields: [
          ...size,
          ["classes", "classes"],
          ...(names === "" ? [] : [["label_names", stringText(names)] as const]),
        ],
        minimize: "classification",
        settings: [],
        learningRate: "3e-5",
      };
    }
    default:
      return architecture satisfies never;
  }
}

/**
 * Names of classes as `label_names` of a `data` declaration has them: separated by commas, "" for classes that are just numbered.
 * @returns undefined for names that no such list can hold
 */
export function labelNames(labels: readonly string[]): string | undefined {
  if (labels.every((label, id) => label === `LABEL_${id}`)) return "";
  const fit = labels.every((label) => label !== "" && label.trim() === label && !/[,\p{Cc}]/u.test(label));
  return fit ? labels.join(",") : undefined;
}

function stringText(text: string): string {
  return `"${text.replace(/["\\{}]/g, (character) => `\\${character}`)}"`;
}

/** A number as the language writes a float. */
function floatText(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

const lineWidth = 110;

/** A call, its arguments broken into lines that begin below the first one. */
function wrapped(start: string, args: readonly string[]): string {
  const lines: string[] = [];
  let line = start;
  args.forEach((argument, at) => {
    const text = `${argument}${at < args.length - 1 ? "," : ")"}`;
    const isFirst = line === start || line.trim() === "";
    if (!isFirst && line.length + 1 + text.length > lineWidth) {
      lines.push(line);
      line = `${" ".repeat(start.length)}${text}`;
    } else line += isFirst ? text : ` ${text}`;
  });
  return [...lines, line].join("\n");
}
