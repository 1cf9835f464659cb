// In: tensors, ops and their attributes, from the rooms that make or change graphs.
// Out: `Graph`, an immutable SSA tensor program; its builder, verifier, printer, parser, reference evaluator; the op table.
// Assumes: sizes are bound to numbers; broadcasting is explicit.
// Guarantees: nodes are typed and topological, equal nodes are one, every node has an origin.
// Start reading at: types.ts, then ops/index.ts.
export { GraphBuilder } from "./builder.ts";
export { type Difference, firstDifference } from "./compare.ts";
export * from "./dtype.ts";
export { formatOrigin, GraphError, invariant } from "./errors.ts";
export { type Evaluation, evaluate, evaluateNode, evaluateNodes } from "./evaluate.ts";
export type { ForwardGraph } from "./forward.ts";
export { bitsOfHalf } from "./half.ts";
export type { MemoryUse, PlannedVertex } from "./memory-use.ts";
export { attributesKey, inferType, isOpName } from "./node.ts";
export { type OpTable, ops } from "./ops/index.ts";
export type { Leaves, OpDef, VjpContext } from "./ops/op-def.ts";
export { parse } from "./parse.ts";
export { type PrintOptions, print } from "./print.ts";
export * from "./shape.ts";
export { type Tensor, tensor, zeros } from "./tensor.ts";
export type * from "./types.ts";
export { verify } from "./verify.ts";
