import { fileURLToPath } from "node:url";
import { readTensorFile, type StoredTensor } from "../../runtime/checkpoint/index.ts";
import { specName } from "./names.ts";
import { need } from "./runs.ts";

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
export async function readFixture(name: string): Promise<Fixture> {
  const file = await readTensorFile(
    fileURLToPath(new URL(`./fixtures/${name}.safetensors`, import.meta.url)),
  );
  const tensors = new Map<string, FixtureTensor>();
  for (const [path, stored] of file.tensors) tensors.set(path, await readFixtureTensor(stored));
  const under = (prefix: string, rename: (name: string) => string) =>
    new Map(
      [...tensors]
        .filter(([path]) => path.startsWith(prefix))
        .map(([path, tensor]) => [rename(path.slice(prefix.length)), tensor] as const),
    );
  const told: Pick<Fixture, "sizes" | "optimizer" | "steps"> = JSON.parse(
    need(file.metadata.oracle, "metadata"),
  );
  return {
    ...told,
    parameters: under("param/", specName),
    gradients: under("grad/", specName),
    finals: under("final/", specName),
    batch: Object.fromEntries(
      [...under("batch/", (field) => field)].map(([field, { data }]) => [field, data]),
    ),
    encoded: need(tensors.get("output/encoded"), "output/encoded"),
  };
}

/** All of a tensor in memory. */
export async function readFixtureTensor(stored: StoredTensor): Promise<FixtureTensor> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stored.read()) pieces.push(piece);
  const bytes = Uint8Array.from(Buffer.concat(pieces)).buffer;
  const { dtype, shape } = stored;
  if (dtype === "F32") return { shape, data: new Float32Array(bytes) };
  if (dtype === "I32") return { shape, data: new Int32Array(bytes) };
  throw new Error(`the fixtures hold no ${dtype}`);
}
