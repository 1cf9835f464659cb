import { Failure } from "../failure.ts";
import type { HeldOutRecord } from "../report/held-out-history.ts";
import { defaultMeasure, isBetter, type Measure } from "./measures.ts";

/** Remembers which step of a run was the best on held-out data. */
export class BestCheckpoint {
  #name: string | undefined;
  #best: { readonly step: number; readonly value: number } | undefined;
  readonly #earlier: readonly HeldOutRecord[];

  /**
   * @param name of the measure that counts; default: see `defaultMeasure`
   * @param earlier evaluations of the run before it was resumed
   */
  constructor(name: string | undefined, earlier: readonly HeldOutRecord[]) {
    this.#name = name;
    this.#earlier = earlier;
  }

  /** undefined before the first evaluation. */
  get found(): { readonly measure: string; readonly step: number; readonly value: number } | undefined {
    return this.#name === undefined || this.#best === undefined
      ? undefined
      : { measure: this.#name, ...this.#best };
  }

  /**
   * @returns whether the model after `step` steps is better than all before
   * @throws Failure (wrong usage) for a measure that the evaluation does not have
   */
  offer(step: number, measures: readonly Measure[]): boolean {
    const isFirst = this.#best === undefined;
    const name = this.#name ?? defaultMeasure(measures);
    const measure = measures.find((candidate) => candidate.name === name);
    if (name === undefined || measure === undefined) {
      throw new Failure(2, {
        message: `there is no measure \`${name ?? ""}\` to choose the best checkpoint by`,
        hint: `--best takes ${measures.map((known) => known.name).join(", ")}`,
      });
    }
    this.#name = name;
    if (isFirst) {
      for (const record of this.#earlier) {
        const value = record.measures[name];
        if (value !== undefined && isBetter({ ...measure, value }, this.#best?.value))
          this.#best = { step: record.step, value };
      }
    }
    if (!isBetter(measure, this.#best?.value)) return false;
    this.#best = { step, value: measure.value };
    return true;
  }
}
