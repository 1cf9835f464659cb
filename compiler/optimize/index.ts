// In: a verified graph, its gradients taken (`optimize`) or not yet (`simplifyForward`).
// Out: an equal graph that costs less: constants folded, movements merged, work done on the smallest shapes.
// Assumes: nothing differentiates what `optimize` gives; leaves have the types that they declare.
// Guarantees: outputs and updates keep names and types; values differ at most by a rule's stated exactness; linear time.
// Start reading at: passes.ts, then rules/algebra.ts for what a rule looks like and rewrite.ts for how it is applied.
export { allRules, optimize, type Pass, passes, simplifyForward } from "./passes.ts";
export type { Exactness, Rule } from "./rule.ts";
