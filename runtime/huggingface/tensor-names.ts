import type { BertConfig } from "./config.ts";

/** A part of a BERT that a class of `transformers` has or has not. */
export type Part = "encoder" | "pooler" | "masked_lm" | "next_sentence" | "classifier";

/** One parameter under both names. */
export interface TensorPair {
  readonly part: Part;
  /** In a spec that uses `models/lib/bert.bert`. */
  readonly kiln: string;
  /** In a checkpoint of a class with heads; a BertModel's has no `bert.` before it. */
  readonly huggingFace: string;
  /** Kiln's. Hugging Face's is the reverse where `transposed`. */
  readonly shape: readonly number[];
  /** PyTorch keeps the matrix of a linear layer as [out, in], for x Wᵀ. */
  readonly transposed: boolean;
  /**
   * Hugging Face's next-sentence class 0 is "follows", Kiln's batches call it 1: the head's two outputs change places,
   * so that labels mean the same on either side.
   */
  readonly reversed: boolean;
}

/** Parts of a class, in the order of its modules. */
export const partsOf: Readonly<Record<BertConfig["architecture"], readonly Part[]>> = {
  BertForPreTraining: ["encoder", "masked_lm", "pooler", "next_sentence"],
  BertForMaskedLM: ["encoder", "masked_lm"],
  BertForSequenceClassification: ["encoder", "pooler", "classifier"],
  BertForTokenClassification: ["encoder", "classifier"],
  BertModel: ["encoder", "pooler"],
};

/** Every parameter of the given parts, in the order of the spec. */
export function tensorPairs(config: BertConfig, parts: readonly Part[]): readonly TensorPair[] {
  const makers: Readonly<Record<Part, (config: BertConfig) => readonly TensorPair[]>> = {
    encoder: encoderPairs,
    masked_lm: maskedLmPairs,
    pooler: ({ hidden }) => linear("pooler", "pooler.dense", "bert.pooler.dense", hidden, hidden),
    next_sentence: ({ hidden }) =>
      linear("next_sentence", "next_sentence.classifier", "cls.seq_relationship", hidden, 2).map((pair) => ({
        ...pair,
        reversed: true,
      })),
    classifier: ({ hidden, labels }) =>
      linear("classifier", "classifier", "classifier", hidden, labels.length),
  };
  return parts.flatMap((part) => makers[part](config));
}

function encoderPairs({ vocab, hidden, ffn, positions, layers }: BertConfig): readonly TensorPair[] {
  const table = (kiln: string, huggingFace: string, rows: number) =>
    same("encoder", `encoder.${kiln}.weight`, `bert.embeddings.${huggingFace}.weight`, [rows, hidden]);
  const blocks = Array.from({ length: layers }, (_, n) => {
    const [ours, theirs] = [`encoder.blocks.${n}`, `bert.encoder.layer.${n}`];
    const dense = (kiln: string, huggingFace: string, from: number, to: number) =>
      linear("encoder", `${ours}.${kiln}`, `${theirs}.${huggingFace}`, from, to);
    return [
      ...dense("attention.query", "attention.self.query", hidden, hidden),
      ...dense("attention.key", "attention.self.key", hidden, hidden),
      ...dense("attention.value", "attention.self.value", hidden, hidden),
      ...dense("attention.output", "attention.output.dense", hidden, hidden),
      ...norm("encoder", `${ours}.attention_norm`, `${theirs}.attention.output.LayerNorm`, hidden),
      ...dense("feed_forward.inner", "intermediate.dense", hidden, ffn),
      ...dense("feed_forward.outer", "output.dense", ffn, hidden),
      ...norm("encoder", `${ours}.output_norm`, `${theirs}.output.LayerNorm`, hidden),
    ];
  });
  return [
    table("token", "word_embeddings", vocab),
    table("segment", "token_type_embeddings", 2),
    table("position", "position_embeddings", positions),
    ...norm("encoder", "encoder.norm", "bert.embeddings.LayerNorm", hidden),
    ...blocks.flat(),
  ];
}

function maskedLmPairs({ vocab, hidden, tied }: BertConfig): readonly TensorPair[] {
  const [ours, theirs] = ["masked_lm", "cls.predictions"];
  const bias = tied ? "bias" : "decoder.bias";
  return [
    ...linear("masked_lm", `${ours}.dense`, `${theirs}.transform.dense`, hidden, hidden),
    ...norm("masked_lm", `${ours}.norm`, `${theirs}.transform.LayerNorm`, hidden),
    ...(tied
      ? []
      : [
          {
            ...same("masked_lm", `${ours}.decoder.weight`, `${theirs}.decoder.weight`, [hidden, vocab]),
            transposed: true,
          },
        ]),
    same("masked_lm", `${ours}.${bias}`, `${theirs}.bias`, [vocab]),
  ];
}

function linear(
  part: Part,
  kiln: string,
  huggingFace: string,
  from: number,
  to: number,
): readonly TensorPair[] {
  return [
    { ...same(part, `${kiln}.weight`, `${huggingFace}.weight`, [from, to]), transposed: true },
    same(part, `${kiln}.bias`, `${huggingFace}.bias`, [to]),
  ];
}

function norm(part: Part, kiln: string, huggingFace: string, size: number): readonly TensorPair[] {
  return [
    same(part, `${kiln}.gamma`, `${huggingFace}.weight`, [size]),
    same(part, `${kiln}.beta`, `${huggingFace}.bias`, [size]),
  ];
}

function same(part: Part, kiln: string, huggingFace: string, shape: readonly number[]): TensorPair {
  return { part, kiln, huggingFace, shape, transposed: false, reversed: false };
}

/** The shape that Hugging Face stores. */
export function storedShape({ shape, transposed }: TensorPair): readonly number[] {
  return transposed ? shape.toReversed() : shape;
}

/** Copies that PyTorch stores beside what they are tied to, by the name of the original. */
export const tiedCopies: Readonly<Record<string, string>> = {
  "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
  "cls.predictions.decoder.bias": "cls.predictions.bias",
};

/** Buffers with no numbers of the model in them: 0, 1, 2, ... and zeros. */
export const ignoredNames: ReadonlySet<string> = new Set([
  "bert.embeddings.position_ids",
  "bert.embeddings.token_type_ids",
]);

/**
 * A stored name as the classes with heads spell it today.
 * @param hasPrefix whether the checkpoint's names of the encoder begin with `bert.`
 */
export function canonicalName(name: string, hasPrefix: boolean): string {
  // The first BERT files, made from TensorFlow's, call the scale and shift of a norm gamma and beta.
  const spelled = name
    .replace(/(\.LayerNorm)\.gamma$/, "$1.weight")
    .replace(/(\.LayerNorm)\.beta$/, "$1.bias");
  return !hasPrefix && /^(?:embeddings|encoder|pooler)\./.test(spelled) ? `bert.${spelled}` : spelled;
}
