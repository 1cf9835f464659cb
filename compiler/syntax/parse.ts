import { compareDiagnostics, type Diagnostic, positionOf, type SourceFile } from "../diagnostics/index.ts";
import type { SpecFile } from "./ast.ts";
import { cutBlocks } from "./blocks.ts";
import { build } from "./build.ts";
import * as errors from "./errors.ts";
import { layOut } from "./layout.ts";
import { scan } from "./scan.ts";

export interface ParseResult {
  readonly ast: SpecFile;
  /** In the order of the text. Errors only where the text is not a spec. */
  readonly diagnostics: readonly Diagnostic[];
}

/** UTF-16 units. */
export const maxFileLength = 250_000;
/** Errors shown of one file; the rest is counted. */
export const maxErrors = 50;

/** Reads one file. Never throws; with errors the AST holds what could be read. */
export function parse(file: SourceFile): ParseResult {
  const span = { file: file.name, start: 0, end: file.text.length };
  const empty: SpecFile = { kind: "file", items: [], span };
  if (file.text.length > maxFileLength) {
    return { ast: empty, diagnostics: [errors.fileTooLarge({ ...span, end: 0 }, maxFileLength)] };
  }
  const scanned = scan(file);
  const layout = layOut(file, scanned.tokens);
  const found = [...scanned.diagnostics, ...layout.diagnostics];
  if (layout.tooDeep) return { ast: empty, diagnostics: inOrder(found) };
  const built = build(file, cutBlocks(file, layout.tokens));
  // What the grammar says of a line that was repaired follows from the repair.
  const repaired = new Set(found.map((d) => lineOf(file, d)));
  const own = built.diagnostics.filter((d) => !repaired.has(lineOf(file, d)));
  return { ast: { kind: "file", items: built.items, span }, diagnostics: inOrder([...found, ...own]) };
}

function lineOf(file: SourceFile, diagnostic: Diagnostic): number {
  return positionOf(file, diagnostic.primary.span.start).line;
}

function inOrder(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const sorted = [...diagnostics].sort(compareDiagnostics);
  const shown = sorted.slice(0, maxErrors);
  const next = sorted[maxErrors];
  if (next === undefined) return shown;
  return [...shown, errors.tooManyErrors(next.primary.span, maxErrors, sorted.length - maxErrors)];
}
