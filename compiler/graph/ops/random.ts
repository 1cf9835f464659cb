import { invariant } from "../errors.ts";
import { noInputs, oneInput, requireDType, requireShape } from "./check.ts";
import type { OpDef } from "./op-def.ts";

export const random_key: OpDef<"random_key"> = {
  summary: "Key of one random stream. -> u32[]",
  infer: (inputs, { stream }) => {
    noInputs(inputs);
    invariant(Number.isSafeInteger(stream) && stream >= 0, () => `no stream ${stream}`);
    return { dtype: "u32", shape: [] };
  },
};

export const uniform: OpDef<"uniform"> = {
  summary: "Uniform in [0, 1) by counter. key: u32[] -> f32[shape]",
  infer: (inputs, { shape }) => {
    const key = oneInput(inputs);
    requireDType(key, ["u32"]);
    invariant(key.shape.length === 0, () => `the key must be a scalar`);
    requireShape(shape);
    return { dtype: "f32", shape };
  },
};

export const hash: OpDef<"hash"> = {
  summary: "Elementwise PCG-RXS-M-XS hash. x: u32[...] -> u32[...]",
  infer: (inputs) => {
    const x = oneInput(inputs);
    requireDType(x, ["u32"]);
    return x;
  },
};
