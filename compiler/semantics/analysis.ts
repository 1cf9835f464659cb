import { type Diagnostic, locationOf, type SourceFile, type Span } from "../diagnostics/index.ts";
import type { DType } from "../program/index.ts";
import type { ResultKind, SettingItem } from "../syntax/index.ts";
import type { FileScope } from "./declarations.ts";
import { rankTooHigh, tensorTooLarge, tooMuch } from "./errors.ts";
import { limits } from "./limits.ts";
import type { Instruction, Operation, TypedParameter } from "./model.ts";
import type { Scope } from "./scope.ts";
import { Settings } from "./settings.ts";
import { type Dim, errorValue, type Value } from "./value.ts";

/** Where an expression stands. */
export interface Env {
  readonly scope: Scope;
  readonly file: FileScope;
  /** Path of the layer instance; "" in the model. */
  readonly path: string;
  /** Takes the results of a model's forward (`output`, `loss`, ...); absent elsewhere. */
  readonly results?: ModelResults;
}

export interface ModelResults {
  add(kind: ResultKind, name: string, nameSpan: Span, value: Value, span: Span): void;
}

/**
 * Told each value that the analysis finds: of expressions, by their span, and of declared names, by the name's.
 * @param path of the layer instance in which it was found; "" in the model
 */
export type Observe = (span: Span, path: string, value: Value) => void;

/** What one run of the analysis has made so far, and its bounds. */
export class Analysis {
  readonly instructions: Instruction[] = [];
  readonly parameters: TypedParameter[] = [];
  readonly settings: Settings;
  /** Absent where nobody wants to know. */
  readonly observe: Observe | undefined;
  readonly #report: (d: Diagnostic) => void;
  readonly #sources: readonly SourceFile[];
  readonly #places = new Map<string, string>();
  #nesting = 0;
  #evaluations = 0;
  #instances = 0;
  #mistakes = 0;
  #stopped = false;

  constructor(
    report: (d: Diagnostic) => void,
    sources: readonly SourceFile[],
    overrides: ReadonlyMap<SettingItem, Value>,
    observe: Observe | undefined,
  ) {
    this.#report = report;
    this.observe = observe;
    this.#sources = sources;
    this.settings = new Settings(overrides, () => this);
  }

  /** True once a limit was passed: all that follows gives error values at once. */
  get stopped(): boolean {
    return this.#stopped;
  }

  report(diagnostic: Diagnostic): void {
    this.#mistakes++;
    // No limit to tell of: there are errors enough already.
    if (this.#mistakes >= limits.mistakes) this.#stopped = true;
    this.#report(diagnostic);
  }

  /** Reports and gives the error value. */
  fail(diagnostic: Diagnostic): Value {
    this.report(diagnostic);
    return errorValue;
  }

  /** Runs `body` one level deeper, unless that is too deep or too much in all. */
  nested<T>(span: Span, otherwise: T, body: () => T): T {
    if (this.#stopped) return otherwise;
    this.#evaluations++;
    if (this.#evaluations > limits.evaluations) return this.#stop(span, "evaluations", otherwise);
    if (this.#nesting >= limits.nesting) return this.#stop(span, "nesting", otherwise);
    this.#nesting++;
    try {
      return body();
    } finally {
      this.#nesting--;
    }
  }

  /** Counts a layer instance. @returns false where there are too many */
  countInstance(span: Span): boolean {
    this.#instances++;
    return this.#instances <= limits.instances || this.#stop(span, "instances", false);
  }

  emit(
    operation: Operation,
    inputs: readonly number[],
    dtype: DType,
    dims: readonly Dim[],
    origin: { readonly path: string; readonly span: Span; readonly label: string },
  ): Value {
    if (this.#stopped) return errorValue;
    if (dims.length > limits.rank) return this.fail(rankTooHigh(origin.span, dims));
    const shape = dims.map((d) => d.size);
    if (shape.reduce((count, size) => count * size, 1) > limits.elements) {
      return this.fail(tensorTooLarge(origin.span, dtype, dims));
    }
    const id = this.instructions.length;
    if (id >= limits.instructions) return this.#stop(origin.span, "instructions", errorValue);
    const at = this.#placeOf(origin.span);
    this.instructions.push({ ...operation, inputs, type: { dtype, shape }, origin: { ...origin, at } });
    return { kind: "tensor", id, dtype, dims };
  }

  #stop<T>(span: Span, limit: "evaluations" | "nesting" | "instances" | "instructions", otherwise: T): T {
    if (!this.#stopped) this.#report(tooMuch(span, limit, limits[limit]));
    this.#stopped = true;
    return otherwise;
  }

  #placeOf(span: Span): string {
    const key = `${span.file}:${span.start}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const file = this.#sources.find((s) => s.name === span.file);
    const place = file === undefined ? span.file : locationOf(file, span);
    this.#places.set(key, place);
    return place;
  }
}
