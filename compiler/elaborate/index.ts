// In. A TypedModel: instructions over tensors in the language's primitives, with implicit broadcasting.
// Out. A ForwardGraph for training (with dropout) or evaluation: losses, outputs and the objective as graph.
// Assumes. The model comes from `analyze`: types are checked, every size is a number.
// Guarantees. Broadcasts are explicit; contractions keep the axes they have; every node's origin is a line of the spec.
// Start reading at. elaborate.ts, then lower.ts.
export { elaborate, type Mode } from "./elaborate.ts";
