import type { Span } from "../diagnostics/index.ts";
import type { DType, Initializer, Shape } from "../program/index.ts";

/*
 * A checked model as data: every layer instance is gone, every size is a number, every expression is an instruction
 * over tensors in the language's own primitives. Broadcasting is still implicit and `drop` still means both modes:
 * `elaborate` makes graph of it.
 */

/** Position in `TypedModel.instructions`. Operands always have smaller ids than their users. */
export type ValueId = number;

export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export type UnaryFn =
  | "neg"
  | "not"
  | "exp"
  | "log"
  | "sqrt"
  | "rsqrt"
  | "tanh"
  | "erf"
  | "abs"
  | "sin"
  | "cos"
  | "floor"
  | "sigmoid"
  | "stop_gradient";

/** Operands broadcast as in NumPy and have one dtype; comparisons give bool. Integer `div` floors. */
export type BinaryFn =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "mod"
  | "pow"
  | "max"
  | "min"
  | "eq"
  | "ne"
  | "lt"
  | "le"
  | "gt"
  | "ge"
  | "and"
  | "or";

export type Operation =
  | { readonly op: "input"; readonly name: string }
  | { readonly op: "parameter"; readonly name: string }
  /** A tensor of one value; shape [] where a number of the text met a tensor. */
  | { readonly op: "fill"; readonly value: number }
  /** i32 [n]: 0 .. n-1 */
  | { readonly op: "iota" }
  | { readonly op: "unary"; readonly fn: UnaryFn }
  | { readonly op: "binary"; readonly fn: BinaryFn }
  /** condition (bool), then, else; all broadcast. */
  | { readonly op: "where" }
  | { readonly op: "cast" }
  | {
      readonly op: "reduce";
      readonly fn: "sum" | "mean" | "max";
      /** Ascending, from 0. */
      readonly axes: readonly number[];
      readonly keep: boolean;
    }
  /** [..., i, k] @ [..., k, j]; a may be a vector [k]; leading axes broadcast. */
  | { readonly op: "matmul" }
  /** One or two operands, axes as label numbers; a label absent from `out` is summed over. No label repeats within a side. */
  | {
      readonly op: "einsum";
      readonly labels: readonly (readonly number[])[];
      readonly out: readonly number[];
    }
  /** The operand as `split`, its axes in the order `perm`, as the instruction's shape. */
  | { readonly op: "rearrange"; readonly split: Shape; readonly perm: readonly number[] }
  /** table [N, ...rest], indices i32 [...I] */
  | { readonly op: "take" }
  /** x [B, T, ...rest], indices i32 [B, P] -> [B, P, ...rest] */
  | { readonly op: "gather" }
  /** Each element is zero with probability `rate`, else divided by 1 - rate; identity in evaluation. */
  | { readonly op: "drop"; readonly rate: number }
  /** Bounds for every axis of the operand; then the axes of size 1 in `dropped` go. */
  | {
      readonly op: "slice";
      readonly start: readonly number[];
      readonly end: readonly number[];
      readonly dropped: readonly number[];
    }
  | { readonly op: "concat"; readonly axis: number };

/** Where an instruction comes from. */
export interface InstructionOrigin {
  /** Path of layer instances, e.g. `encoder.blocks.0.attention`; "" in the model itself. */
  readonly path: string;
  readonly span: Span;
  /** `file:line:column` of the span. */
  readonly at: string;
  /** The `let`, fn or layer that names the value, else the operation. */
  readonly label: string;
}

export type Instruction = Operation & {
  readonly inputs: readonly ValueId[];
  readonly type: ValueType;
  readonly origin: InstructionOrigin;
};

export interface TypedParameter {
  /** e.g. `encoder.blocks.0.attention.query.weight`. Unique. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initializer;
  readonly span: Span;
}

export interface TypedInput extends ValueType {
  readonly name: string;
}

export interface NamedValue {
  readonly name: string;
  readonly value: ValueId;
}

/** Rate at step s, counted from 0. `warmup` is a number of steps in which it rises: peak * (s + 1) / warmup. */
export type LearningRate =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "warmup"; readonly peak: number; readonly warmup: number }
  /** Then falls to `end` at step `total`, in a line or along half a cosine. */
  | {
      readonly kind: "warmup_linear" | "warmup_cosine";
      readonly peak: number;
      readonly warmup: number;
      readonly total: number;
      readonly end: number;
    };

export interface OptimizerRecipe {
  readonly kind: "sgd" | "momentum" | "adam" | "adamw";
  readonly lr: LearningRate;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  readonly weightDecay?: number;
  /** Patterns of parameter names without decay; `*` matches any text. */
  readonly exclude?: readonly string[];
}

/** The learning rate of the parameters whose names match, as a share of the optimizer's. */
export interface RateScale {
  readonly pattern: string;
  /** Above 0. */
  readonly scale: number;
}

export interface Recipe {
  readonly optimizer: OptimizerRecipe;
  /** Patterns of parameter names that stay as they are: no gradient, no optimizer state. */
  readonly frozen?: readonly string[];
  /** The first that matches a parameter counts; 1 where none does. */
  readonly rates?: readonly RateScale[];
  /** Path of a checkpoint, relative to the spec, whose parameters the run starts with, by name. */
  readonly initFrom?: string;
  readonly clip?: { readonly globalNorm: number };
  readonly accumulate: number;
  readonly steps: number;
}

/** The `data` line of the train block: which reader, and with which settings. */
export interface DataSource {
  readonly kind: string;
  readonly settings: Readonly<Record<string, number | string>>;
  /** All fields the reader yields, taken by the model or not. */
  readonly fields: readonly TypedInput[];
}

/** Which `model` declaration was made, and with what: every parameter, defaults included. */
export interface MadeOf {
  readonly declaration: string;
  readonly arguments: Readonly<Record<string, number | boolean | string>>;
}

export interface TypedModel {
  readonly name: string;
  readonly madeOf: MadeOf;
  readonly parameters: readonly TypedParameter[];
  /** The batch fields that the model's forward takes, in its order. */
  readonly inputs: readonly TypedInput[];
  readonly instructions: readonly Instruction[];
  /** Tensors that `encode` and `evaluate` compute. */
  readonly outputs: readonly NamedValue[];
  /** Outputs that are computed when they are asked for by name: logits of a head, say. */
  readonly heads: readonly NamedValue[];
  /** f32 []: what `minimize` is made of. */
  readonly losses: readonly NamedValue[];
  /** f32 []: measures of an evaluation that training does not compute, an accuracy say. */
  readonly metrics: readonly NamedValue[];
  /** What `minimize` says: f32 []. */
  readonly objective: ValueId;
  readonly recipe: Recipe;
  readonly data: DataSource;
}
