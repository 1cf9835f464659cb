import { SingleBar } from "cli-progress";
import type { Colours, Console } from "../console.ts";
import type { LossNames, StepRecord } from "../report/history.ts";
import { displayWidth } from "./table.ts";
import { formatCount, formatLoss, formatRate, formatTimeLeft } from "./units.ts";

export interface ProgressOptions {
  /** Steps of the whole run, and those done before it was resumed. */
  readonly totalSteps: number;
  readonly firstStep: number;
  readonly names: LossNames;
  /** Best possible losses, shown beside the loss. */
  readonly floors: Readonly<Record<string, number>>;
  /** What an example is called: `pairs`, `windows`. */
  readonly unit: string;
}

/** A number of an evaluation, by its name. */
export interface ShownMeasure {
  readonly name: string;
  readonly value: number;
}

/** Shows a run while it goes on. */
export interface Progress {
  step(record: StepRecord): void;
  /** A line that stays, of an evaluation between two steps. */
  evaluation(step: number, measures: readonly ShownMeasure[], isBest: boolean): void;
  /** Leaves what is shown last standing and ends the display. */
  stop(): void;
}

/** Steps that the shown rate and the time left are averaged over: long enough to be steady, short enough to follow. */
const rateWindow = 20;

/** A bar where a person looks at a terminal, else a line now and then. */
export function showProgress(console: Console, options: ProgressOptions): Progress {
  const stream = console.progressStream;
  return stream === undefined
    ? new PlainProgress(console, options)
    : new BarProgress(console, stream, options);
}

/** What is to be said after a step; the parts are joined differently by bar and lines. */
interface Status {
  readonly done: number;
  readonly total: number;
  readonly losses: readonly {
    readonly name: string;
    readonly value: number;
    readonly floor: number | undefined;
  }[];
  /** Steps that changed nothing, as their gradient was not finite. */
  readonly skipped: number;
  readonly perSecond: number;
  readonly unit: string;
  readonly msLeft: number;
}

class StatusTracker {
  readonly #options: ProgressOptions;
  readonly #recent: StepRecord[] = [];
  #skipped = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  add(record: StepRecord): Status {
    const { totalSteps, names, floors } = this.#options;
    this.#recent.push(record);
    if (record.skipped === true) this.#skipped += 1;
    // The first step of a run compiles pipelines and fills the read-ahead: no measure of the others.
    if (
      this.#recent.length > rateWindow ||
      (this.#recent.length === 2 && this.#recent[0]?.step === this.#options.firstStep + 1)
    ) {
      this.#recent.shift();
    }
    const ms = this.#recent.reduce((sum, { ms }) => sum + ms, 0);
    const examples = this.#recent.reduce((sum, { examples }) => sum + examples, 0);
    return {
      done: record.step,
      total: totalSteps,
      losses: names.map((name) => ({ name, value: record.losses[name] ?? Number.NaN, floor: floors[name] })),
      skipped: this.#skipped,
      perSecond: (examples / ms) * 1000,
      unit: this.#options.unit,
      msLeft: (ms / this.#recent.length) * (totalSteps - record.step),
    };
  }
}

class PlainProgress implements Progress {
  readonly #console: Console;
  readonly #tracker: StatusTracker;
  #saidAt = Number.NEGATIVE_INFINITY;
  #unsaid: Status | undefined;

  constructor(console: Console, options: ProgressOptions) {
    this.#console = console;
    this.#tracker = new StatusTracker(options);
  }

  step(record: StepRecord): void {
    const status = this.#tracker.add(record);
    const tenth = Math.max(1, Math.round(status.total / 10));
    const now = performance.now();
    this.#unsaid = status;
    if (record.skipped === true)
      this.#console.note(
        `step ${formatCount(record.step)}: the gradient is not finite, so the step was skipped${scaleWords(record)}`,
      );
    if (status.done % tenth === 0 || now - this.#saidAt > 10_000) this.#say(status, now);
  }

  evaluation(step: number, measures: readonly ShownMeasure[], isBest: boolean): void {
    if (this.#unsaid !== undefined) this.#say(this.#unsaid, performance.now());
    this.#console.note(evaluationLine(step, measures, isBest));
  }

  stop(): void {
    if (this.#unsaid !== undefined) this.#say(this.#unsaid, performance.now());
  }

  #say(status: Status, now: number): void {
    this.#saidAt = now;
    this.#unsaid = undefined;
    this.#console.note(plainLine(status));
  }
}

/** `step  30/300  mlm 5.123 (best 2.710)  nsp 0.693  104 pairs/s  1m 05s left` */
export function plainLine(status: Status): string {
  const total = formatCount(status.total);
  const parts = [
    `step ${formatCount(status.done).padStart(total.length)}/${total}`,
    ...status.losses.map(
      ({ name, value, floor }) =>
        `${name} ${formatLoss(value)}${floor === undefined ? "" : ` (best ${formatLoss(floor)})`}`,
    ),
    ...skippedWords(status),
    `${formatRate(status.perSecond)} ${status.unit}/s`,
    ...(status.done < status.total ? [`${formatTimeLeft(status.msLeft)} left`] : []),
  ];
  return parts.join("  ");
}

/** `held out after step 48: classification 0.912  accuracy 0.577  (best so far)` */
export function evaluationLine(step: number, measures: readonly ShownMeasure[], isBest: boolean): string {
  const words = measures.map(({ name, value }) => `${name} ${formatLoss(value)}`);
  return `held out after step ${formatCount(step)}: ${words.join("  ")}${isBest ? "  (best so far)" : ""}`;
}

/** The first steps of mixed precision overflow until the scale fits: no reason to worry. */
function scaleWords({ lossScale }: StepRecord): string {
  return lossScale === undefined ? "" : ` and the loss scale is now ${formatCount(lossScale)}`;
}

function skippedWords({ skipped }: Status): readonly string[] {
  return skipped === 0 ? [] : [`${formatCount(skipped)} skipped`];
}

class BarProgress implements Progress {
  readonly #bar: SingleBar;
  readonly #tracker: StatusTracker;
  readonly #stream: NodeJS.WritableStream;

  constructor(
    console: Console,
    stream: NodeJS.WritableStream & { readonly columns?: number },
    options: ProgressOptions,
  ) {
    this.#tracker = new StatusTracker(options);
    this.#stream = stream;
    const colours = console.errorColours;
    this.#bar = new SingleBar({
      stream,
      fps: 10,
      // Not hidden: a run that is killed must not leave a terminal without a cursor.
      hideCursor: false,
      emptyOnZero: true,
      gracefulExit: false,
      format: (_options: unknown, _params: unknown, payload: { readonly status?: Status }): string =>
        payload.status === undefined
          ? "preparing the first step ..."
          : barLine(payload.status, stream.columns ?? 80, colours),
    });
    this.#bar.start(options.totalSteps, options.firstStep, {});
  }

  step(record: StepRecord): void {
    const status = this.#tracker.add(record);
    this.#bar.update(status.done, { status });
  }

  evaluation(step: number, measures: readonly ShownMeasure[], isBest: boolean): void {
    // In place of the bar, which is drawn anew below it; the cursor's place is saved again (ESC 7), as the bar's end goes back to it.
    this.#stream.write(`\r\u001B[K${evaluationLine(step, measures, isBest)}\n\u001B7`);
  }

  stop(): void {
    this.#bar.stop();
  }
}

/** One line of at most `columns`: the bar takes what the words leave, and on a narrow terminal goes first. */
export function barLine(status: Status, columns: number, colours: Colours): string {
  const { bold, dim, cyan } = colours;
  const total = formatCount(status.total);
  const step = `${formatCount(status.done).padStart(total.length)}/${total}`;
  const losses = status.losses.map(
    ({ name, value, floor }) =>
      `${dim(name)} ${bold(formatLoss(value))}${floor === undefined ? "" : dim(` (best ${formatLoss(floor)})`)}`,
  );
  const skipped = skippedWords(status).map(colours.yellow);
  const shortLosses = status.losses.map(({ name, value }) => `${dim(name)} ${bold(formatLoss(value))}`);
  const rate = `${formatRate(status.perSecond)} ${dim(`${status.unit}/s`)}`;
  const left = `${formatTimeLeft(status.msLeft)} ${dim("left")}`;
  const candidates = [
    [...losses, ...skipped, rate, left],
    [...shortLosses, ...skipped, rate, left],
    [...shortLosses, ...skipped, left],
    [...shortLosses, ...skipped],
  ];
  const room = columns - 1;
  for (const words of candidates) {
    const text = [step, ...words].join("  ");
    const free = room - displayWidth(text) - 2;
    if (free < 10) continue;
    const width = Math.min(free, 40);
    const filled =
      status.total === 0 ? width : Math.round((Math.min(status.done, status.total) / status.total) * width);
    return `${cyan("━".repeat(filled))}${dim("─".repeat(width - filled))}  ${text}`;
  }
  return [step, ...shortLosses, ...skipped].join(" ");
}
