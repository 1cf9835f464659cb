import { readFileSync } from "node:fs";
import { specName } from "./names.ts";

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** Losses before a step's update, and the gradient's norm before clipping; float64. */
export interface OracleStep {
  readonly mlm: number;
  readonly nsp: number;
  readonly total: number;
  readonly gradient_norm: number;
}

export interface Fixture {
  readonly sizes: Readonly<Record<string, number>>;
  readonly optimizer: { readonly beta1: number; readonly clip?: number; readonly rates?: readonly number[] };
  readonly steps: readonly OracleStep[];
  /** By the names of the spec: parameters before the first step, their gradients, and after the last step. */
  readonly parameters: ReadonlyMap<string, FixtureTensor>;
  readonly gradients: ReadonlyMap<string, FixtureTensor>;
  readonly finals: ReadonlyMap<string, FixtureTensor>;
  /** By the names of the model's inputs. */
  readonly batch: Readonly<Record<string, Float32Array | Int32Array>>;
  /** [B, T, H] */
  readonly encoded: FixtureTensor;
}

/** Reads `fixtures/<name>.safetensors` (README.md says what is in it). */
export function readFixture(name: string): Fixture {
  const { tensors, oracle } = readSafetensors(new URL(`./fixtures/${name}.safetensors`, import.meta.url));
  const under = (prefix: string, rename: (name: string) => string) =>
    new Map(
      [...tensors]
        .filter(([path]) => path.startsWith(prefix))
        .map(([path, tensor]) => [rename(path.slice(prefix.length)), tensor] as const),
    );
  const encoded = tensors.get("output/encoded");
  if (encoded === undefined) throw new Error(`${name} has no output/encoded`);
  return {
    ...parseOracle(oracle),
    parameters: under("param/", specName),
    gradients: under("grad/", specName),
    finals: under("final/", specName),
    batch: Object.fromEntries(
      [...under("batch/", (field) => field)].map(([field, { data }]) => [field, data]),
    ),
    encoded,
  };
}

function parseOracle(text: string): Pick<Fixture, "sizes" | "optimizer" | "steps"> {
  const parsed: Pick<Fixture, "sizes" | "optimizer" | "steps"> = JSON.parse(text);
  return parsed;
}

/** The part of the format that the fixtures use: F32 and I32, little-endian (huggingface/safetensors, README, "Format"). */
function readSafetensors(path: URL): { tensors: ReadonlyMap<string, FixtureTensor>; oracle: string } {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = file.toString("utf8", 8, 8 + headerBytes);
  const entries: Readonly<Record<string, SafetensorsEntry>> = JSON.parse(header);
  const { __metadata__ }: { readonly __metadata__?: { readonly oracle?: string } } = JSON.parse(header);
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    if (name === "__metadata__") continue;
    const [start, end] = data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + headerBytes + start, 8 + headerBytes + end)).buffer;
    tensors.set(name, { shape, data: dtype === "F32" ? new Float32Array(bytes) : new Int32Array(bytes) });
  }
  return { tensors, oracle: __metadata__?.oracle ?? "" };
}

interface SafetensorsEntry {
  readonly dtype: "F32" | "I32";
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}
