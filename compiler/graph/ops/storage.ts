import { invariant } from "../errors.ts";
import { elementCount, formatType } from "../shape.ts";
import { zeros } from "../tensor.ts";
import { oneInput, requireShape } from "./check.ts";
import type { OpDef } from "./op-def.ts";

export const view: OpDef<"view"> = {
  summary: "A contiguous piece of flat storage. flat: T[N] -> T[shape]",
  infer: (inputs, { offset, shape }) => {
    const flat = oneInput(inputs);
    requireShape(shape);
    invariant(
      flat.shape.length === 1 &&
        Number.isSafeInteger(offset) &&
        offset >= 0 &&
        offset + elementCount(shape) <= flat.shape[0]!,
      () => `[${shape.join(", ")}] at ${offset} is no piece of ${formatType(flat)}`,
    );
    return { dtype: flat.dtype, shape };
  },
  vjp: "not differentiable",
  evaluate: ([flat], { type, attrs }) => {
    const end = attrs.offset + elementCount(type.shape);
    return { ...type, data: flat!.data.slice(attrs.offset, end) };
  },
  lower: "by schedule",
};

export const pack: OpDef<"pack"> = {
  summary: "Tensors flattened at their offsets, zero between. -> T[size]",
  infer: (inputs, { offsets, size }) => {
    const [first] = inputs;
    invariant(first !== undefined, () => `takes at least 1 input`);
    invariant(
      offsets.length === inputs.length,
      () => `${offsets.length} offsets for ${inputs.length} inputs`,
    );
    requireShape([size]);
    let end = 0;
    inputs.forEach((type, index) => {
      invariant(type.dtype === first.dtype, () => `inputs differ in dtype`);
      const offset = offsets[index]!;
      invariant(
        Number.isSafeInteger(offset) && offset >= end,
        () => `offset ${offset} of input ${index} is before the end ${end} of the one before`,
      );
      end = offset + elementCount(type.shape);
    });
    invariant(end <= size, () => `inputs end at ${end}, after the size ${size}`);
    return { dtype: first.dtype, shape: [size] };
  },
  vjp: "not differentiable",
  evaluate: (inputs, { type, attrs }) => {
    const out = zeros(type);
    inputs.forEach((x, index) => {
      out.data.set(x.data, attrs.offsets[index]!);
    });
    return out;
  },
  lower: "by schedule",
};
