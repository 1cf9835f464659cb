import type { DType } from "../../compiler/program/index.ts";
import type { Elements } from "./draw-tensors.ts";

/**
 * Variants add in another order: over n terms of size 1 the error of f32 grows as about 6e-8 sqrt(n), and what is made of a sum
 * by an exponential grows with the exponent. A wrong index or a lost term is off by far more.
 */
const TOLERANCE = 1e-4;
/** The last place of an f16 is 2^-11 of its value at most, and may fall the other way. */
const HALF_TOLERANCE = 2 ** -10;

/**
 * The largest |a - b| / (|a| + rms), rms being the root of the mean square of all a: near zero, where a sum has cancelled out,
 * the size of its terms counts. Two NaNs are equal, as are equal infinities. Whole numbers must be equal.
 * @returns infinite where one is not finite and the other another
 */
export function largestDifference(dtype: DType, expected: Elements, actual: Elements): number {
  if (dtype !== "f32" && dtype !== "f16")
    return expected.every((value, i) => value === actual[i]) ? 0 : Number.POSITIVE_INFINITY;
  let squares = 0;
  let finite = 0;
  for (const value of expected) {
    if (!Number.isFinite(value)) continue;
    squares += value * value;
    finite += 1;
  }
  const rms = Math.sqrt(squares / Math.max(1, finite));
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [expected[i] ?? Number.NaN, actual[i] ?? Number.NaN];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const difference = Math.abs(a - b) / (Math.abs(a) + rms);
    most = Math.max(most, Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY);
  }
  return most;
}

export function isRounding(dtype: DType, difference: number): boolean {
  return difference <= (dtype === "f16" ? HALF_TOLERANCE : TOLERANCE);
}
