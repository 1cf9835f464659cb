// In: a graph under construction, an f32 scalar objective, the nodes to differentiate by.
// Out: the same builder with the cotangents appended.
// Assumes: every op's gradient rule stands in graph/ops.
// Guarantees: cotangents are summed in one fixed order; backward nodes carry the origin of their primal.
// Start reading at: gradients.ts.
export { gradients } from "./gradients.ts";
