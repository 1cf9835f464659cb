// In. A way to analyse a spec for other sizes of its data (semantics' typed model), names of outputs, the world's names for them.
// Out. An OnnxModel (model.ts, a language this room owns): nodes, inputs and outputs with sizes that vary, no weights; or a Diagnostic.
// Assumes. The spec is right as it stands.
// Guarantees. Pure; the model computes what evaluation does, for every size that the spec accepts; nodes in topological order.
// Start reading at. model.ts, then export.ts; vary.ts and sized.ts find the sizes, translate.ts has a case an instruction.
export { type OnnxRequest, toOnnx } from "./export.ts";
export {
  type DynamicSize,
  type FixedSize,
  type OnnxAttribute,
  type OnnxConstant,
  type OnnxElement,
  type OnnxModel,
  type OnnxNode,
  type OnnxParameter,
  type OnnxValue,
  onnxIrVersion,
  onnxOpset,
} from "./model.ts";
export { type InputRole, type OnnxSignature, plainSignature } from "./signature.ts";
export type { AnalyzeWith } from "./vary.ts";
