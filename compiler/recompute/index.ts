// In: a graph, what a schedule of it stores and when, and how many bytes it may.
// Out: an equal graph that computes some values a second time, later, instead of keeping them, and what was decided.
// Assumes: the graph is verified, and vertices and steps are those of a schedule of that very graph.
// Guarantees: the same outputs and updates; what is computed again is made of kept values by the same ops, bit for bit where kernels agree.
// Start reading at: fit.ts, then choose.ts.
export { applyRecomputation } from "./apply.ts";
export { chooseRecomputation } from "./choose.ts";
export { type Fitted, fitMemory, type Measured } from "./fit.ts";
export { printRecomputation, type Recomputation } from "./types.ts";
export { FLOPS_PER_BYTE } from "./work.ts";
