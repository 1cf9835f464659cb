// In: an optimized graph (forward, or with backward pass and optimizer) in f32.
// Out: the same graph with the operands of contractions in f16; or, for a device without f16, one that gives the same numbers in f32.
// Assumes: gradients have been taken, so that rounding needs none.
// Guarantees: all but those operands stays f32, sums, parameters, norms, softmax, losses and the optimizer too; types of outputs stay.
// Start reading at: mixed.ts.
export { emulateF16 } from "./emulate.ts";
export { mixedPrecision } from "./mixed.ts";
