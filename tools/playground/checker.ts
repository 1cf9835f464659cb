import type { Checked, SpecText } from "./messages.ts";
import { Refusal, type WorkerHost } from "./worker-host.ts";

/** From the last key stroke to the check. */
const debounceMs = 150;

export type CheckOutcome = Checked | { readonly tooLong: string };

/**
 * Checks a spec as it is edited. One check is under way at a time; of those asked for meanwhile only the latest follows, and no outcome
 * of an older text is told.
 */
export class Checker {
  readonly #host: WorkerHost;
  readonly #limitMs: number;
  readonly #onOutcome: (spec: SpecText, outcome: CheckOutcome) => void;
  #latest: SpecText | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;

  constructor(host: WorkerHost, limitMs: number, onOutcome: (spec: SpecText, outcome: CheckOutcome) => void) {
    this.#host = host;
    this.#limitMs = limitMs;
    this.#onOutcome = onOutcome;
  }

  check(spec: SpecText): void {
    this.#latest = spec;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), debounceMs);
  }

  async #run(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let spec = this.#latest, done: SpecText | undefined; spec !== done; spec = this.#latest) {
        if (spec === undefined) break;
        const outcome = await this.#outcomeOf(spec);
        done = spec;
        if (this.#latest === spec) this.#onOutcome(spec, outcome);
      }
    } finally {
      this.#isBusy = false;
    }
  }

  async #outcomeOf(spec: SpecText): Promise<CheckOutcome> {
    const seconds = this.#limitMs / 1000;
    try {
      return await this.#host.ask(
        { kind: "check", spec },
        this.#limitMs,
        `checking this spec took longer than ${seconds} s and was ended: make it smaller`,
      );
    } catch (thrown) {
      if (thrown instanceof Refusal) return { tooLong: thrown.message };
      throw thrown;
    }
  }
}
