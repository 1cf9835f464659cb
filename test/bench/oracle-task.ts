import type { TrainingTask } from "../../bench/training-task.ts";
import { readFixture } from "../oracle/fixture.ts";
import { need } from "../oracle/runs.ts";

/** Of the fixture's ten: the third loss depends on Adam's second step with its bias corrections. */
const stepCount = 3;

/** The model, weights and batch of `bert-d2l.safetensors` as a task of the benchmark, and what it tells of its first steps. */
export async function frameworkTask(): Promise<{
  readonly task: TrainingTask;
  readonly stepCount: number;
  /** mlm + nsp of each step, in float64. */
  readonly losses: readonly number[];
}> {
  const { sizes, batch, parameters, steps } = await readFixture("bert-d2l");
  const size = (name: string): number => need(sizes[name], `the size ${name}`);
  const integers = (name: string) => Int32Array.from(need(batch[name], `the field ${name}`));
  const [maxLen, hidden] = [size("max_len"), size("hidden")];
  const weights = new Map(
    [...parameters].map(([name, { shape, data }]) => {
      // The fixture has more rows of positions than its texts are long; the benchmark's models use all they have.
      const isPosition = name === "encoder.position.weight";
      return [
        name,
        isPosition
          ? { shape: [maxLen, hidden], data: Float32Array.from(data.subarray(0, maxLen * hidden)) }
          : { shape, data: Float32Array.from(data) },
      ] as const;
    }),
  );
  return {
    task: {
      configuration: {
        batch: size("batch"),
        vocab: size("vocab"),
        hidden,
        layers: size("layers"),
        heads: size("heads"),
        ffn: size("ffn"),
        max_len: maxLen,
        predictions: size("predictions"),
        learning_rate: 0.01,
      },
      weights,
      batches: [
        {
          tokens: integers("tokens"),
          segments: integers("segments"),
          valid: integers("valid"),
          positions: integers("positions"),
          labels: integers("labels"),
          weights: Float32Array.from(need(batch.weights, "the field weights")),
          next: integers("next"),
        },
      ],
    },
    stepCount,
    losses: steps.slice(0, stepCount).map((step) => step.total),
  };
}
