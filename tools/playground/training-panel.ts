import type { StepReport } from "../../runtime/train/index.ts";
import { formatCount, formatLoss, formatRate, formatTimeLeft } from "../terminal/units.ts";
import { LossCurves } from "./curves.ts";
import { element, elementById } from "./elements.ts";
import type { Failed, FromWorker, NewRun, Preparation, Started } from "./messages.ts";
import { Pace } from "./pace.ts";
import { WorkerHost } from "./worker-host.ts";

/** A spec may ask for a program that takes for ever to plan. BERT-Large takes seconds. */
const compileLimitMs = 180_000;

const preparations: Readonly<Record<Preparation, string>> = {
  device: "Opening the GPU ...",
  compile: "Compiling the spec ...",
  data: "Reading the text ...",
  kernels: "Compiling the kernels ...",
};

type State = "idle" | "preparing" | "training" | "pausing" | "paused" | "stopping";

export interface TrainingEvents {
  /** A run is ready for its next step. */
  readonly onStarted: (started: Started) => void;
  /** What is saved in this browser has changed. */
  readonly onSaved: () => void;
  readonly onFailed: (failed: Failed) => void;
}

/** The run under way: its buttons, its curves, and the worker that trains it. */
export class TrainingPanel {
  /** Also answers what is asked of saved runs. */
  readonly host: WorkerHost;
  readonly #events: TrainingEvents;
  readonly #train = elementById("train", HTMLButtonElement);
  readonly #pause = elementById("pause", HTMLButtonElement);
  readonly #stop = elementById("stop", HTMLButtonElement);
  readonly #words = elementById("state", HTMLParagraphElement);
  readonly #failure = elementById("failure", HTMLDivElement);
  readonly #progress = elementById("progress", HTMLProgressElement);
  readonly #figures = elementById("figures", HTMLDListElement);
  readonly #curves = new LossCurves(elementById("curves", HTMLDivElement));
  #state: State = "idle";
  #started: Started | undefined;
  #pace = new Pace();
  #latest: StepReport | undefined;
  #compileLimit: ReturnType<typeof setTimeout> | undefined;
  #drawn: number | undefined;

  constructor(startWorker: () => Worker, events: TrainingEvents) {
    this.host = new WorkerHost(startWorker, (message) => this.#receive(message));
    this.#events = events;
    this.#pause.addEventListener("click", () => this.#pauseOrGoOn());
    this.#stop.addEventListener("click", () => this.#stopRun());
    this.#enter("idle", "No run yet.");
  }

  get isBusy(): boolean {
    return this.#state !== "idle";
  }

  begin(begin: NewRun): void {
    this.#prepare();
    this.host.tell({ kind: "train", begin });
  }

  resume(run: string): void {
    this.#prepare();
    this.host.tell({ kind: "resume", run });
  }

  showFailure({ message, hint }: Failed): void {
    this.#failure.replaceChildren(
      element("strong", {}, message),
      ...(hint === undefined ? [] : [`: ${hint}`]),
    );
    this.#failure.hidden = false;
  }

  #prepare(): void {
    this.#failure.hidden = true;
    this.#enter("preparing", "Starting ...");
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "preparing":
        this.#enter("preparing", preparations[message.what]);
        if (message.what === "compile")
          this.#compileLimit = setTimeout(() => this.#tooLong(), compileLimitMs);
        break;
      case "started":
        this.#begun(message.started);
        break;
      case "step":
        this.#step(message.report);
        break;
      case "saved":
        this.#events.onSaved();
        break;
      case "paused":
        if (this.#state !== "stopping")
          this.#enter("paused", `Paused after step ${this.#stepsDone()}, and saved.`);
        break;
      case "went-on":
        this.#enter("training", "Training.");
        break;
      case "ended":
        this.#enter(
          "idle",
          message.why === "done"
            ? `Done: ${this.#stepsDone()} steps. The run is saved.`
            : `Stopped after step ${this.#stepsDone()}. The run is saved: it can be continued below.`,
        );
        break;
      case "run-failed":
        this.#fail(message.failed);
        break;
      case "ready":
      case "answer":
      case "refusal":
        break;
      default:
        message satisfies never;
    }
  }

  #stepsDone(): string {
    return formatCount(this.#latest?.step ?? this.#started?.step ?? 0);
  }

  #begun(started: Started): void {
    this.#started = started;
    this.#latest = undefined;
    this.#pace = new Pace();
    this.#curves.begin(started.losses, started.history, started.best);
    this.#enter("training", "Training.");
    this.#draw();
    this.#events.onStarted(started);
  }

  #step(report: StepReport): void {
    this.#latest = report;
    this.#pace.add(report);
    this.#curves.add({ step: report.step, losses: report.losses });
    // However fast the steps come, figures change once a frame.
    this.#drawn ??= requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#drawn = undefined;
    const started = this.#started;
    if (started === undefined) return;
    const report = this.#latest;
    const step = report?.step ?? started.step;
    this.#progress.max = started.totalSteps;
    this.#progress.value = step;
    const figures: [string, string][] = [
      ["step", `${formatCount(step)} of ${formatCount(started.totalSteps)}`],
      ...started.losses.map((name): [string, string] => [
        name,
        formatLoss(report?.losses[name] ?? Number.NaN),
      ]),
      [`${started.unit} per second`, report === undefined ? "..." : formatRate(this.#pace.examplesPerSecond)],
      [
        "time left",
        report === undefined ? "..." : formatTimeLeft(this.#pace.timeLeftMs(started.totalSteps - step)),
      ],
      ...(report !== undefined && report.skippedSteps > 0
        ? [["skipped steps", formatCount(report.skippedSteps)] satisfies [string, string]]
        : []),
    ];
    const sentences: readonly [string, string][] = [
      ["device", started.device.replace(/^device: /, "")],
      ["model", started.model.replace(/^model: /, "")],
      ["data", started.data],
    ];
    const entry = (className: string, [name, value]: readonly [string, string]): HTMLElement =>
      element("div", { className }, element("dt", {}, name), element("dd", {}, value));
    this.#figures.replaceChildren(
      ...figures.map((figure) => entry("", figure)),
      ...sentences.map((sentence) => entry("wide", sentence)),
    );
  }

  #pauseOrGoOn(): void {
    if (this.#state === "paused") this.host.tell({ kind: "go-on" });
    else {
      this.#enter("pausing", "Pausing: the steps under way are finished and saved ...");
      this.host.tell({ kind: "pause" });
    }
  }

  #stopRun(): void {
    if (this.#state === "preparing") {
      // The worker is compiling and hears nothing.
      this.host.end("stopped");
      this.#enter("idle", "Stopped before the first step.");
      return;
    }
    this.#enter("stopping", "Stopping: the steps under way are finished and saved ...");
    this.host.tell({ kind: "stop" });
  }

  #tooLong(): void {
    const message = `compiling took longer than ${compileLimitMs / 1000} s and was ended`;
    this.host.end(message);
    this.#fail({ message, hint: "make the model smaller" });
  }

  #fail(failed: Failed): void {
    this.#enter("idle", "The run has ended.");
    this.showFailure(failed);
    this.#events.onFailed(failed);
  }

  #enter(state: State, words: string): void {
    clearTimeout(this.#compileLimit);
    this.#state = state;
    this.#words.textContent = words;
    this.#train.disabled = state !== "idle";
    this.#pause.disabled = state !== "training" && state !== "paused";
    this.#pause.textContent = state === "paused" ? "Resume" : "Pause";
    this.#stop.disabled = state === "idle" || state === "stopping";
  }
}
