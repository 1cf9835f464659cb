import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile, type DeviceProfile, type Program, renderDiagnostics } from "../compiler/index.ts";
import { openBatches } from "../runtime/data/index.ts";
import { drawInitial, elementsOf } from "../runtime/memory/index.ts";

/** Sizes of a configuration, by the names of the settings of `bert-small.bert`. */
export interface Configuration {
  readonly batch: number;
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  readonly max_len: number;
  readonly predictions: number;
  readonly learning_rate: number;
}

const small = {
  ...{ hidden: 128, layers: 2, heads: 2, ffn: 256, max_len: 64, predictions: 10 },
  learning_rate: 1e-3,
} as const;

/** By name: batch x vocabulary; `tiny` is for trying the benchmark itself. */
export const configurations = {
  tiny: { ...small, batch: 4, vocab: 64, hidden: 32, layers: 1, ffn: 64, max_len: 32, predictions: 5 },
  "8x1000": { ...small, batch: 8, vocab: 1000 },
  "16x8000": { ...small, batch: 16, vocab: 8000 },
  "64x20000": { ...small, batch: 64, vocab: 20_000 },
} as const satisfies Readonly<Record<string, Configuration>>;
export type ConfigurationName = keyof typeof configurations;

/** What `bert-small.bert` leaves to the language's defaults (models/LANGUAGE.md). */
export const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** A tensor in host memory, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** One batch of `PretrainingPairs` (models/lib/data.bert), with B = batch, T = max_len, P = predictions. */
export interface PretrainingBatch {
  /** i32[B, T] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** i32[B, T] */
  readonly segments: Int32Array<ArrayBuffer>;
  /** i32[B] */
  readonly valid: Int32Array<ArrayBuffer>;
  /** i32[B, P] */
  readonly positions: Int32Array<ArrayBuffer>;
  /** i32[B, P] */
  readonly labels: Int32Array<ArrayBuffer>;
  /** f32[B, P] */
  readonly weights: Float32Array<ArrayBuffer>;
  /** i32[B] */
  readonly next: Int32Array<ArrayBuffer>;
}

/** What every framework is given: the same sizes, first weights and batches. */
export interface TrainingTask {
  readonly configuration: Configuration;
  /** By Kiln's names, e.g. `encoder.blocks.0.attention.query.weight`; weights lie [in, out]. */
  readonly weights: ReadonlyMap<string, HostTensor>;
  readonly batches: readonly PretrainingBatch[];
}

const specPath = fileURLToPath(new URL("./bert-small.bert", import.meta.url));
const readModels = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../models/${path}`, import.meta.url)), "utf8");

/** Compiles `bert-small.bert` at the given sizes, the training step only. */
export function compileTask(configuration: Configuration, profile: DeviceProfile): Program {
  const settings = Object.fromEntries(
    Object.entries(configuration).map(([name, value]) => [name, String(value)]),
  );
  const { program, diagnostics, sources } = compile("bert-small.bert", {
    load: (path) => (path === "bert-small.bert" ? readFileSync(specPath, "utf8") : undefined),
    library: readModels,
    settings,
    profile,
    entries: ["train"],
  });
  if (program === undefined) throw new Error(renderDiagnostics(diagnostics, sources));
  return program;
}

/**
 * Draws the weights as Kiln's runtime does, and batches of Kiln's generated corpus, before anything is timed.
 * @param count batches: one a step
 */
export async function makeTask(
  configuration: Configuration,
  program: Program,
  seed: number,
  count: number,
): Promise<TrainingTask> {
  const weights = new Map<string, HostTensor>();
  for (const parameter of program.parameters) {
    const { name, shape, init } = parameter;
    weights.set(name, {
      shape,
      data: drawInitial(init, seed, name, 0, elementsOf(parameter)),
    });
  }
  const source = await openBatches(program.data, { split: "train", seed });
  try {
    const batches: PretrainingBatch[] = [];
    while (batches.length < count) {
      const { fields } = await source.next();
      batches.push({
        tokens: integers(fields, "tokens"),
        segments: integers(fields, "segments"),
        valid: integers(fields, "valid"),
        positions: integers(fields, "positions"),
        labels: integers(fields, "labels"),
        weights: floats(fields, "weights"),
        next: integers(fields, "next"),
      });
    }
    return { configuration, weights, batches };
  } finally {
    await source.close();
  }
}

type Fields = Readonly<Record<string, Int32Array | Float32Array>>;

// Copies: the reader's fields lie in memory that it shares with its thread.
function integers(fields: Fields, name: string): Int32Array<ArrayBuffer> {
  const field = fields[name];
  if (field instanceof Int32Array) return Int32Array.from(field);
  throw new Error(`the batches have no field of integers \`${name}\``);
}

function floats(fields: Fields, name: string): Float32Array<ArrayBuffer> {
  const field = fields[name];
  if (field instanceof Float32Array) return Float32Array.from(field);
  throw new Error(`the batches have no field of numbers \`${name}\``);
}
