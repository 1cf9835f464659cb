import type { Program } from "../../compiler/program/index.ts";
import type { BatchSource, OpenOptions } from "../../runtime/data/index.ts";
import type { EvaluationReport, Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";

/** Text or examples that a run is not trained on, the same batches at every evaluation. */
export interface HeldOut {
  evaluate(trainer: Trainer): Promise<EvaluationReport>;
  close(): Promise<void>;
}

/** Batches of an evaluation. Labelled sets are small: all of one is taken, up to a bound. */
const most = { text: 8, labelled: 64 } as const;
/** Of text: a tenth of the run's work at most. */
const stepsPerBatch = 10;

/**
 * @param batches how many to take; default: by the kind of data
 * @returns undefined where the corpus has no held-out part (which is said), or the program no entry for it
 */
export async function openHeldOut(
  program: Program,
  options: Omit<OpenOptions, "split" | "once">,
  batches: number | undefined,
  totalSteps: number,
  console: Console,
): Promise<HeldOut | undefined> {
  if (program.entries.evaluate === undefined) return undefined;
  const { openBatches } = await import("../../runtime/data/index.ts");
  const { KilnError } = await import("../../runtime/errors.ts");
  let source: BatchSource;
  try {
    source = await openBatches(program.data, { ...options, split: "valid", once: true });
  } catch (thrown) {
    // A person's own text may have no held-out part worth the name; the training itself goes on.
    if (!(thrown instanceof KilnError) || thrown.kind !== "user") throw thrown;
    console.note(`no held-out losses: ${thrown.message}`);
    return undefined;
  }
  const pass = source.batchesInPass;
  const usual =
    pass === undefined
      ? Math.max(1, Math.min(most.text, Math.round(totalSteps / stepsPerBatch)))
      : Math.min(pass, most.labelled);
  const count = batches === undefined ? usual : Math.min(batches, pass ?? batches);
  return {
    evaluate(trainer) {
      source.seek(0);
      return trainer.evaluate(source, count);
    },
    close: () => source.close(),
  };
}
