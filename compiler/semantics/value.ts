import type { Span } from "../diagnostics/index.ts";
import type { DType } from "../program/index.ts";
import type { ForwardItem, LayerDeclaration } from "../syntax/index.ts";
import type { FileScope } from "./declarations.ts";
import type { ValueId } from "./model.ts";
import type { Scope } from "./scope.ts";

/** The size of an axis, and what messages say of it. */
export interface Dim {
  readonly size: number;
  /** As the spec calls it here, e.g. `hidden`; absent for a computed or literal size. */
  readonly name?: string;
  /** Where this scope learnt the size. */
  readonly at?: Span;
  /** The same axis as the caller calls it; taken again when a result leaves the layer. */
  readonly outer?: Dim;
}

export interface TensorValue {
  readonly kind: "tensor";
  readonly id: ValueId;
  readonly dtype: DType;
  readonly dims: readonly Dim[];
}

export interface IntValue {
  readonly kind: "int";
  readonly value: number;
  readonly dim?: Dim;
}

export interface FloatValue {
  readonly kind: "float";
  readonly value: number;
  /** A quotient of two ints: stands for an int where it divides exactly. */
  readonly quotient?: boolean;
}

/** A layer with its settings fixed and its parameters made. */
export interface Instance {
  readonly declaration: LayerDeclaration;
  readonly path: string;
  /** Settings, consts, parameters and sub-layers by name. */
  readonly scope: Scope;
  readonly forward: ForwardItem | undefined;
  /** Where the declaration was written. */
  readonly file: FileScope;
}

export type Value =
  | TensorValue
  | IntValue
  | FloatValue
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "list"; readonly elements: readonly Value[] }
  | { readonly kind: "tuple"; readonly elements: readonly Value[] }
  | { readonly kind: "instance"; readonly instance: Instance }
  | { readonly kind: "repeated"; readonly path: string; readonly instances: readonly Instance[] }
  /** Reported already: whatever is made of it says nothing more. */
  | { readonly kind: "error" };

export const errorValue: Value = { kind: "error" };

export type NumberValue = IntValue | FloatValue;

export function isNumber(value: Value): value is NumberValue {
  return value.kind === "int" || value.kind === "float";
}

export function intValue(value: number, dim?: Dim): IntValue {
  return dim === undefined ? { kind: "int", value } : { kind: "int", value, dim };
}

export function boolValue(value: boolean): Value {
  return { kind: "bool", value };
}

/** What a value is, for messages: `a number`, `f32[B=32, hidden=128]`. */
export function describe(value: Value): string {
  switch (value.kind) {
    case "tensor":
      return formatTensor(value.dtype, value.dims);
    case "int":
      return `the int ${value.value}`;
    case "float":
      return `the float ${value.value}`;
    case "bool":
      return `the bool ${value.value}`;
    case "string":
      return `the string "${clip(value.value)}"`;
    case "list":
      return "a list";
    case "tuple":
      return `${value.elements.length} results`;
    case "instance":
      return `a layer (${value.instance.declaration.name.text})`;
    case "repeated":
      return "a repeated layer";
    case "error":
      return "an error";
    default:
      return value satisfies never;
  }
}

export function clip(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 37)}...`;
}

export function formatDim(dim: Dim): string {
  return dim.name === undefined ? String(dim.size) : `${dim.name}=${dim.size}`;
}

/** `f32[B=32, hidden=128]`; a scalar is `f32[]`. */
export function formatTensor(dtype: DType, dims: readonly Dim[]): string {
  return `${dtype}[${dims.map(formatDim).join(", ")}]`;
}

/** What a value read from a setting prints as inside `{...}` of a message. */
export function display(value: Value): string {
  switch (value.kind) {
    case "int":
    case "float":
    case "bool":
      return String(value.value);
    case "string":
      return value.value;
    default:
      return describe(value);
  }
}
