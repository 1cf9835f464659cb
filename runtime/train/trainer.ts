import type { Program } from "../../compiler/program/index.ts";
import { type Checkpoint, type CheckpointContents, saveCheckpoint } from "../checkpoint/index.ts";
import type { Batch, BatchSource } from "../data/index.ts";
import type { KilnDevice } from "../device/index.ts";
import { KilnError } from "../errors.ts";
import { createExecutor, type Executor } from "../execute/index.ts";
import { evaluateOn } from "./evaluate.ts";
import {
  checkFinite,
  type EvaluationReport,
  meanLosses,
  mostSkippedInARow,
  neverFinite,
  type Scalars,
  type StepReport,
  scalarOutputs,
  scalarsOf,
} from "./report.ts";
import { type InitReport, restoreState, startFrom, stateTensors } from "./state.ts";

export interface TrainerOptions {
  /** u32. Decides the first values and the dropout; the batches have been given theirs by their maker. */
  readonly seed: number;
  readonly batches: BatchSource;
  /** Go on with this run, bitwise as if it had never stopped. */
  readonly resume?: Checkpoint;
  /** Start with the parameters of this one that the model has too, by name; the others are drawn. Not with `resume`. */
  readonly init?: Checkpoint;
  /** As `ExecutorOptions.drafts`: false to measure what a long run's steps cost from the first one on. Default true. */
  readonly drafts?: boolean;
}

/** A training run. Dispose of it to free the device's memory; device and batches stay the caller's. */
export interface Trainer {
  readonly executor: Executor;
  /** Steps begun: those reported and those under way. What `save` writes is the state after them. */
  readonly stepsBegun: number;
  /** Given with `TrainerOptions.init`. */
  readonly init?: InitReport;
  /**
   * One step, from its batches to its losses. A step whose gradient is not finite is skipped: it changes nothing and says so.
   * @throws KilnError `user` when a loss of a step that was not skipped is NaN or infinite, or after ten skipped steps in a
   * row; `machine` when the device fails
   */
  step(): Promise<StepReport>;
  /**
   * Steps one after another, the next ones begun while the one before is still being computed. Ends after `count`, or
   * earlier once `signal` is aborted: the steps under way are then still reported.
   */
  steps(count: number, signal?: AbortSignal): AsyncGenerator<StepReport, void, void>;
  /**
   * Losses, metrics and, of labelled data, how often which class was told, without dropout over the source's next `count`
   * batches; changes nothing of the run. Steps under way are not waited for.
   * @throws KilnError `usage` for a program without an `evaluate` entry
   */
  evaluate(source: BatchSource, count: number): Promise<EvaluationReport>;
  /**
   * Waits for the steps under way and writes a checkpoint.
   * @throws KilnError the failure of a step, if one failed: a state that is not finite never replaces a good one
   */
  save(path: string): Promise<void>;
  /**
   * Waits for the steps under way and hands out the run's state, which stays as it is until `use` is done: to write it elsewhere
   * than into a file, or to encode with it.
   * @throws as `save`; what `use` throws
   */
  withState<T>(use: (state: CheckpointContents) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

/** Steps under way at once: enough that the device never waits for the processor, few enough to stop quickly. */
const stepsInFlight = 2;

/**
 * Puts a program on a device and its state in order, ready for the first step or for the next one of a resumed run.
 * @throws KilnError `user` for a checkpoint of another model; `usage` for another seed, or for `init` with `resume`; `machine` for
 * lack of memory
 */
export async function createTrainer(
  program: Program,
  kiln: KilnDevice,
  options: TrainerOptions,
): Promise<Trainer> {
  const { seed, batches, resume, init, drafts = true } = options;
  if (program.entries.train === undefined) {
    throw new KilnError(
      "usage",
      `\`${program.name}\` was compiled without a training step`,
      "give the spec a `train` block",
    );
  }
  if (program.settings.accumulate > 1 && program.entries.accumulate === undefined) {
    throw new KilnError(
      "user",
      `\`${program.name}\` accumulates gradients but has no entry for it: the program is damaged`,
    );
  }
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new KilnError("usage", `the seed must be a whole number from 0 to 4294967295, not ${seed}`);
  }
  if (resume !== undefined && init !== undefined) {
    throw new KilnError("usage", "a run goes on from one checkpoint or starts from one, not both");
  }
  if (resume !== undefined && resume.seed !== seed) {
    throw new KilnError(
      "usage",
      `${resume.path} was trained with the seed ${resume.seed}, not ${seed}`,
      "leave --seed out",
    );
  }
  const entries = ["train", "accumulate", "evaluate"] as const;
  const executor = await createExecutor(program, kiln, { entries, drafts });
  try {
    let skippedSteps = 0;
    let started: InitReport | undefined;
    if (resume === undefined) {
      await executor.memory.initialize(seed);
      if (init !== undefined) started = await startFrom(program, executor.memory, init);
    } else {
      skippedSteps = await restoreState(program, executor.memory, resume, "everything");
      batches.seek(resume.step * program.settings.accumulate);
    }
    return new DeviceTrainer(program, executor, seed, batches, {
      done: resume?.step ?? 0,
      skipped: skippedSteps,
      ...(started !== undefined && { init: started }),
    });
  } catch (thrown) {
    executor.destroy();
    throw thrown;
  }
}

class DeviceTrainer implements Trainer {
  readonly executor: Executor;
  readonly init?: InitReport;
  readonly #program: Program;
  readonly #seed: number;
  readonly #batches: BatchSource;
  #stepsBegun: number;
  /** Since the run began, of the steps reported. */
  #skippedSteps: number;
  #skippedInARow = 0;
  /** When the step before was done, in milliseconds of `performance.now()`. */
  #doneMs = 0;
  /** Settles with the last step begun; rejects once any step has failed. */
  #last: Promise<unknown> = Promise.resolve();
  /** What is begun or saved one after another. Never rejects. */
  #queue: Promise<unknown> = Promise.resolve();
  #failure: { readonly thrown: unknown } | undefined;
  #disposed = false;

  constructor(
    program: Program,
    executor: Executor,
    seed: number,
    batches: BatchSource,
    begin: { readonly done: number; readonly skipped: number; readonly init?: InitReport },
  ) {
    this.#program = program;
    this.executor = executor;
    this.#seed = seed;
    this.#batches = batches;
    this.#stepsBegun = begin.done;
    this.#skippedSteps = begin.skipped;
    if (begin.init !== undefined) this.init = begin.init;
  }

  get stepsBegun(): number {
    return this.#stepsBegun;
  }

  async step(): Promise<StepReport> {
    return (await this.#begin()).report;
  }

  async *steps(count: number, signal?: AbortSignal): AsyncGenerator<StepReport, void, void> {
    const underWay: { readonly report: Promise<StepReport> }[] = [];
    try {
      for (let begun = 0; begun < count && !signal?.aborted; begun++) {
        underWay.push(await this.#begin());
        const oldest = underWay.length >= stepsInFlight ? underWay.shift() : undefined;
        if (oldest !== undefined) yield await oldest.report;
      }
      for (let oldest = underWay.shift(); oldest !== undefined; oldest = underWay.shift())
        yield await oldest.report;
    } finally {
      // Left early: the reports of steps under way are lost, the steps themselves are not.
      await Promise.allSettled(underWay.map(({ report }) => report));
    }
  }

  /** Fetches the step's batches and submits it; the report follows when the device is done. */
  #begin(): Promise<{ readonly report: Promise<StepReport> }> {
    return this.#alone(async () => {
      // All batches first: a reader that fails must not leave half a step behind.
      const batches: Batch[] = [];
      while (batches.length < this.#program.settings.accumulate) batches.push(await this.#batches.next());
      const report = this.#report(this.#stepsBegun + 1, batches, this.#last);
      this.#stepsBegun += 1;
      this.#last = report;
      // Whoever asks for the report sees the failure; until then it must not end the process.
      report.catch((thrown: unknown) => {
        this.#failure ??= { thrown };
      });
      return { report };
    });
  }

  /** Does one thing at a time: a save sees no half-begun step, and two callers' steps do not mix. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#disposed) throw new KilnError("usage", "the trainer was disposed of");
      if (this.#failure !== undefined) throw this.#failure.thrown;
      return work();
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Submits the step's micro-batches before it waits for anything. */
  async #report(step: number, batches: readonly Batch[], before: Promise<unknown>): Promise<StepReport> {
    const beganMs = performance.now();
    const runs = batches.map((batch, micro) => {
      const entry = micro < batches.length - 1 ? "accumulate" : "train";
      const outputs = scalarOutputs(this.#program.entries[entry]);
      return this.executor.run(entry, batch.fields, { outputs }).then(scalarsOf);
    });
    const scalars = await Promise.all(runs);
    await before;
    const skipped = this.#countSkipped(step, scalars.at(-1) ?? {});
    if (!skipped) for (const run of scalars) checkFinite(run, step);
    const nowMs = performance.now();
    const seconds = (nowMs - Math.max(beganMs, this.#doneMs)) / 1000;
    this.#doneMs = nowMs;
    const objectives = scalars.flatMap((run) => run.objective ?? []);
    const {
      grad_norm: gradientNorm,
      learning_rate: learningRate,
      loss_scale: lossScale,
    } = scalars.at(-1) ?? {};
    return {
      step,
      losses: meanLosses(scalars),
      ...(objectives.length > 0 && {
        objective: objectives.reduce((sum, value) => sum + value, 0) / objectives.length,
      }),
      ...(gradientNorm !== undefined && { gradientNorm }),
      ...(learningRate !== undefined && { learningRate }),
      ...(lossScale !== undefined && { lossScale }),
      skipped,
      skippedSteps: this.#skippedSteps,
      examples: batches.reduce((sum, batch) => sum + batch.examples, 0),
      validTokens: batches.reduce((sum, batch) => sum + batch.validTokens, 0),
      seconds,
    };
  }

  /** @returns whether the device has skipped the step. @throws KilnError after too many in a row */
  #countSkipped(step: number, values: Scalars): boolean {
    const total = values.skipped ?? this.#skippedSteps;
    const skipped = total > this.#skippedSteps;
    this.#skippedSteps = total;
    this.#skippedInARow = skipped ? this.#skippedInARow + 1 : 0;
    if (this.#skippedInARow >= mostSkippedInARow) throw neverFinite(step, values);
    return skipped;
  }

  evaluate(source: BatchSource, count: number): Promise<EvaluationReport> {
    return evaluateOn(this.#program, this.executor, source, count);
  }

  save(path: string): Promise<void> {
    return this.withState((state) => saveCheckpoint(path, state));
  }

  withState<T>(use: (state: CheckpointContents) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      await this.#last;
      const program = this.#program;
      return use({
        step: this.#stepsBegun,
        seed: this.#seed,
        programName: program.name,
        programHash: program.hash,
        data: program.data,
        sources: program.sources,
        overrides: program.overrides,
        ...(program.precision !== undefined && { precision: program.precision }),
        ...(program.memoryBytes !== undefined && { memoryBytes: program.memoryBytes }),
        ...(program.tuning !== undefined && { tuning: program.tuning }),
        vocabulary: this.#batches.vocabulary,
        ...(this.#batches.labels !== undefined && { labels: this.#batches.labels }),
        ...(this.#batches.tokenizer !== undefined && { tokenizer: this.#batches.tokenizer }),
        tensors: await stateTensors(program, this.executor.memory),
      });
    });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#queue;
    await this.#last.catch(() => undefined);
    this.executor.destroy();
  }
}
