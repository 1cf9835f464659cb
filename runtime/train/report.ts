import type { ProgramEntry } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import type { Outputs } from "../execute/index.ts";
import type { ConfusionCounts } from "./confusion.ts";

/** What one training step gave. */
export interface StepReport {
  /** Steps done since the run began, this one included: the first step of a run is 1. */
  readonly step: number;
  /** By the spec's names (`mlm`, `nsp`), in nats; the mean over the step's micro-batches. */
  readonly losses: Readonly<Record<string, number>>;
  /** What was minimized. */
  readonly objective?: number;
  /** Global norm of the gradients before clipping. */
  readonly gradientNorm?: number;
  readonly learningRate?: number;
  /** Mixed precision: what the objective is multiplied with from the next step on. */
  readonly lossScale?: number;
  /** The gradient was not finite, so the step changed nothing: its losses may be NaN. */
  readonly skipped: boolean;
  /** Steps skipped since the run began, this one included. */
  readonly skippedSteps: number;
  /** Examples (sentence pairs) in the step, and their tokens without padding. */
  readonly examples: number;
  readonly validTokens: number;
  /** Since the step before was done, or this one begun if that was later. */
  readonly seconds: number;
}

/** Means over the batches of an evaluation. */
export interface EvaluationReport {
  readonly losses: Readonly<Record<string, number>>;
  /** The spec's `metric`s. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What `minimize` says. */
  readonly objective: number;
  /** Of a model with an output `logits`, on labelled data: how often a class (by id) was told as which. */
  readonly confusion?: ConfusionCounts;
  readonly batches: number;
  readonly examples: number;
}

const lossPrefix = "loss.";
const metricPrefix = "metric.";

/** The outputs with one value: those a training loop reads at every step. */
export function scalarOutputs(entry: ProgramEntry | undefined): readonly string[] {
  return (entry?.outputs ?? [])
    .filter((output) => output.shape.every((size) => size === 1))
    .map((output) => output.name);
}

export type Scalars = Readonly<Record<string, number>>;

export function scalarsOf(outputs: Outputs): Scalars {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, output.data[0] ?? Number.NaN]),
  );
}

/**
 * Mean of each loss over the runs that give it, by its name in the spec.
 * @param weights what each run counts for; default: all alike
 */
export function meanLosses(runs: readonly Scalars[], weights?: readonly number[]): Scalars {
  return means(runs, weights, lossPrefix);
}

/** The same of metrics. */
export function meanMetrics(runs: readonly Scalars[], weights?: readonly number[]): Scalars {
  return means(runs, weights, metricPrefix);
}

function means(runs: readonly Scalars[], weights: readonly number[] | undefined, prefix: string): Scalars {
  const names = [...new Set(runs.flatMap(Object.keys))].filter((name) => name.startsWith(prefix));
  return Object.fromEntries(
    names.map((name) => {
      let sum = 0;
      let total = 0;
      runs.forEach((run, i) => {
        const value = run[name];
        if (value === undefined) return;
        const weight = weights?.[i] ?? 1;
        sum += weight * value;
        total += weight;
      });
      return [name.slice(prefix.length), sum / total];
    }),
  );
}

const divergenceHint =
  "lower the learning rate or lengthen its warm-up, add `clip global_norm(1.0)`, and look for log or division of 0 in the spec's own layers";

/** So many steps in a row without a finite gradient are no accident: the run stops. */
export const mostSkippedInARow = 10;

/**
 * @param step of the run, from 1: the last one skipped
 * @param values of that step
 */
export function neverFinite(step: number, values: Scalars): KilnError {
  const losses = Object.entries(values)
    .filter(([name, value]) => name.startsWith(lossPrefix) && !Number.isFinite(value))
    .map(([name, value]) => `the loss \`${name.slice(lossPrefix.length)}\` is ${wordFor(value)}`);
  return new KilnError(
    "user",
    `the gradient was not finite in ${mostSkippedInARow} steps in a row, ${step - mostSkippedInARow + 1} to ${step}${losses.length > 0 ? `; ${losses.join(", ")}` : ""}`,
    `none of them changed the model; go on from a checkpoint before them: ${divergenceHint}`,
  );
}

function wordFor(value: number): string {
  return Number.isNaN(value) ? "NaN" : value > 0 ? "infinite" : "minus infinity";
}

/**
 * @param step of the run, from 1
 * @throws KilnError `user` naming the loss (or other value) and the step, when one is NaN or infinite
 */
export function checkFinite(values: Scalars, step: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (Number.isFinite(value)) continue;
    const what = name.startsWith(lossPrefix)
      ? `the loss \`${name.slice(lossPrefix.length)}\``
      : `\`${name}\``;
    throw new KilnError("user", `${what} became ${wordFor(value)} in step ${step}`, divergenceHint);
  }
}
