import type { Position, SourceFile, Span } from "./types.ts";

const lineStarts = new WeakMap<SourceFile, readonly number[]>();

/** Offsets at which lines start. Lines end in `\n`, `\r\n` or `\r`. Kept with the file: it never changes. */
export function lineStartsOf(file: SourceFile): readonly number[] {
  const known = lineStarts.get(file);
  if (known !== undefined) return known;
  const starts = [0];
  for (const match of file.text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  lineStarts.set(file, starts);
  return starts;
}

/** Line and column of an offset; offsets outside the text count as its nearest end. */
export function positionOf(file: SourceFile, offset: number): Position {
  const starts = lineStartsOf(file);
  const at = Math.max(0, Math.min(offset, file.text.length));
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: at - (starts[low] ?? 0) + 1 };
}

/** The text of a line (counted from 1) without its line end; "" outside the file. */
export function lineText(file: SourceFile, line: number): string {
  const starts = lineStartsOf(file);
  const start = starts[line - 1];
  if (start === undefined) return "";
  return file.text.slice(start, starts[line] ?? file.text.length).replace(/[\r\n]+$/, "");
}

/** The span from the start of `first` to the end of `last`; both of one file. */
export function spanBetween(first: Span, last: Span): Span {
  return { file: first.file, start: first.start, end: Math.max(first.end, last.end) };
}

/** `file:line:column` of a span's start, e.g. for `Origin.at`. */
export function locationOf(file: SourceFile, span: Span): string {
  const { line, column } = positionOf(file, span.start);
  return `${file.name}:${line}:${column}`;
}
