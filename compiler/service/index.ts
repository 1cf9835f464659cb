// In. A spec as an editor has it (path, ways to read texts) and a place in it, or one text alone.
// Out. What an editor shows there: colours, diagnostics, completions, hovers with shapes, definitions, an outline.
// Assumes. Nothing of the texts: most of the time a spec in an editor is broken somewhere.
// Guarantees. Pure and never throws; time as of `analyze`, else proportional to the texts; runs in a browser.
// Start reading at. types.ts, then names.ts (what the names of a file are) and cursor-place.ts (what may stand at a cursor).
export { complete } from "./complete.ts";
export { definition, references } from "./definition.ts";
export { diagnose } from "./diagnose.ts";
export { formatText } from "./format-text.ts";
export { highlight } from "./highlight.ts";
export { hover } from "./hover.ts";
export { symbols } from "./outline.ts";
export { rememberParses } from "./remember-parses.ts";
export * from "./types.ts";
