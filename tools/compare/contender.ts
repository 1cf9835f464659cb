import type { EntryName } from "../../compiler/index.ts";
import type { Precision } from "../../compiler/program/index.ts";
import type { FusionRule } from "../../compiler/schedule/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { DispatchTime } from "../../runtime/execute/index.ts";
import type { Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { type Compiled, compileSpec } from "../spec.ts";
import type { ChosenTuning } from "../tuning/choose-tuning.ts";
import { type Comparison, kernelFigures, median, planFigures } from "./figures.ts";
import type { Stage } from "./page/content.ts";
import type { Roofline } from "./roofline.ts";

/** A way to compile a spec. */
export interface Way {
  readonly fuse: boolean;
  readonly without: readonly FusionRule[];
  /** Bytes that all buffers of the program together may take. */
  readonly memoryBytes?: number | undefined;
  readonly tuning?: ChosenTuning | undefined;
  readonly precision?: Precision | undefined;
  /** Default: all that the spec has. */
  readonly entries?: readonly EntryName[];
}

export interface SpecToCompare {
  readonly spec: string;
  readonly set: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly corpus: string | undefined;
}

/** One side of the comparison, on the device. Close it to free the device's memory. */
export class Contender {
  readonly compiled: Compiled;
  readonly batches: BatchSource;
  readonly losses: number[] = [];
  /** Mixed precision: what the next step would multiply the objective with. */
  lossScale: number | undefined;
  readonly #trainer: Trainer;
  readonly #ms: number[] = [];
  readonly #profiles: (readonly DispatchTime[])[] = [];
  /** Submits while training, before any profile. */
  #submits = 0;

  private constructor(compiled: Compiled, batches: BatchSource, trainer: Trainer) {
    this.compiled = compiled;
    this.batches = batches;
    this.#trainer = trainer;
  }

  static async open(
    { spec, set, seed, corpus }: SpecToCompare,
    way: Way,
    kiln: KilnDevice,
    console: Console,
  ): Promise<Contender> {
    const { openBatches } = await import("../../runtime/data/index.ts");
    const { createTrainer } = await import("../../runtime/train/index.ts");
    const compiled = await compileWay(spec, set, way, kiln, console);
    const { program } = compiled;
    const batches = await openBatches(program.data, {
      split: "train",
      seed,
      ...(corpus !== undefined && { corpus }),
    });
    try {
      const trainer = await createTrainer(program, kiln, { seed, batches, drafts: false });
      return new Contender(compiled, batches, trainer);
    } catch (thrown) {
      await batches.close();
      throw thrown;
    }
  }

  /** What a training step runs. */
  get trainingEntries(): readonly EntryName[] {
    return this.compiled.program.entries.accumulate === undefined ? ["train"] : ["accumulate", "train"];
  }

  async step(): Promise<void> {
    const began = performance.now();
    const report = await this.#trainer.step();
    this.#ms.push(performance.now() - began);
    this.#submits = this.#trainer.executor.counters.submits;
    this.lossScale = report.lossScale;
    this.losses.push(report.objective ?? Object.values(report.losses).reduce((sum, loss) => sum + loss, 0));
  }

  /** Runs the `train` entry once more with every dispatch timed on the device. */
  async profile(): Promise<void> {
    const batch = await this.batches.next();
    this.#profiles.push(await this.#trainer.executor.profile("train", batch.fields));
  }

  /** For the page: the training step as planned, with what was measured of it. */
  stage(figures: Comparison): Stage {
    const { program, stages } = this.compiled;
    const schedule = stages?.schedules.get("train");
    if (schedule === undefined) throw new Error("what was trained has a training step");
    return { program, schedule, figures };
  }

  measured(roofline: Roofline | undefined): Comparison {
    const { program } = this.compiled;
    const { train } = program.entries;
    return {
      ...planFigures(program),
      submits: this.#submits / this.losses.length,
      msPerStep: median(this.#ms),
      losses: this.losses,
      ...(train !== undefined && kernelFigures(train, this.#profiles, roofline)),
    };
  }

  async close(): Promise<void> {
    await this.#trainer.dispose();
    await this.batches.close();
  }
}

export function compileWay(
  spec: string,
  set: Readonly<Record<string, string>>,
  way: Way,
  kiln: KilnDevice,
  console: Console,
): Promise<Compiled> {
  return compileSpec(spec, console, { profile: kiln.profile, settings: set, ...way });
}
