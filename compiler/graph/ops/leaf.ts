import { isValueOf } from "../dtype.ts";
import { invariant } from "../errors.ts";
import { noInputs, requireShape } from "./check.ts";
import type { OpDef } from "./op-def.ts";

export const input: OpDef<"input"> = {
  summary: "A batch field written by the runtime.",
  infer: (inputs, { dtype, shape }) => {
    noInputs(inputs);
    requireShape(shape);
    return { dtype, shape };
  },
};

export const parameter: OpDef<"parameter"> = {
  summary: "A trainable parameter. f32.",
  infer: (inputs, { shape }) => {
    noInputs(inputs);
    requireShape(shape);
    return { dtype: "f32", shape };
  },
};

export const state: OpDef<"state"> = {
  summary: "A buffer that lives from step to step.",
  infer: (inputs, { dtype, shape }) => {
    noInputs(inputs);
    requireShape(shape);
    return { dtype, shape };
  },
};

export const constant: OpDef<"constant"> = {
  summary: "One scalar. -> dtype[]",
  infer: (inputs, { dtype, value }) => {
    noInputs(inputs);
    invariant(isValueOf(dtype, value), () => `${value} is no value of ${dtype}`);
    return { dtype, shape: [] };
  },
};

export const iota: OpDef<"iota"> = {
  summary: "0, 1, 2, ... along one axis. -> i32[shape]",
  infer: (inputs, { shape, axis }) => {
    noInputs(inputs);
    requireShape(shape);
    invariant(Number.isInteger(axis) && axis >= 0 && axis < shape.length, () => `no axis ${axis}`);
    return { dtype: "i32", shape };
  },
};
