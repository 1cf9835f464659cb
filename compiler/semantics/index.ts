// In. A spec's path and a way to read texts: the spec, what it imports, the shipped library; overrides of settings.
// Out. A TypedModel (model.ts, a language this room owns): parameters, inputs, instructions, losses, how to train; or errors.
// Assumes. Nothing of the texts: names, sizes, patterns and settings are all checked here.
// Guarantees. Never throws, ends soon (limits.ts); a model if and only if there is no error; every size is a number.
// Start reading at. model.ts, then analyze.ts and evaluate.ts; errors/ has the messages.

export type { Observe } from "./analysis.ts";
export { type AnalysisResult, type AnalyzeOptions, analyze } from "./analyze.ts";
export { buildFileScopes, type Declaration, type FileScope, type FoundDeclaration } from "./declarations.ts";
export { type LoadedFile, type LoadFile, loadFiles, type ParseFile } from "./files.ts";
export { limits } from "./limits.ts";
export * from "./model.ts";
export { matchesPattern } from "./parameter-patterns.ts";
export { primitiveNames, primitiveUsages } from "./primitives.ts";
export { type RecipeKind, type RecipeSignature, recipeSignatures } from "./recipe-signatures.ts";
export { display, type Value } from "./value.ts";
