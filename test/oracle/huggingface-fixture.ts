import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Checkpoint, loadCheckpoint, readTensorFile } from "../../runtime/checkpoint/index.ts";
import {
  type BertConfig,
  partsOf,
  type TensorPair,
  tensorPairs,
  toKiln,
} from "../../runtime/huggingface/index.ts";
import { run } from "../tools/capture.ts";
import { type FixtureTensor, readFixtureTensor } from "./fixture.ts";
import { need } from "./runs.ts";

/** What generate_huggingface.py makes. */
export const huggingFaceModels = [
  "pretraining",
  "masked-lm",
  "sequence-classification",
  "token-classification",
  "model",
] as const;
export type HuggingFaceModel = (typeof huggingFaceModels)[number];

const fixtures = fileURLToPath(new URL("./fixtures/huggingface", import.meta.url));

/** The Hugging Face folder of a fixture. */
export function modelFolder(name: HuggingFaceModel): string {
  return join(fixtures, name);
}

/** What transformers computes with a fixture's model, in float64. */
export interface Reference {
  readonly batch: Readonly<Record<string, Float32Array | Int32Array>>;
  /** `encoded`, `pooled`, `logits`, `mlm_logits`, `nsp_logits`: those that the class gives. */
  readonly outputs: ReadonlyMap<string, FixtureTensor>;
  /** Of the sum of the losses, by their names and in the layout of transformers. */
  readonly gradients: ReadonlyMap<string, FixtureTensor>;
  readonly losses: Readonly<Record<string, number>>;
}

export async function readReference(name: HuggingFaceModel): Promise<Reference> {
  const file = await readTensorFile(join(fixtures, `${name}.reference.safetensors`));
  const under = async (prefix: string): Promise<Map<string, FixtureTensor>> => {
    const found = new Map<string, FixtureTensor>();
    for (const [path, stored] of file.tensors)
      if (path.startsWith(prefix)) found.set(path.slice(prefix.length), await readFixtureTensor(stored));
    return found;
  };
  const { losses }: Pick<Reference, "losses"> = JSON.parse(need(file.metadata.oracle, "metadata"));
  const batch = [...(await under("batch/"))].map(([field, { data }]) => [field, data] as const);
  return {
    batch: Object.fromEntries(batch),
    outputs: await under("output/"),
    gradients: await under("grad/"),
    losses,
  };
}

/** A gradient of transformers in Kiln's layout. */
export async function gradientInKiln(tensor: FixtureTensor, pair: TensorPair): Promise<Float32Array> {
  const bytes = new Uint8Array(Uint8Array.from(Buffer.from(tensor.data.buffer)).buffer);
  const stored = {
    dtype: "F32" as const,
    shape: tensor.shape,
    read: async function* () {
      yield bytes;
    },
  };
  const { data } = await readFixtureTensor(toKiln(stored, pair));
  return Float32Array.from(data);
}

/** All parameters of an imported class under both names. */
export function pairsOf(config: BertConfig): ReadonlyMap<string, TensorPair> {
  return new Map(tensorPairs(config, partsOf[config.architecture]).map((pair) => [pair.huggingFace, pair]));
}

export interface Imported {
  readonly spec: string;
  readonly checkpoint: Checkpoint;
}

/** Imports a folder into a temporary one, as the command does. */
export async function importInto(
  folder: string,
  out: string,
  ...options: readonly string[]
): Promise<Imported> {
  const { code, err, json } = await run("import", folder, "-o", out, "--json", ...options);
  if (code !== 0) throw new Error(err);
  const { spec, checkpoint } = json();
  return { spec: String(spec), checkpoint: await loadCheckpoint(String(checkpoint)) };
}

/** A folder for a test's files, and what removes it. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "kiln-huggingface-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
