import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readTensorFile, type StoredTensor, writePlainTensorFile } from "../../runtime/checkpoint/index.ts";
import { type HuggingFaceModel, modelFolder } from "../oracle/huggingface-fixture.ts";
import { run } from "../tools/capture.ts";

/** A tensor with its bytes. */
export interface HeldTensor {
  readonly dtype: StoredTensor["dtype"];
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export async function heldTensors(path: string): Promise<Map<string, HeldTensor>> {
  const held = new Map<string, HeldTensor>();
  const { tensors } = await readTensorFile(path);
  for (const [name, { dtype, shape, read }] of tensors) {
    const pieces: Uint8Array[] = [];
    for await (const piece of read()) pieces.push(piece);
    held.set(name, { dtype, shape, bytes: new Uint8Array(Buffer.concat(pieces)) });
  }
  return held;
}

export function stored({ dtype, shape, bytes }: HeldTensor): StoredTensor {
  return {
    dtype,
    shape,
    async *read() {
      yield bytes;
    },
  };
}

export function floats(shape: readonly number[], value: (at: number) => number): HeldTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return {
    dtype: "F32",
    shape,
    bytes: new Uint8Array(Float32Array.from({ length: count }, (_, at) => value(at)).buffer),
  };
}

/** A copy of a fixture that a test may change. */
export class ModelCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async of(name: HuggingFaceModel, folder: string): Promise<ModelCopy> {
    await cp(modelFolder(name), folder, { recursive: true });
    return new ModelCopy(folder);
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  async config(changes: Readonly<Record<string, unknown>>): Promise<void> {
    const before: object = JSON.parse(await readFile(this.path("config.json"), "utf8"));
    await writeFile(this.path("config.json"), JSON.stringify({ ...before, ...changes }));
  }

  async tensors(change: (tensors: Map<string, HeldTensor>) => void): Promise<void> {
    const tensors = await heldTensors(this.path("model.safetensors"));
    change(tensors);
    await writePlainTensorFile(
      this.path("model.safetensors"),
      new Map([...tensors].map(([name, tensor]) => [name, stored(tensor)])),
      { format: "pt" },
    );
  }

  /** Runs the command. Messages say `FOLDER` for the folder. */
  async import(out: string): Promise<{ readonly code: number; readonly err: string; readonly out: string }> {
    const { code, err, out: said } = await run("import", this.folder, "-o", out);
    return { code, err: err.replaceAll(this.folder, "FOLDER").trimEnd(), out: said };
  }
}
