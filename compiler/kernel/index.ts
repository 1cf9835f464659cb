// In: nothing; this is a language: kernels as data (loops, loads, scalar expressions, reductions, stores).
// Out: the types of expressions and kernels, the builder that normalises them, their identity for sharing pipelines.
// Assumes: tensors are row-major and addressed by element; an id stands for a tensor, the schedule knows which.
// Guarantees: equal expressions of one builder are one object; index arithmetic is in normal form; kernels are plain data.
// Start reading at: expr.ts, then kernel.ts.
export { checkBounds } from "./bounds.ts";
export * from "./build.ts";
export * from "./expr.ts";
export { kernelIdentity } from "./identity.ts";
export * from "./kernel.ts";
export { blockBytes, launchOf, MATRIX_PADDING, workgroupBytesOf } from "./launch.ts";
export { type ExpressionKernel, retargeted } from "./retarget.ts";
export { Rewriter } from "./rewrite.ts";
export type { Accessor, ScalarBuilder, ScalarFn } from "./scalar-builder.ts";
