import { isValueOf } from "../dtype.ts";
import { invariant } from "../errors.ts";
import { formatType, sameType } from "../shape.ts";
import { stridedOffsets, type Tensor, zeros } from "../tensor.ts";
import type { DType, TensorType } from "../types.ts";
import { noInputs, requireShape } from "./check.ts";
import type { OpDef } from "./op-def.ts";

function leafValue(
  values: ReadonlyMap<string, Tensor> | undefined,
  kind: string,
  name: string,
  type: TensorType,
): Tensor {
  const value = values?.get(name);
  invariant(value !== undefined, () => `no value for ${kind} ${name}`);
  invariant(
    sameType(value, type),
    () => `${kind} ${name} is ${formatType(type)}, its value ${formatType(value)}`,
  );
  return value;
}

/** f16 is made by casts: what lies outside of a step is whole words, and master copies are f32. */
function requireWholeWords(dtype: DType): void {
  invariant(dtype !== "f16", () => "f16 comes of casts alone");
}

export const input: OpDef<"input"> = {
  summary: "A batch field written by the runtime.",
  infer: (inputs, { dtype, shape }) => {
    noInputs(inputs);
    requireShape(shape);
    requireWholeWords(dtype);
    return { dtype, shape };
  },
  vjp: "not differentiable",
  evaluate: (_, node, leaves) => leafValue(leaves.inputs, "input", node.attrs.name, node.type),
  lower: "by schedule",
};

export const parameter: OpDef<"parameter"> = {
  summary: "A trainable parameter. f32.",
  infer: (inputs, { shape }) => {
    noInputs(inputs);
    requireShape(shape);
    return { dtype: "f32", shape };
  },
  vjp: "not differentiable",
  evaluate: (_, node, leaves) => leafValue(leaves.parameters, "parameter", node.attrs.name, node.type),
  lower: "by schedule",
};

export const state: OpDef<"state"> = {
  summary: "A buffer that lives from step to step.",
  infer: (inputs, { dtype, shape }) => {
    noInputs(inputs);
    requireShape(shape);
    requireWholeWords(dtype);
    return { dtype, shape };
  },
  vjp: "not differentiable",
  evaluate: (_, node, leaves) => leafValue(leaves.states, "state", node.attrs.name, node.type),
  lower: "by schedule",
};

export const constant: OpDef<"constant"> = {
  summary: "One scalar. -> dtype[]",
  infer: (inputs, { dtype, value }) => {
    noInputs(inputs);
    invariant(isValueOf(dtype, value), () => `${value} is no value of ${dtype}`);
    return { dtype, shape: [] };
  },
  vjp: "not differentiable",
  evaluate: (_, { type, attrs }) => {
    const out = zeros(type);
    out.data[0] = attrs.value;
    return out;
  },
  lower: (s, _inputs, _at, { attrs }) => s.constant(attrs.dtype, attrs.value),
};

export const iota: OpDef<"iota"> = {
  summary: "0, 1, 2, ... along one axis. -> i32[shape]",
  infer: (inputs, { shape, axis }) => {
    noInputs(inputs);
    requireShape(shape);
    invariant(Number.isInteger(axis) && axis >= 0 && axis < shape.length, () => `no axis ${axis}`);
    return { dtype: "i32", shape };
  },
  vjp: "not differentiable",
  evaluate: (_, { type, attrs }) => {
    const out = zeros(type);
    const strides = type.shape.map((_size, axis) => (axis === attrs.axis ? 1 : 0));
    out.data.set(stridedOffsets(type.shape, strides));
    return out;
  },
  lower: (_s, _inputs, at, { attrs }) => at[attrs.axis]!,
};
