import { type CheckOptions, compile } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import { openMaker, sourceOf } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createTrainer, type StepReport, type Trainer } from "../../runtime/train/index.ts";
import { bestPossible, describeModel, exampleUnit } from "../training/describe.ts";
import { SpecError } from "./failure.ts";
import type { LossPoint, NewRun, OwnText, Preparation, SpecText, Started } from "./messages.ts";
import { openRun, saveRun, saveText } from "./run-store.ts";
import { carriedSources, editorSources, problemsOf } from "./spec-sources.ts";

/** Between two saves of a run under way: what a person would not mind to compute again. */
const saveEveryMs = 20_000;

/** A run in this worker: a trainer, its place in the storage, and the losses so far. */
export interface TrainingRun {
  readonly started: Started;
  /** Trains until all steps are done or `pause` is called, and saves. @returns whether all are done */
  advance(onStep: (report: StepReport) => void, onSaved: (step: number) => void): Promise<boolean>;
  /** Ends `advance` after the steps under way. */
  pause(): void;
  /** @returns the step that was saved */
  save(): Promise<number>;
  dispose(): Promise<void>;
}

interface Prepared {
  readonly run: string;
  readonly spec: SpecText;
  readonly sources: CheckOptions;
  readonly seed: number;
  readonly text: OwnText | undefined;
  readonly resume?: Checkpoint;
  readonly history: readonly LossPoint[];
}

export async function beginRun(
  { run, spec, seed, text }: NewRun,
  kiln: KilnDevice,
  onPreparing: (what: Preparation) => void,
): Promise<TrainingRun> {
  const begun = await prepare(
    { run, spec, sources: editorSources(spec), seed, text, history: [] },
    kiln,
    onPreparing,
  );
  if (text !== undefined) await saveText(run, text);
  return begun;
}

/** Goes on with a saved run, with the spec, the text and the vocabulary that it began with. */
export async function resumeRun(
  run: string,
  kiln: KilnDevice,
  onPreparing: (what: Preparation) => void,
): Promise<TrainingRun> {
  const { checkpoint, notes, text } = await openRun(run);
  const [root] = checkpoint.sources;
  const spec = {
    path: root?.path ?? notes.specPath,
    text: root?.text ?? "",
    settings: checkpoint.overrides,
  };
  return prepare(
    {
      run,
      spec,
      sources: carriedSources(checkpoint.sources, checkpoint.overrides),
      seed: checkpoint.seed,
      text,
      resume: checkpoint,
      history: notes.history,
    },
    kiln,
    onPreparing,
  );
}

async function prepare(
  { run, spec, sources, seed, text, resume, history }: Prepared,
  kiln: KilnDevice,
  onPreparing: (what: Preparation) => void,
): Promise<TrainingRun> {
  onPreparing("compile");
  const program = compileFor(spec, sources, kiln, resume);
  const { losses, steps } = program.settings;
  if (resume !== undefined && resume.step >= steps) {
    throw new KilnError(
      "user",
      `the run \`${run}\` has done all of its ${steps} steps`,
      "set `steps` higher and train anew",
    );
  }
  onPreparing("data");
  const maker = await openMaker(program.data, {
    split: "train",
    seed,
    ...(text !== undefined && { text }),
    ...(resume !== undefined && {
      vocabulary: resume.vocabulary,
      ...(resume.tokenizer !== undefined && { tokenizer: resume.tokenizer }),
      ...(resume.labels !== undefined && { labels: resume.labels }),
    }),
  });
  const batches = sourceOf(maker);
  onPreparing("kernels");
  const trainer = await createTrainer(program, kiln, {
    seed,
    batches,
    ...(resume !== undefined && { resume }),
  });
  const started: Started = {
    run,
    spec,
    seed,
    device: kiln.notice,
    model: describeModel(program),
    data: batches.summary,
    unit: exampleUnit(program),
    losses,
    step: resume?.step ?? 0,
    history,
    totalSteps: steps,
    best: bestPossible(program, batches),
  };
  return new SavedTrainingRun(trainer, started, text?.name);
}

/** @throws SpecError */
function compileFor(
  spec: SpecText,
  sources: CheckOptions,
  kiln: KilnDevice,
  resume: Checkpoint | undefined,
): Program {
  const result = compile(spec.path, {
    ...sources,
    profile: kiln.profile,
    ...(resume?.precision !== undefined && { precision: resume.precision }),
    ...(resume?.memoryBytes !== undefined && { memoryBytes: resume.memoryBytes }),
    ...(resume?.tuning !== undefined && { tuning: resume.tuning, unknownVariants: "ignore" as const }),
  });
  if (result.program === undefined) throw new SpecError(problemsOf(spec.path, result));
  return result.program;
}

class SavedTrainingRun implements TrainingRun {
  readonly started: Started;
  readonly #trainer: Trainer;
  readonly #textName: string | undefined;
  readonly #history: LossPoint[];
  #pausing = new AbortController();

  constructor(trainer: Trainer, started: Started, textName: string | undefined) {
    this.#trainer = trainer;
    this.started = started;
    this.#textName = textName;
    this.#history = [...started.history];
  }

  async advance(onStep: (report: StepReport) => void, onSaved: (step: number) => void): Promise<boolean> {
    const { totalSteps } = this.started;
    this.#pausing = new AbortController();
    let savedMs = performance.now();
    const left = totalSteps - this.#trainer.stepsBegun;
    for await (const report of this.#trainer.steps(left, this.#pausing.signal)) {
      this.#history.push({ step: report.step, losses: report.losses });
      onStep(report);
      if (performance.now() - savedMs < saveEveryMs) continue;
      onSaved(await this.save());
      savedMs = performance.now();
    }
    onSaved(await this.save());
    return this.#trainer.stepsBegun >= totalSteps;
  }

  pause(): void {
    this.#pausing.abort();
  }

  save(): Promise<number> {
    const { run, spec, totalSteps } = this.started;
    return this.#trainer.withState(async (state) => {
      await saveRun(
        run,
        {
          specPath: spec.path,
          totalSteps,
          step: state.step,
          history: this.#history,
          ...(this.#textName !== undefined && { text: this.#textName }),
        },
        state,
      );
      return state.step;
    });
  }

  dispose(): Promise<void> {
    return this.#trainer.dispose();
  }
}
