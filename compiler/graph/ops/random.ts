import { invariant } from "../errors.ts";
import { zeros } from "../tensor.ts";
import { noInputs, oneInput, requireDType, requireShape } from "./check.ts";
import type { OpDef } from "./op-def.ts";
import { pcgHash, uniform01 } from "./pcg.ts";

export const random_key: OpDef<"random_key"> = {
  summary: "Key of one random stream. -> u32[]",
  infer: (inputs, { stream }) => {
    noInputs(inputs);
    invariant(Number.isSafeInteger(stream) && stream >= 0, () => `no stream ${stream}`);
    return { dtype: "u32", shape: [] };
  },
  vjp: "not differentiable",
  evaluate: (_, { type, attrs }, leaves) => {
    invariant(leaves.randomKey !== undefined, () => `no keys for random streams`);
    const out = zeros(type);
    out.data[0] = leaves.randomKey(attrs.stream);
    return out;
  },
  lower: "by schedule",
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
  vjp: "not differentiable",
  evaluate: ([key], { type }) => {
    const out = zeros(type);
    for (let i = 0; i < out.data.length; i++) out.data[i] = uniform01(key!.data[0]!, i);
    return out;
  },
  lower: (s, [key], at, { type }) => s.call("uniform01", key!([]), s.linearize(at, type.shape)),
};

export const hash: OpDef<"hash"> = {
  summary: "Elementwise PCG-RXS-M-XS hash. x: u32[...] -> u32[...]",
  infer: (inputs) => {
    const x = oneInput(inputs);
    requireDType(x, ["u32"]);
    return x;
  },
  vjp: "not differentiable",
  evaluate: ([x], { type }) => {
    const out = zeros(type);
    for (let i = 0; i < out.data.length; i++) out.data[i] = pcgHash(x!.data[i]!);
    return out;
  },
  lower: (s, [x], at) => s.call("hash", x!(at)),
};
