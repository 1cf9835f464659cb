import pc from "picocolors";

export type Colours = ReturnType<typeof pc.createColors>;

/** The streams of a process, or of a test. */
export interface Streams {
  readonly out: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Where a command writes. Results go to standard output, what is said on the way as well; with `--json` standard
 * output carries the one JSON object and nothing else, and all words go to standard error.
 */
export class Console {
  readonly json: boolean;
  readonly colours: Colours;
  readonly #streams: Streams;

  constructor(streams: Streams, json: boolean) {
    this.#streams = streams;
    this.json = json;
    this.colours = pc.createColors(wantsColour(json ? streams.err : streams.out, streams.environment));
  }

  /** A line for a person. */
  say(text: string): void {
    (this.json ? this.#streams.err : this.#streams.out).write(`${text}\n`);
  }

  /** A line on standard error whatever the mode: timings, warnings, progress. */
  note(text: string): void {
    this.#streams.err.write(`${text}\n`);
  }

  /** Raw text a command was asked for (an emitted stage, a formatted file): standard output, no newline added. */
  emit(text: string): void {
    this.#streams.out.write(text);
  }

  /** The one JSON object of `--json`; nothing otherwise. */
  result(value: object): void {
    if (this.json) this.#streams.out.write(`${JSON.stringify(value)}\n`);
  }

  /** Where a progress bar is drawn: standard error, if a person looks at it. */
  get progressStream(): (NodeJS.WritableStream & { readonly columns?: number }) | undefined {
    return this.#streams.err.isTTY === true && this.#streams.environment.TERM !== "dumb"
      ? this.#streams.err
      : undefined;
  }

  /** Columns for pictures; 80 where nobody knows. */
  get columns(): number {
    return this.#streams.err.columns ?? this.#streams.out.columns ?? 80;
  }

  /** Colours for standard error. */
  get errorColours(): Colours {
    return pc.createColors(wantsColour(this.#streams.err, this.#streams.environment));
  }
}

/** @see no-color.org: any non-empty `NO_COLOR` turns colours off; `FORCE_COLOR` turns them on without a terminal. */
function wantsColour(stream: { readonly isTTY?: boolean }, environment: Streams["environment"]): boolean {
  if (environment.NO_COLOR) return false;
  if (environment.FORCE_COLOR !== undefined) return environment.FORCE_COLOR !== "0";
  return stream.isTTY === true && environment.TERM !== "dumb";
}
