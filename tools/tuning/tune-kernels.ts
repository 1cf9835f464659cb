import type { Kernel } from "../../compiler/kernel/index.ts";
import type { DeviceProfile } from "../../compiler/program/index.ts";
import { type ScheduledDispatch, withVariant } from "../../compiler/schedule/index.ts";
import { isRounding, largestDifference } from "./compare-results.ts";
import type { Elements } from "./draw-tensors.ts";
import { Duel, type Ratio } from "./duel.ts";
import type { KernelToTune } from "./kernels-to-tune.ts";

/** What became of a kernel. */
export interface TunedKernel {
  readonly kernel: KernelToTune;
  /** The variant to use; the cost model's where none was clearly faster. */
  readonly variant: string;
  /** Its dispatch's time as a part of that with the cost model's variant; undefined where that is kept. */
  readonly ratio: Ratio | undefined;
  /** Milliseconds of its dispatch with the cost model's variant, the mean of many in one submit. */
  readonly dispatchMs: number;
  /** Variants that were measured. */
  readonly tried: number;
  /** Variants of which the time did not suffice to tell whether they are faster. */
  readonly undecided: readonly string[];
  readonly rejected: readonly RejectedVariant[];
}

/** A variant that is not to be used however fast it is. */
export interface RejectedVariant {
  readonly variant: string;
  readonly reason: string;
}

/** A dispatch on the device by itself, written as one variant. */
export interface Trial {
  /** What it writes when run once on the tensors as they were filled, the same for all variants. */
  results(): Promise<readonly Elements[]>;
  /** Milliseconds of a submit with the dispatch so many times, the way to the device and back included. */
  time(repeat: number): Promise<number>;
  close(): void;
}

export interface TuningRun {
  /**
   * Puts a variant of a dispatch on the device.
   * @returns why the device does not take it, where it does not
   */
  readonly open: (dispatch: ScheduledDispatch, kernel: Kernel) => Promise<Trial | string>;
  /** Milliseconds for all kernels together; each gets its share of what is left, the longest first. */
  readonly budgetMs: number;
  /** Variants that won before, by kernel: tried first. */
  readonly earlier: Readonly<Record<string, string>>;
  /** Aborted: what is found by then is kept. */
  readonly signal: AbortSignal;
  /** Told before each variant. */
  readonly onVariant: (kernel: KernelToTune, at: number, elapsedMs: number) => void;
  /** Told of each kernel that was measured. */
  readonly onKernel: (tuned: TunedKernel) => Promise<void>;
}

/** Kernels below this part of the step cannot repay what measuring them takes. */
const LEAST_SHARE = 0.002;
/** A submit is repeated until it takes so many times the device's shortest: then the timer's grain no longer counts. */
const GRAINS = 20;
/** Bounds of a submit, ms: below, an idle timer's jitter shows; above, other work waits too long. */
const [SHORTEST_MS, LONGEST_MS] = [5, 200] as const;

/**
 * Measures the variants of kernels, each against the fastest so far, in turns.
 * @param profile of the device that they were scheduled for
 * @returns those that were measured, in the order given
 */
export async function tuneKernels(
  kernels: readonly KernelToTune[],
  profile: DeviceProfile,
  run: TuningRun,
): Promise<readonly TunedKernel[]> {
  const began = performance.now();
  const worth = kernels.filter(({ share }) => share >= LEAST_SHARE);
  const tuned: TunedKernel[] = [];
  for (const [at, kernel] of worth.entries()) {
    const elapsed = performance.now() - began;
    if (run.signal.aborted || elapsed >= run.budgetMs) break;
    const sharesLeft = worth.slice(at).reduce((sum, { share }) => sum + share, 0);
    const untilMs = performance.now() + (run.budgetMs - elapsed) * (kernel.share / sharesLeft);
    const one = new KernelTuner(kernel, profile, untilMs, run, () => {
      run.onVariant(kernel, at, performance.now() - began);
    });
    const found = await one.tune();
    if (found === undefined) continue;
    tuned.push(found);
    await run.onKernel(found);
  }
  return tuned;
}

/** The search for one kernel. */
class KernelTuner {
  readonly #kernel: KernelToTune;
  readonly #profile: DeviceProfile;
  readonly #untilMs: number;
  readonly #run: TuningRun;
  readonly #onVariant: () => void;
  readonly #undecided: string[] = [];
  readonly #rejected: RejectedVariant[] = [];
  #tried = 0;
  #repeat = 1;

  constructor(
    kernel: KernelToTune,
    profile: DeviceProfile,
    untilMs: number,
    run: TuningRun,
    onVariant: () => void,
  ) {
    this.#kernel = kernel;
    this.#profile = profile;
    this.#untilMs = untilMs;
    this.#run = run;
    this.#onVariant = onVariant;
  }

  /** @returns undefined where there was no time for a single variant */
  async tune(): Promise<TunedKernel | undefined> {
    const { chosen, others } = this.#kernel;
    const won = this.#run.earlier[this.#kernel.key];
    const order = [...others.filter((name) => name === won), ...others.filter((name) => name !== won)];
    const incumbent = await this.#open(chosen);
    if (incumbent === undefined) return undefined;
    let best = { variant: chosen, trial: incumbent };
    try {
      const expected = await incumbent.results();
      const dispatchMs = await this.#calibrate(incumbent);
      for (const variant of order) {
        if (this.#isOver()) break;
        this.#onVariant();
        const trial = await this.#open(variant);
        if (trial === undefined) continue;
        if (await this.#isBetter(variant, trial, expected, best.trial)) {
          if (best.trial !== incumbent) best.trial.close();
          best = { variant, trial };
        } else trial.close();
      }
      if (this.#tried === 0 && this.#rejected.length === 0) return undefined;
      // The fastest of many was also the luckiest: what counts is measured anew.
      const ratio =
        best.trial === incumbent ? undefined : (await this.#fight(incumbent, best.trial, true)).won;
      return {
        kernel: this.#kernel,
        variant: ratio === undefined ? chosen : best.variant,
        ratio,
        dispatchMs,
        tried: this.#tried,
        undecided: this.#undecided,
        rejected: this.#rejected,
      };
    } finally {
      incumbent.close();
      if (best.trial !== incumbent) best.trial.close();
    }
  }

  #isOver(): boolean {
    return this.#run.signal.aborted || performance.now() >= this.#untilMs;
  }

  /** @returns undefined where the device refuses the variant */
  async #open(variant: string): Promise<Trial | undefined> {
    const { key, dispatch, chosen } = this.#kernel;
    const kernel =
      variant === chosen ? dispatch.kernel : withVariant(dispatch.kernel, key, variant, this.#profile);
    const trial = await this.#run.open(dispatch, kernel);
    if (typeof trial !== "string") return trial;
    this.#rejected.push({ variant, reason: trial });
    return undefined;
  }

  async #isBetter(
    variant: string,
    trial: Trial,
    expected: readonly Elements[],
    best: Trial,
  ): Promise<boolean> {
    const { kernel, writes } = this.#kernel.dispatch;
    const actual = await trial.results();
    const differences = writes.map((position, i) => {
      const { dtype } = kernel.tensors[position]!;
      return { dtype, difference: largestDifference(dtype, expected[i]!, actual[i]!) };
    });
    if (!differences.every(({ dtype, difference }) => isRounding(dtype, difference))) {
      const difference = Math.max(...differences.map((each) => each.difference));
      const reason = `its results differ from those of the cost model's variant by ${difference.toExponential(1)}`;
      this.#rejected.push({ variant, reason });
      return false;
    }
    this.#tried += 1;
    const duel = await this.#fight(best, trial, false);
    if (duel.isOpen) this.#undecided.push(variant);
    return duel.won !== undefined;
  }

  /**
   * @param toTheEnd whatever the time: the last word on a kernel
   * @returns what the challenger takes if it is clearly faster, and whether more time might have told
   */
  async #fight(
    incumbent: Trial,
    challenger: Trial,
    toTheEnd: boolean,
  ): Promise<{ readonly won: Ratio | undefined; readonly isOpen: boolean }> {
    const duel = new Duel();
    while (duel.verdict === "open" && (toTheEnd || duel.pairs === 0 || !this.#isOver())) {
      // Whoever goes first changes with every pair.
      const first = duel.pairs % 2 === 0 ? incumbent : challenger;
      const firstMs = await first.time(this.#repeat);
      const secondMs = await (first === incumbent ? challenger : incumbent).time(this.#repeat);
      if (first === incumbent) duel.add(firstMs, secondMs);
      else duel.add(secondMs, firstMs);
    }
    const { verdict } = duel;
    return { won: verdict === "faster" ? duel.ratio : undefined, isOpen: verdict === "open" };
  }

  /**
   * Repeats a submit until its time is well above what the timer and the way to the device are unsure of.
   * @returns milliseconds of one dispatch
   */
  async #calibrate(trial: Trial): Promise<number> {
    const empty = [await trial.time(0), await trial.time(0), await trial.time(0)];
    const wantedMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, GRAINS * Math.min(...empty)));
    let ms = await trial.time(this.#repeat);
    while (ms < wantedMs) {
      const factor = ms === 0 ? 8 : Math.min(8, Math.ceil((1.2 * wantedMs) / ms));
      this.#repeat *= Math.max(2, factor);
      ms = await trial.time(this.#repeat);
    }
    return ms / this.#repeat;
  }
}
