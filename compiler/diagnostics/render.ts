import { lineText, positionOf } from "./source.ts";
import type { Diagnostic, Label, SourceFile, Span } from "./types.ts";

/** True if any of them is an error. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === "error");
}

/** Order for reading: by file, then place, then code. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  const [left, right] = [a.primary.span, b.primary.span];
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  if (left.start !== right.start) return left.start - right.start;
  return a.code < b.code ? -1 : a.code > b.code ? 1 : 0;
}

/** All of them, in the order given, an empty line between two. Ends without a newline. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], sources: Iterable<SourceFile>): string {
  const files = new Map([...sources].map((s) => [s.name, s]));
  return diagnostics.map((d) => render(d, files)).join("\n\n");
}

export function renderDiagnostic(diagnostic: Diagnostic, sources: Iterable<SourceFile>): string {
  return renderDiagnostics([diagnostic], sources);
}

/** A label's part on one line, in display columns from 0. */
interface Mark {
  readonly line: number;
  readonly from: number;
  readonly to: number;
  readonly sign: "^" | "-";
  readonly text: string;
}

function render(diagnostic: Diagnostic, files: ReadonlyMap<string, SourceFile>): string {
  const labels = [
    { label: diagnostic.primary, sign: "^" as const },
    ...diagnostic.related.map((label) => ({ label, sign: "-" as const })),
  ];
  const byFile = new Map<string, Mark[]>();
  for (const { label, sign } of labels) {
    const marks = byFile.get(label.span.file) ?? [];
    byFile.set(label.span.file, marks);
    const file = files.get(label.span.file);
    if (file !== undefined) marks.push(markOf(file, label, sign));
  }
  const lastLine = Math.max(1, ...[...byFile.values()].flat().map((m) => m.line));
  const gutter = String(lastLine).length;
  const out = [`${diagnostic.severity}: ${diagnostic.message}`];
  for (const [name, marks] of byFile) {
    const file = files.get(name);
    const first = labels.find((l) => l.label.span.file === name);
    if (first === undefined) continue;
    const arrow = name === diagnostic.primary.span.file ? "-->" : ":::";
    out.push(`${" ".repeat(gutter)} ${arrow} ${placeOf(name, file, first.label.span)}`);
    if (file !== undefined) out.push(...renderLines(file, marks, gutter));
  }
  if (diagnostic.hint !== undefined) out.push(`${" ".repeat(gutter)} = hint: ${diagnostic.hint}`);
  return out.join("\n");
}

function placeOf(name: string, file: SourceFile | undefined, span: Span): string {
  if (file === undefined) return name;
  const { line, column } = positionOf(file, span.start);
  return `${name}:${line}:${column}`;
}

const TAB_WIDTH = 2;
/** Longest piece of a line shown, in display columns. */
const LINE_WINDOW = 140;

function markOf(file: SourceFile, label: Label, sign: "^" | "-"): Mark {
  const { line, column } = positionOf(file, label.span.start);
  const text = lineText(file, line);
  const length = Math.max(0, label.span.end - label.span.start);
  const end = Math.min(column - 1 + length, text.length);
  const from = displayWidth(text.slice(0, column - 1));
  const to = Math.max(from + 1, displayWidth(text.slice(0, end)));
  return { line, from, to, sign, text: label.text };
}

function renderLines(file: SourceFile, marks: readonly Mark[], gutter: number): string[] {
  const out: string[] = [];
  const lines = [...new Set(marks.map((m) => m.line))].sort((a, b) => a - b);
  let before: number | undefined;
  for (const line of lines) {
    if (before !== undefined && line > before + 1) out.push(`${" ".repeat(gutter)} ...`);
    before = line;
    const here = marks.filter((m) => m.line === line);
    const shown = cutLine(displayed(lineText(file, line)), here);
    out.push(`${String(line).padStart(gutter)} | ${shown.text}`.trimEnd());
    for (const row of underline(here, shown.skipped, shown.lead)) out.push(`${" ".repeat(gutter)} | ${row}`);
  }
  return out;
}

/** Of a very long line, the part around the first mark. */
function cutLine(
  text: string,
  marks: readonly Mark[],
): { readonly text: string; readonly skipped: number; readonly lead: number } {
  const characters = [...text];
  if (displayWidth(text) <= LINE_WINDOW) return { text, skipped: 0, lead: 0 };
  const first = Math.min(...marks.map((m) => m.from));
  const skip = Math.max(0, first - LINE_WINDOW / 2);
  let column = 0;
  let skipped = 0;
  let kept = "";
  for (const character of characters) {
    const width = displayWidth(character);
    if (column < skip) skipped = column + width;
    else if (column + width <= skip + LINE_WINDOW) kept += character;
    column += width;
  }
  const lead = skipped > 0 ? "... " : "";
  const tail = column > skip + LINE_WINDOW ? " ..." : "";
  return { text: lead + kept + tail, skipped, lead: lead.length };
}

/**
 * The rows under a line: the signs of all marks, with the rightmost's text beside it; then the others' texts from
 * right to left, each under its own sign.
 */
function underline(marks: readonly Mark[], skipped: number, lead: number): string[] {
  const limit = lead + LINE_WINDOW + 4;
  const place = (column: number): number => Math.min(limit, Math.max(0, column - skipped + lead));
  const signs: string[] = [];
  const put = (mark: Mark): void => {
    const from = place(mark.from);
    const to = Math.max(from + 1, place(mark.to));
    while (signs.length < to) signs.push(" ");
    for (let i = from; i < to; i++) if (signs[i] !== "^") signs[i] = mark.sign;
  };
  for (const mark of marks) put(mark);
  const texts = marks.filter((m) => m.text !== "").sort((a, b) => b.from - a.from || b.to - a.to);
  const [last, ...others] = texts;
  const rightmost = Math.max(...marks.map((m) => m.to));
  const rows: string[] = [];
  if (last !== undefined && last.to === rightmost) {
    rows.push(`${signs.join("")} ${last.text}`);
  } else {
    rows.push(signs.join(""));
    if (last !== undefined) others.unshift(last);
  }
  for (const mark of others) rows.push(" ".repeat(place(mark.from)) + mark.text);
  return rows;
}

/** The line as it is shown: tabs as spaces, control characters as the replacement character. */
function displayed(text: string): string {
  // Bidirectional controls would reorder the line, and escape sequences would colour the terminal.
  return text
    .replaceAll("\t", " ".repeat(TAB_WIDTH))
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\u200b-\u200f\u2060\ufeff]/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns a text takes in a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (character === "\t") width += TAB_WIDTH;
    else if (ZERO_WIDTH.test(character)) width += 0;
    else width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}
