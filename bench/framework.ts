import type { CountedDevice } from "./shared-gpu.ts";
import type { PretrainingBatch, TrainingTask } from "./training-task.ts";

/** In the order of the tables. */
export const frameworkNames = ["kiln", "kiln-checked", "jax-js", "tensorflow-js"] as const;
export type FrameworkName = (typeof frameworkNames)[number];

/** A framework that is loaded and has opened its device. */
export interface Framework extends CountedDevice {
  readonly name: FrameworkName;
  /** What a table calls it, with its version, e.g. `jax-js 0.1.25`. */
  readonly title: string;
  /** Milliseconds already spent on what `prepare` uses: a part of the first step. */
  readonly aheadMs: number;
  /** Builds model and optimizer on the device from the task's weights. Kernels may be compiled here or in the first step. */
  prepare(task: TrainingTask): Promise<Training>;
}

/** A training run of one framework. */
export interface Training {
  /**
   * Uploads the batch and does one step: forward, backward, Adam.
   * @returns mlm + nsp in nats before the step's update, once it is in host memory
   */
  step(batch: PretrainingBatch): Promise<number>;
  /** Ends what goes on behind the first steps and does not behind later ones: compilation. */
  settle?(): Promise<void>;
}
