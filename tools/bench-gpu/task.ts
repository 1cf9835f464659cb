import type { Program } from "../../compiler/program/index.ts";
import { type StoredTensor, writeTensorFile } from "../../runtime/checkpoint/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import type { InputFields } from "../../runtime/execute/index.ts";
import { drawInitial, elementsOf } from "../../runtime/memory/index.ts";
import type { PyTorchModel } from "./configurations.ts";

/** How many steps are made, and which are timed. */
export interface Schedule {
  /** The first steps, whose losses must be equal; at most `warmUp`. */
  readonly compared: number;
  /** Steps before anything is timed. */
  readonly warmUp: number;
  /** Runs of steps that are timed as one, without waiting in between. */
  readonly blocks: number;
  readonly stepsPerBlock: number;
}

/** What each side is given. */
export interface GpuTask {
  /** By Kiln's parameter names; linear weights lie [in, out]. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Step i takes batch i modulo their number. */
  readonly batches: readonly InputFields[];
  /** By input name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

const BATCHES = 8;

/** Draws weights as Kiln's runtime does, and batches of Kiln's generated corpus. */
export async function makeGpuTask(program: Program, seed: number): Promise<GpuTask> {
  const weights = new Map(
    program.parameters.map((parameter) => [
      parameter.name,
      {
        shape: parameter.shape,
        data: drawInitial(parameter.init, seed, parameter.name, 0, elementsOf(parameter)),
      },
    ]),
  );
  const source = await openBatches(program.data, { split: "train", seed });
  try {
    const batches: InputFields[] = [];
    for (let i = 0; i < BATCHES; i++) {
      const { fields } = await source.next();
      // Copies: the reader's fields lie in memory that it shares with its thread.
      batches.push(
        Object.fromEntries(
          Object.entries(fields).map(([name, data]) => [
            name,
            data instanceof Int32Array ? Int32Array.from(data) : Float32Array.from(data),
          ]),
        ),
      );
    }
    const shapes = Object.fromEntries(program.inputs.map(({ name, shape }) => [name, shape]));
    return { weights, batches, shapes };
  } finally {
    await source.close();
  }
}

/**
 * Writes the task for `pytorch_bert.py`: safetensors `weight.*` and `batch.<i>.*`, and sizes as JSON in the metadata `task`.
 * @param rates learning rate of every step
 */
export async function writeGpuTask(
  path: string,
  task: GpuTask,
  model: PyTorchModel,
  schedule: Schedule,
  rates: readonly number[],
): Promise<void> {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of task.weights) tensors.set(`weight.${name}`, stored(tensor));
  task.batches.forEach((fields, i) => {
    for (const [name, data] of Object.entries(fields)) {
      const shape = task.shapes[name];
      if (shape === undefined) continue; // a field that the program does not read
      if (!(data instanceof Int32Array) && !(data instanceof Float32Array))
        throw new Error(`the field ${name} is neither i32 nor f32`);
      tensors.set(`batch.${i}.${name}`, stored({ shape, data: data.slice() }));
    }
  });
  const description = { ...model, ...schedule, batches: task.batches.length, rates };
  await writeTensorFile(path, tensors, { task: JSON.stringify(description) });
}

function stored({ shape, data }: Tensor): StoredTensor {
  return {
    dtype: data instanceof Int32Array ? "I32" : "F32",
    shape,
    async *read() {
      yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  };
}
