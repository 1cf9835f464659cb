import type { Span } from "../diagnostics/index.ts";
import type { RecipeKind } from "../semantics/index.ts";
import type { Expression, FileItem, ForwardItem, ImportItem, Name, ResultKind } from "../syntax/index.ts";

/* What the names of one file are, as data: `occurrences.ts` finds them, `resolve.ts` follows them into other files. */

export type LocalKind = "parameter" | "dimension" | "weight" | "sublayer" | "variable" | "field" | "result";

/** A name that a declaration has inside. */
export interface Local {
  readonly kind: LocalKind;
  readonly name: Name;
  /** The text that declares it. */
  readonly span: Span;
  /** Of a sublayer: the layer it is made of. */
  readonly layer?: Name;
  /** Of a model's result: which kind. */
  readonly result?: ResultKind;
}

/** A declaration, or the forward inside one: which names it knows. */
export interface Region {
  readonly span: Span;
  readonly item: FileItem | ForwardItem;
  readonly outer: Region | undefined;
  readonly locals: Map<string, Local[]>;
  /** Of a model's forward: what it names as its results. */
  readonly results: Local[];
}

export type GlobalKind = "layer" | "model" | "instance" | "data" | "function" | "setting";

/** What is called, where an argument has a name. */
export type Callee =
  | { readonly kind: "declared"; readonly name: Name; readonly wanted: GlobalKind }
  | { readonly kind: "sublayer"; readonly of: Expression; readonly region: Region | undefined }
  | { readonly kind: "recipe"; readonly recipe: RecipeKind; readonly name: string };

export type Target =
  /** At least one. */
  | { readonly kind: "local"; readonly locals: readonly Local[] }
  /** This is where the file declares it. */
  | { readonly kind: "declaration"; readonly item: Exclude<FileItem, { readonly kind: "import" | "train" }> }
  /** Of this file or an imported one, or a primitive where a function is wanted. */
  | { readonly kind: "global"; readonly wanted: GlobalKind }
  | { readonly kind: "member"; readonly of: Expression; readonly region: Region | undefined }
  | { readonly kind: "argument"; readonly callee: Callee }
  | { readonly kind: "recipe"; readonly recipe: RecipeKind }
  /** A loss of the model that is trained. */
  | { readonly kind: "objective"; readonly model: Name }
  | { readonly kind: "import"; readonly item: ImportItem }
  | { readonly kind: "type" }
  | { readonly kind: "trainKey" };

export interface Occurrence {
  readonly text: string;
  readonly span: Span;
  readonly declares: boolean;
  readonly target: Target;
}

export interface Occurrences {
  /** In the order of the text. */
  readonly all: readonly Occurrence[];
  /** Declarations and forwards, outer ones first. */
  readonly regions: readonly Region[];
  readonly regionOf: ReadonlyMap<Region["item"], Region>;
  /** Strings with expressions in braces. */
  readonly templates: readonly Span[];
}

export function lookup(region: Region | undefined, name: string): readonly Local[] | undefined {
  for (let at = region; at !== undefined; at = at.outer) {
    const locals = at.locals.get(name);
    if (locals !== undefined) return locals;
  }
  return undefined;
}
