import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../checkpoint/index.ts";
import type { BatchSource } from "../data/index.ts";
import type { KilnDevice } from "../device/index.ts";
import { KilnError } from "../errors.ts";
import { createExecutor, type Executor, type InputFields } from "../execute/index.ts";
import { evaluateOn } from "./evaluate.ts";
import type { EvaluationReport } from "./report.ts";
import { restoreState } from "./state.ts";

/** One of the model's outputs. */
export interface EncodedTensor {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float32Array<ArrayBuffer>;
}

/** Runs a trained model forward. Dispose of it to free the device's memory. */
export interface Encoder {
  readonly executor: Executor;
  /**
   * @param fields the inputs that the model's outputs need, of the shapes the program was compiled for
   * @returns the spec's outputs by name
   * @throws KilnError `usage` for a missing input or one of the wrong length or type
   */
  encode(fields: InputFields): Promise<Readonly<Record<string, EncodedTensor>>>;
  dispose(): void;
}

/** Measures a trained model. Dispose of it to free the device's memory. */
export interface Evaluator {
  /** As `Trainer.evaluate`. */
  evaluate(source: BatchSource, count: number): Promise<EvaluationReport>;
  dispose(): void;
}

/**
 * Puts a program's `evaluate` entry and a checkpoint's parameters on a device: no moments, no gradients.
 * @throws KilnError `user` for a checkpoint of another model; `usage` for a program without the entry
 */
export async function createEvaluator(
  program: Program,
  kiln: KilnDevice,
  checkpoint: Checkpoint,
): Promise<Evaluator> {
  if (program.entries.evaluate === undefined)
    throw new KilnError("usage", `\`${program.name}\` was compiled without an evaluation`);
  const executor = await executorWith(program, kiln, checkpoint, "evaluate");
  return {
    evaluate: (source, count) => evaluateOn(program, executor, source, count),
    dispose: () => executor.destroy(),
  };
}

async function executorWith(
  program: Program,
  kiln: KilnDevice,
  checkpoint: Checkpoint,
  entry: "encode" | "evaluate",
): Promise<Executor> {
  const executor = await createExecutor(program, kiln, { entries: [entry] });
  try {
    await restoreState(program, executor.memory, checkpoint, "parameters");
    return executor;
  } catch (thrown) {
    executor.destroy();
    throw thrown;
  }
}

const outputPrefix = "output.";

/**
 * Puts a program's `encode` entry and a checkpoint's parameters on a device: no moments, no gradients.
 * @throws KilnError `user` for a checkpoint of another model; `usage` for a program without outputs
 */
export async function createEncoder(
  program: Program,
  kiln: KilnDevice,
  checkpoint: Checkpoint,
): Promise<Encoder> {
  if (program.entries.encode === undefined) {
    throw new KilnError(
      "usage",
      `\`${program.name}\` has no outputs to encode with`,
      "add `output name = ...` to its forward",
    );
  }
  const executor = await executorWith(program, kiln, checkpoint, "encode");
  return {
    executor,
    async encode(fields) {
      const outputs = await executor.run("encode", fields);
      return Object.fromEntries(
        Object.entries(outputs).map(([name, { shape, data }]) => [
          name.startsWith(outputPrefix) ? name.slice(outputPrefix.length) : name,
          { shape, data: data instanceof Float32Array ? data : Float32Array.from(data) },
        ]),
      );
    },
    dispose: () => executor.destroy(),
  };
}
