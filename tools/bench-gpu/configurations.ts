import type { Schedule } from "./task.ts";

/** A spec at some sizes, and the same in the words of `pytorch_bert.py`. */
export interface GpuConfiguration {
  readonly spec: string;
  readonly settings: Readonly<Record<string, number>>;
  readonly model: PyTorchModel;
  readonly schedule: Schedule;
}

/** What `pytorch_bert.py` builds: the model of models/lib/bert.bert, the optimizer of the spec. */
export interface PyTorchModel {
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  /** Rows of the position table. */
  readonly positions: number;
  readonly activation: "relu" | "gelu";
  readonly eps: number;
  readonly embedding_norm: boolean;
  readonly tied: boolean;
  readonly optimizer: {
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    readonly weightDecay: number;
  };
  /** Limit of the gradients' global norm. */
  readonly clip: number | null;
}

const smallOptimizer = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 } as const;
const small = { hidden: 128, layers: 2, heads: 2, ffn: 256, max_len: 64, predictions: 10 } as const;
const tiny = { hidden: 32, layers: 1, heads: 2, ffn: 64, max_len: 32, predictions: 5 } as const;
const tinyOriginal = { ...tiny, layers: 2, vocab: 100, max_positions: 48 } as const;
const base = {
  ...{ hidden: 768, layers: 12, heads: 12, ffn: 3072, vocab: 30_522 },
  ...{ max_len: 128, max_positions: 512, predictions: 20 },
} as const;

function d2lBert(
  sizes: typeof small | typeof tiny,
  batch: number,
  vocab: number,
  schedule: Schedule,
): GpuConfiguration {
  const { hidden, layers, heads, ffn, max_len } = sizes;
  return {
    spec: "models/bert-small.bert",
    settings: { ...sizes, batch, vocab, dropout: 0, steps: 200, min_frequency: 1 },
    model: {
      ...{ vocab, hidden, layers, heads, ffn, positions: max_len },
      ...{ activation: "relu", eps: 1e-5, embedding_norm: false, tied: false, clip: 1 },
      optimizer: smallOptimizer,
    },
    schedule,
  };
}

function originalBert(
  sizes: typeof base | typeof tinyOriginal,
  batch: number,
  schedule: Schedule,
): GpuConfiguration {
  const { hidden, layers, heads, ffn, vocab, max_positions } = sizes;
  return {
    spec: "models/bert-base.bert",
    settings: { ...sizes, batch, accumulate: 1, dropout: 0, steps: 200, min_frequency: 1 },
    model: {
      ...{ vocab, hidden, layers, heads, ffn, positions: max_positions },
      ...{ activation: "gelu", eps: 1e-12, embedding_norm: true, tied: true, clip: 1 },
      optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-6, weightDecay: 0.01 },
    },
    schedule,
  };
}

const quick = { compared: 3, warmUp: 3, blocks: 3, stepsPerBlock: 2 } as const;

/** By name; the tiny ones are for trying the command itself. Dropout is off, so that losses can be compared. */
export const gpuConfigurations = {
  tiny: d2lBert(tiny, 4, 64, quick),
  "tiny-original": originalBert(tinyOriginal, 4, quick),
  small: d2lBert(small, 64, 20_256, { compared: 5, warmUp: 20, blocks: 10, stepsPerBlock: 10 }),
  base: originalBert(base, 32, { compared: 5, warmUp: 10, blocks: 6, stepsPerBlock: 5 }),
} as const satisfies Readonly<Record<string, GpuConfiguration>>;

export type GpuConfigurationName = keyof typeof gpuConfigurations;
