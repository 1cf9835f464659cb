import type { StepReport } from "../../runtime/train/index.ts";

/*
 * What page and worker say to each other. Everything is plain data: it is copied from thread to thread.
 */

/** A spec as it is in the editor. */
export interface SpecText {
  /** `bert-tiny.bert`: what messages call it. */
  readonly path: string;
  readonly text: string;
  /** By name, as `--set` takes them. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A diagnostic with its place in the editor's text. */
export interface Problem {
  /** UTF-16 offsets in the spec's text; both 0 for one of another file. */
  readonly from: number;
  readonly to: number;
  readonly severity: "error" | "warning";
  readonly message: string;
  /** What is said of the place. */
  readonly label: string;
  readonly hint?: string;
  /** As the command line prints it. */
  readonly rendered: string;
}

/** What a spec without errors is. */
export interface SpecSummary {
  readonly name: string;
  /** Trainable numbers. */
  readonly parameters: number;
  readonly losses: readonly string[];
  readonly settings: Readonly<Record<string, number | boolean | string>>;
}

export interface Checked {
  readonly problems: readonly Problem[];
  /** Absent if there is an error. */
  readonly summary?: SpecSummary;
}

/** A failure in a person's words. */
export interface Failed {
  readonly message: string;
  readonly hint?: string;
  /** Where the spec is to blame. */
  readonly problems?: readonly Problem[];
}

/** A text of a person's own to train on. */
export interface OwnText {
  readonly name: string;
  /** UTF-8 */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface NewRun {
  /** Name of the run's folder in the page's storage. */
  readonly run: string;
  readonly spec: SpecText;
  /** u32 */
  readonly seed: number;
  /** Absent: the built-in grammar. */
  readonly text?: OwnText;
}

/** Losses of a step done, by name. */
export interface LossPoint {
  readonly step: number;
  readonly losses: Readonly<Record<string, number>>;
}

/** What a run is, once it is ready for its next step. */
export interface Started {
  readonly run: string;
  readonly spec: SpecText;
  readonly seed: number;
  /** Which device trains, in one line. */
  readonly device: string;
  /** The model with its number of parameters, in one line. */
  readonly model: string;
  /** What the corpus is, in one line. */
  readonly data: string;
  /** What an example is called: `pairs`. */
  readonly unit: string;
  readonly losses: readonly string[];
  /** Steps done before, with the losses that were kept of them. */
  readonly step: number;
  readonly history: readonly LossPoint[];
  readonly totalSteps: number;
  /** The best losses that any model can reach on this corpus, where they can be computed. */
  readonly best: Readonly<Record<string, number>>;
}

/** The object that the command `encode --json` prints. */
export interface Encoded {
  readonly tokens: readonly string[];
  readonly shape: readonly [tokens: number, hidden: number];
  readonly vectors: readonly (readonly number[])[];
}

/** What a saved run is listed as. */
export interface SavedRun {
  readonly run: string;
  readonly specPath: string;
  readonly step: number;
  /** Absent of an imported one: its spec says it when it goes on. */
  readonly totalSteps?: number;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

/** A question with one answer. `check` is asked of a worker of its own, which may be ended at any time. */
export type Question =
  | { readonly kind: "check"; readonly spec: SpecText }
  | { readonly kind: "encode"; readonly run: string; readonly text: string; readonly second?: string }
  | { readonly kind: "import"; readonly run: string; readonly file: File };

export interface Answers {
  readonly check: Checked;
  readonly encode: Encoded;
  readonly import: SavedRun;
}

export type ToWorker =
  | { readonly kind: "ask"; readonly id: number; readonly question: Question }
  | { readonly kind: "train"; readonly begin: NewRun }
  | { readonly kind: "resume"; readonly run: string }
  | { readonly kind: "pause" }
  | { readonly kind: "go-on" }
  | { readonly kind: "stop" };

/** What is done before the first step: in this order. */
export type Preparation = "device" | "compile" | "data" | "kernels";

export type FromWorker =
  /** The scripts are loaded: time limits begin to count. */
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly kind: "refusal"; readonly id: number; readonly failed: Failed }
  | { readonly kind: "preparing"; readonly what: Preparation }
  | { readonly kind: "started"; readonly started: Started }
  | { readonly kind: "step"; readonly report: StepReport }
  | { readonly kind: "saved"; readonly step: number }
  | { readonly kind: "paused" }
  | { readonly kind: "went-on" }
  | { readonly kind: "ended"; readonly why: "done" | "stopped" }
  | { readonly kind: "run-failed"; readonly failed: Failed };
