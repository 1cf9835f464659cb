import type { StepReport } from "../../runtime/train/index.ts";

/** Steps that the rate is a mean of: enough to be steady, few enough to follow what happens. */
const window = 20;

/** How fast a run goes. */
export class Pace {
  readonly #recent: { readonly examples: number; readonly seconds: number }[] = [];

  add({ examples, seconds }: Pick<StepReport, "examples" | "seconds">): void {
    this.#recent.push({ examples, seconds });
    if (this.#recent.length > window) this.#recent.shift();
  }

  get #seconds(): number {
    return this.#recent.reduce((sum, { seconds }) => sum + seconds, 0);
  }

  get examplesPerSecond(): number {
    return this.#recent.reduce((sum, { examples }) => sum + examples, 0) / this.#seconds;
  }

  /** Milliseconds for so many steps more. */
  timeLeftMs(steps: number): number {
    return (1000 * steps * this.#seconds) / this.#recent.length;
  }
}
