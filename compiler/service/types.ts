import type { Diagnostic, Severity, SourceFile } from "../diagnostics/index.ts";
import type { LoadFile, ParseFile } from "../semantics/index.ts";

/** A spec as an editor has it: the text of its root may be unsaved and broken. */
export interface SpecContext {
  /** Path of the spec; what `load` gives its text by. */
  readonly root: string;
  /** Texts by path: the spec's, and those of files beside it. */
  readonly load: LoadFile;
  /** The shipped library by path (`lib/bert.bert`). */
  readonly library: LoadFile;
  /** `--set name=value`. Default: none. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What an `import` may name, for its completion: `lib/bert.bert`. Default: nothing is offered. */
  readonly importable?: readonly string[];
  /** How a file becomes its AST; `rememberParses()` saves reading unchanged files again. Default: the parser. */
  readonly parse?: ParseFile;
}

/** A place in one of the spec's files. `offset` counts UTF-16 units from 0; one past the end is a place too. */
export interface Place {
  /** The root, or a file that it imports, by the name that `Location.file` and diagnostics have. */
  readonly file: string;
  readonly offset: number;
}

/** A half-open range of UTF-16 offsets in the text at hand. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A range in a named file: a path that `load` takes, or one of `library` (`lib/bert.bert`). */
export interface Location extends Range {
  readonly file: string;
  /** True where the text came from `library`. */
  readonly shipped: boolean;
}

// --- highlighting ---------------------------------------------------------------------------------------

export const highlightKinds = [
  "keyword",
  "type",
  "layer",
  "model",
  "function",
  "primitive",
  "data",
  "setting",
  "parameter",
  "dimension",
  "weight",
  "sublayer",
  "variable",
  "field",
  "result",
  "argument",
  "number",
  "string",
  "comment",
  "operator",
  "punctuation",
  "invalid",
] as const;
/**
 * `keyword`: a word of the language where it acts as one (`layer` is a name elsewhere), keys of a train block too. `function`: fn
 * and loss; `primitive`: what no spec declares, optimizers and initialisers too. `parameter`: a setting or input of the
 * declaration; `weight`: a `param`, or what
 * is read of a sublayer; `sublayer`: a `use`; `variable`: `let` and `const`; `field`: of data; `result`: an output,
 * head, loss or metric of a model; `argument`: the name before `:` in a call.
 */
export type HighlightKind = (typeof highlightKinds)[number];

export interface HighlightToken extends Range {
  readonly kind: HighlightKind;
  /** The place that declares the name. */
  readonly declares: boolean;
}

// --- diagnostics ----------------------------------------------------------------------------------------

export interface Diagnosis {
  /** As `check` prints them, in its order; spans name their file. */
  readonly diagnostics: readonly Diagnostic[];
  /** The same by the file of the primary span; every file read has an entry, the root first. */
  readonly byFile: ReadonlyMap<string, readonly Diagnostic[]>;
  /** All files read, the root first: what `renderDiagnostics` needs. */
  readonly sources: readonly SourceFile[];
  /** Names of the sources that came from `library`. */
  readonly shipped: ReadonlySet<string>;
}

export type { Diagnostic, Severity, SourceFile };

// --- completion -----------------------------------------------------------------------------------------

export type CompletionKind = HighlightKind | "file";

export interface CompletionItem {
  /** What is shown and matched against what was typed. */
  readonly label: string;
  readonly kind: CompletionKind;
  /** What replaces the range; without placeholders. */
  readonly insert: string;
  /** One line: a signature, a type, a default. May be "". */
  readonly detail: string;
  /** The comment above the declaration, as plain text; may be "". */
  readonly documentation: string;
  /** Sort by this first, then by label: 0 is what fits here best. */
  readonly rank: number;
}

export interface Completion {
  /** What the chosen item replaces: the word around the place, up to the place. */
  readonly range: Range;
  /** Not filtered by what was typed. */
  readonly items: readonly CompletionItem[];
}

// --- hover, definition, outline -------------------------------------------------------------------------

/** A value that the analysis found, in one instance of the layer. */
export interface FoundValue {
  /** Path of the layer instance, e.g. `encoder.blocks.0`; "" in the model itself. */
  readonly path: string;
  /** `f32[B=32, T=64, hidden=128]`, or a setting's value. */
  readonly value: string;
  /** How many other instances have the same. */
  readonly others: number;
}

export interface Hover {
  readonly range: Range;
  /** Lines of the language: a signature or a declaration; "" for an expression that has no name. */
  readonly signature: string;
  /** The comment above the declaration, as plain text; may be "". */
  readonly documentation: string;
  /** The first few different values, each with the first instance that has it. */
  readonly values: readonly FoundValue[];
  /** How many more different values there are. */
  readonly moreValues: number;
}

export interface OutlineSymbol extends Range {
  readonly name: string;
  readonly kind: HighlightKind;
  /** The signature or type; may be "". */
  readonly detail: string;
  readonly nameRange: Range;
  readonly children: readonly OutlineSymbol[];
}
