// In: nothing; this is a language: the serializable Program that the compiler writes and the runtime reads.
// Out: types, content hash, reading and writing as JSON.
// Assumes: nothing of either side; it is the only room of `compiler/` that `runtime/` imports.
// Guarantees: `parseProgram(serializeProgram(p))` equals `p`; the hash ignores labels.
// Start reading at: types.ts.

export { bufferBytes, elementSizeBytes } from "./buffer-bytes.ts";
export { ProgramFormatError, parseProgram, programHash, serializeProgram, shortHash } from "./serialize.ts";
export * from "./types.ts";
export { PlanError, verifyProgram } from "./verify.ts";
