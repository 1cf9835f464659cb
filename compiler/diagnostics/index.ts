// In. Offsets in source texts, and what is wrong there, as plain values.
// Out. Rendered messages: file, line, column, the line itself with the span underlined, related places, a hint.
// Assumes. A span's `file` is the `name` of one of the sources; a span of an unknown file renders without its line.
// Guarantees. Pure; never throws; the same diagnostics render to the same text. Imports nothing.
// Start reading at. types.ts, then render.ts.
export { formatBytes } from "./bytes.ts";
export { nearest } from "./nearest.ts";
export { compareDiagnostics, hasErrors, renderDiagnostic, renderDiagnostics } from "./render.ts";
export { lineStartsOf, lineText, locationOf, positionOf, spanBetween } from "./source.ts";
export type { Diagnostic, Label, Position, Severity, SourceFile, Span } from "./types.ts";
