import { availableParallelism, cpus } from "node:os";
import { type KilnDevice, patiently } from "../runtime/device/index.ts";
import { largestDifference, median } from "../tools/compare/figures.ts";
import type { Framework, FrameworkName, Training } from "./framework.ts";
import { openKiln } from "./kiln.ts";
import { type SharedGpu, shareGpu } from "./shared-gpu.ts";
import { type Configuration, makeTask, type PretrainingBatch } from "./training-task.ts";

/**
 * Largest relative difference of losses that counts as equal. JAX itself in float32 differs from float64 by 2.2e-5 within ten
 * steps of a BERT of this kind (test/oracle/README.md); frameworks add in other orders, which leaves them a factor of four.
 */
export const lossTolerance = 1e-4;

/** What one framework did, counted and timed in the same way for all. */
export interface FrameworkFigures {
  readonly title: string;
  /** From the model as text or functions to the first loss in host memory; loading code and opening the device are left out. */
  readonly firstStepMs: number;
  /** What was compiled after the first step, which a run does behind its first steps; here it is waited for. */
  readonly settleMs: number;
  /** Median over the steps after the first. */
  readonly stepMs: number;
  /** Those steps one by one: from the batch in host memory until the loss is there and the device is idle. */
  readonly stepsMs: readonly number[];
  /** Median time from the call of a step until its last submit has returned: what encoding costs the calling thread. */
  readonly encodeMs: number;
  readonly encodesMs: readonly number[];
  /** In the last step. */
  readonly dispatches: number;
  /** In the last step. */
  readonly submits: number;
  /** Made in the whole run. */
  readonly pipelines: number;
  /** Most bytes in buffers that were made and not destroyed, in the whole run. */
  readonly peakBytes: number;
  /** mlm + nsp (nats) of every step, the first included. */
  readonly losses: readonly number[];
}

/** The content of a file in `bench/results`. */
export interface BenchResult {
  readonly device: string;
  readonly processor: string;
  readonly node: string;
  readonly name: string;
  readonly configuration: Configuration;
  /** Timed steps, after the first. */
  readonly steps: number;
  readonly lossTolerance: number;
  /** Largest relative difference of any loss from Kiln's. */
  readonly lossDifference: number;
  /** In the order of the tables; Kiln is always there. */
  readonly frameworks: Readonly<Partial<Record<FrameworkName, FrameworkFigures>>>;
}

export interface MeasureOptions {
  readonly name: string;
  readonly configuration: Configuration;
  readonly frameworks: readonly FrameworkName[];
  /** Timed steps after the first: 1 or more. */
  readonly steps: number;
  readonly device: "auto" | "software";
  readonly seed: number;
  readonly note: (text: string) => void;
}

interface Contender {
  readonly framework: Framework;
  readonly training: Training;
  readonly firstStepMs: number;
  readonly settleMs: number;
  readonly losses: number[];
  readonly stepsMs: number[];
  readonly encodesMs: number[];
  dispatches: number;
  submits: number;
}

/** Trains with every framework, in turns, on one adapter, from the same weights on the same batches. */
export async function measure(options: MeasureOptions): Promise<BenchResult> {
  const { configuration, note } = options;
  const gpu = await shareGpu(options.device);
  const opened: Framework[] = [];
  try {
    const ours = await openKiln(gpu, options.device, configuration, false);
    opened.push(ours);
    const { kiln } = ours;
    note(kiln.notice);
    const task = await makeTask(configuration, ours.program, options.seed, options.steps + 1);
    for (const name of options.frameworks) {
      if (name === "kiln-checked") opened.push(await openKiln(gpu, options.device, configuration, true));
      else if (name !== "kiln") opened.push(await openFramework(name, gpu));
    }
    const [first, ...rest] = task.batches;
    if (first === undefined) throw new Error("there is a batch for every step");
    const contenders: Contender[] = [];
    for (const framework of opened) {
      const began = performance.now();
      const training = await patiently(kiln, framework.prepare(task));
      const loss = await step(framework, training, first, kiln);
      const firstStepMs = framework.aheadMs + performance.now() - began;
      const stepped = performance.now();
      if (training.settle !== undefined) await patiently(kiln, training.settle());
      const settleMs = performance.now() - stepped;
      note(`${framework.title}: first step ${firstStepMs.toFixed(0)} ms`);
      contenders.push({
        framework,
        training,
        firstStepMs,
        settleMs,
        losses: [loss],
        stepsMs: [],
        encodesMs: [],
        dispatches: 0,
        submits: 0,
      });
    }
    for (const [index, batch] of rest.entries()) {
      // Whoever goes first changes with every step: warm caches favour nobody.
      const start = index % contenders.length;
      for (const contender of [...contenders.slice(start), ...contenders.slice(0, start)]) {
        await timeStep(contender, batch, kiln);
      }
      note(`step ${index + 1}/${rest.length}`);
    }
    return conclude(options, kiln, contenders);
  } finally {
    for (const { device } of opened) device.destroy();
    gpu.close();
  }
}

// Loaded only when asked for, and after `navigator.gpu` is in place.
async function openFramework(
  name: Exclude<FrameworkName, "kiln" | "kiln-checked">,
  gpu: SharedGpu,
): Promise<Framework> {
  switch (name) {
    case "jax-js":
      return (await import("./jax-js.ts")).openJaxJs(gpu);
    case "tensorflow-js":
      return (await import("./tensorflow-js.ts")).openTensorFlowJs(gpu);
    default:
      return name satisfies never;
  }
}

/**
 * One step until its loss is here and nothing of it is left on the device, so that it does not run into the next one's time.
 * All wait patiently: else Node's thread would take a core from the software device while it waits.
 */
async function step(
  framework: Framework,
  training: Training,
  batch: PretrainingBatch,
  kiln: KilnDevice,
): Promise<number> {
  const loss = await patiently(kiln, training.step(batch));
  await patiently(kiln, framework.device.queue.onSubmittedWorkDone());
  return loss;
}

async function timeStep(contender: Contender, batch: PretrainingBatch, kiln: KilnDevice): Promise<void> {
  const { framework, training } = contender;
  const { dispatches, submits } = framework.counts;
  const began = performance.now();
  const loss = await step(framework, training, batch, kiln);
  contender.stepsMs.push(performance.now() - began);
  contender.encodesMs.push(framework.counts.lastSubmitMs - began);
  contender.losses.push(loss);
  contender.dispatches = framework.counts.dispatches - dispatches;
  contender.submits = framework.counts.submits - submits;
}

function conclude(
  { name, configuration, steps }: MeasureOptions,
  kiln: KilnDevice,
  contenders: readonly Contender[],
): BenchResult {
  const expected = contenders[0]?.losses ?? [];
  return {
    device: kiln.name,
    processor: `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} threads`,
    node: process.version,
    name,
    configuration,
    steps,
    lossTolerance,
    lossDifference: Math.max(...contenders.map(({ losses }) => largestDifference(expected, losses))),
    frameworks: Object.fromEntries(
      contenders.map(
        ({ framework, firstStepMs, settleMs, stepsMs, encodesMs, dispatches, submits, losses }) => [
          framework.name,
          {
            title: framework.title,
            firstStepMs,
            settleMs,
            stepMs: median(stepsMs),
            stepsMs,
            encodeMs: median(encodesMs),
            encodesMs,
            dispatches,
            submits,
            pipelines: framework.counts.pipelines,
            peakBytes: framework.counts.peakBytes,
            losses,
          } satisfies FrameworkFigures,
        ],
      ),
    ),
  };
}
