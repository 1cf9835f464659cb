/*
 * An ONNX model as plain data, without its weights: what a writer of the format needs besides the tensors themselves.
 * Names and meanings are those of ONNX ("Open Neural Network Exchange Intermediate Representation", docs/IR.md).
 */

/** Of the operators used here; opset 17 is the first with LayerNormalization. */
export const onnxOpset = 17;
/** The version of the format that came with opset 17. */
export const onnxIrVersion = 8;

export type OnnxElement = "float" | "int32" | "int64" | "bool";

export type OnnxAttribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  /** A tensor of one element, shape [1]. */
  | { readonly kind: "tensor"; readonly element: "float" | "int32"; readonly value: number };

export interface OnnxNode {
  readonly op: string;
  /** Unique. */
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A number, or the name or expression of a size that is known when the model runs: `sequence`, `2*batch`. */
export type OnnxDimension = number | string;

export interface OnnxValue {
  readonly name: string;
  readonly element: OnnxElement;
  readonly shape: readonly OnnxDimension[];
}

/** A small tensor of the graph itself: shapes, axes, numbers of the spec. */
export interface OnnxConstant {
  readonly name: string;
  readonly element: OnnxElement;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** A tensor of the checkpoint, f32, under its name there. */
export interface OnnxParameter {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A size of the data that may be another in every run of the exported model. */
export interface DynamicSize {
  /** As the model's inputs call it. */
  readonly name: string;
  /** As the `data` line calls it. */
  readonly setting: string;
  readonly least: number;
  /** Absent where the spec sets no bound. */
  readonly most?: number;
}

/** A size of the data that the spec accepts only as it is. */
export interface FixedSize {
  readonly setting: string;
  readonly value: number;
  /** What `check` says of another value. */
  readonly reason: string;
}

export interface OnnxModel {
  readonly name: string;
  /** Every node after those whose results it reads. */
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: readonly OnnxConstant[];
  readonly parameters: readonly OnnxParameter[];
  readonly dynamic: readonly DynamicSize[];
  readonly fixed: readonly FixedSize[];
}
