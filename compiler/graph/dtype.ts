import type { DType } from "./types.ts";

export const dtypes: readonly DType[] = ["f32", "i32", "u32", "bool"];

/** Bytes of one element in a buffer. A bool is stored as a u32 of 0 or 1. */
export const elementSizeBytes = 4;

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
 * used, and no kernel can spell the others), else a whole number in range.
 */
export function isValueOf(dtype: DType, value: number): boolean {
  if (dtype === "f32") return Number.isFinite(Math.fround(value));
  const { min, max } = dtypeRange(dtype);
  return Number.isInteger(value) && value >= min && value <= max && !Object.is(value, -0);
}
