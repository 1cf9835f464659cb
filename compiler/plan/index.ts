// In: the optimized graph of every entry, the state buffers, a device profile, and how many bytes all buffers may take.
// Out: a schedule of every entry, what it cost to fit, or a `Diagnostic` that says what would.
// Assumes: the graphs are verified and share one state layout.
// Guarantees: without a limit the schedules are those of `schedule`, to the byte; with one, values are the same, bitwise where kernels are.
// Start reading at: entries.ts.
export { type EntryPlan, type PlanInput, planEntries } from "./entries.ts";
export { largestBatch, overMemoryLimit, type SmallerBatch } from "./over-limit.ts";
export { fixedBytes, type MemoryReport, memoryReport } from "./report.ts";
