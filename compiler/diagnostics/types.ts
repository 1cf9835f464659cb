/** A text to compile. `name` is what messages show and what `Span.file` holds, usually a path. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** A half-open range of UTF-16 offsets in the text of the file of that name. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** A span and what is to be said of it. An empty text underlines only. */
export interface Label {
  readonly span: Span;
  readonly text: string;
}

export type Severity = "error" | "warning";

/** What is wrong with a spec, as a value. Rendered by `renderDiagnostics`. */
export interface Diagnostic {
  /** Stable, kebab-case, e.g. `unknown-name`. */
  readonly code: string;
  readonly severity: Severity;
  /** One line, no full stop; names and code in backquotes. */
  readonly message: string;
  readonly primary: Label;
  /** Other places that matter, e.g. where the other dimension was bound. */
  readonly related: readonly Label[];
  /** What to do about it. */
  readonly hint?: string;
}

/** A place as people count: both from 1; columns in UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}
