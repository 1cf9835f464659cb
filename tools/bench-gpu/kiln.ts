import type { Program } from "../../compiler/program/index.ts";
import { type KilnDevice, patiently } from "../../runtime/device/index.ts";
import { createExecutor, type Outputs } from "../../runtime/execute/index.ts";
import { median } from "../compare/figures.ts";
import { entryFigures } from "../entry-figures.ts";
import type { GpuTask, Schedule } from "./task.ts";

/** One side's figures. */
export interface GpuFigures {
  readonly title: string;
  /** mlm + nsp (nats) of the compared steps. */
  readonly losses: readonly number[];
  /** Pipelines or graph compilation included. */
  readonly firstStepMs: number;
  /** Median over the blocks, per step. */
  readonly stepMs: number;
  readonly stepsMs: readonly number[];
  /** Bytes on the device at the peak; null where not known. */
  readonly peakBytes: number | null;
}

/** Steps under way at once: the next is encoded while the device is busy with one, as PyTorch's queue does it. */
const IN_FLIGHT = 2;

/**
 * Trains on the task as the schedule has it.
 * @returns also the learning rate of every step
 */
export async function measureKiln(
  title: string,
  program: Program,
  kiln: KilnDevice,
  task: GpuTask,
  schedule: Schedule,
): Promise<{ readonly figures: GpuFigures; readonly rates: readonly number[] }> {
  const { train } = program.entries;
  if (train === undefined) throw new Error("the program has no training step");
  const losses: number[] = [];
  const rates: number[] = [];
  let made = 0;
  const note = (outputs: Outputs): void => {
    const value = (name: string): number => outputs[name]?.data[0] ?? Number.NaN;
    if (rates.length < schedule.compared) losses.push(value("loss.mlm") + value("loss.nsp"));
    rates.push(value("learning_rate"));
  };
  const began = performance.now();
  const executor = await patiently(kiln, createExecutor(program, kiln, { entries: ["train"] }));
  try {
    for (const [name, { data }] of task.weights) {
      if (data instanceof Float32Array) executor.memory.writeParameter(name, data);
    }
    executor.memory.initializeLossScale();
    const run = async (count: number): Promise<void> => {
      const under: Promise<void>[] = [];
      for (let i = 0; i < count; i++) {
        const batch = task.batches[made++ % task.batches.length];
        if (batch === undefined) throw new Error("the task has batches");
        under.push(executor.run("train", batch).then(note));
        if (under.length >= IN_FLIGHT) await under.shift();
      }
      await Promise.all(under);
      await kiln.device.queue.onSubmittedWorkDone();
    };
    await patiently(kiln, run(1));
    const firstStepMs = performance.now() - began;
    await executor.settle();
    await patiently(kiln, run(schedule.warmUp - 1));
    const stepsMs: number[] = [];
    for (let block = 0; block < schedule.blocks; block++) {
      const start = performance.now();
      await patiently(kiln, run(schedule.stepsPerBlock));
      stepsMs.push((performance.now() - start) / schedule.stepsPerBlock);
    }
    return {
      figures: {
        title,
        losses,
        firstStepMs,
        stepMs: median(stepsMs),
        stepsMs,
        peakBytes: entryFigures(train).peakBytes,
      },
      rates,
    };
  } finally {
    executor.destroy();
  }
}
