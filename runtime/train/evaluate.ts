import type { Program } from "../../compiler/program/index.ts";
import type { BatchSource } from "../data/index.ts";
import type { Executor } from "../execute/index.ts";
import { ConfusionMatrix } from "./confusion.ts";
import {
  type EvaluationReport,
  meanLosses,
  meanMetrics,
  type Scalars,
  scalarOutputs,
  scalarsOf,
} from "./report.ts";

/** The output that holds a number for every class, and the fields with the class and whether it counts: names of the shipped library. */
const logitsName = "output.logits";
const labelsName = "labels";
const weightsName = "weights";

/**
 * Losses and metrics of the program's parameters over a source's next `count` batches, without dropout. Means are over
 * examples: a batch that is not full counts for as many as it has.
 * @throws KilnError `usage` for a program without an `evaluate` entry
 */
export async function evaluateOn(
  program: Program,
  executor: Executor,
  source: BatchSource,
  count: number,
): Promise<EvaluationReport> {
  const scalars = scalarOutputs(program.entries.evaluate);
  const logits =
    source.labels === undefined
      ? undefined
      : program.entries.evaluate?.outputs.find(({ name }) => name === logitsName);
  const confusion = logits === undefined ? undefined : new ConfusionMatrix(logits.shape.at(-1) ?? 0);
  const wanted = confusion === undefined ? scalars : [...new Set([...scalars, logitsName])];
  const runs: Scalars[] = [];
  const weights: number[] = [];
  for (let i = 0; i < count; i++) {
    const batch = await source.next();
    const outputs = await executor.run("evaluate", batch.fields, { outputs: wanted });
    const told = outputs[logitsName];
    const [labels, counted] = [batch.fields[labelsName], batch.fields[weightsName]];
    if (told !== undefined && labels !== undefined && counted !== undefined)
      confusion?.add(told.data, labels, counted);
    runs.push(
      scalarsOf(Object.fromEntries(Object.entries(outputs).filter(([name]) => scalars.includes(name)))),
    );
    weights.push(batch.examples);
  }
  const objectives = runs.map((run) => run.objective ?? Number.NaN);
  const examples = weights.reduce((sum, n) => sum + n, 0);
  return {
    losses: meanLosses(runs, weights),
    metrics: meanMetrics(runs, weights),
    objective: objectives.reduce((sum, value, i) => sum + value * weights[i]!, 0) / examples,
    batches: count,
    examples,
    ...(confusion !== undefined && { confusion: confusion.counts }),
  };
}
