import { toHalf } from "./half.ts";
import type { DType } from "./types.ts";

export { elementSizeBytes } from "../program/index.ts";

export const dtypes: readonly DType[] = ["f32", "f16", "i32", "u32", "bool"];

/** Whether values of a dtype are rounded reals: f32 or f16. */
export function isFloat(dtype: DType): boolean {
  return dtype === "f32" || dtype === "f16";
}

export function isNumeric(dtype: DType): boolean {
  return dtype !== "bool";
}

export function isInteger(dtype: DType): boolean {
  return dtype === "i32" || dtype === "u32";
}

/** Least and greatest finite value of a dtype (f32: the largest finite magnitudes). */
export function dtypeRange(dtype: DType): { readonly min: number; readonly max: number } {
  switch (dtype) {
    case "f32":
      return { min: -3.4028234663852886e38, max: 3.4028234663852886e38 };
    case "f16":
      return { min: -65504, max: 65504 };
    case "i32":
      return { min: -0x80000000, max: 0x7fffffff };
    case "u32":
      return { min: 0, max: 0xffffffff };
    case "bool":
      return { min: 0, max: 1 };
    default:
      return dtype satisfies never;
  }
}

/**
 * Whether a constant of `dtype` can be `value`: for f32 any double that rounds to a finite f32 (it is rounded where it is
 * used, and no kernel can spell the others), for f16 its finite values, else a whole number in range.
 */
export function isValueOf(dtype: DType, value: number): boolean {
  if (dtype === "f32") return Number.isFinite(Math.fround(value));
  if (dtype === "f16") return Number.isFinite(value) && Object.is(toHalf(value), value);
  const { min, max } = dtypeRange(dtype);
  return Number.isInteger(value) && value >= min && value <= max && !Object.is(value, -0);
}
