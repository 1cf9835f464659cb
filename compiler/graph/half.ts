/** Half of the distance between 2^-24 and 0: what is smaller rounds to 0. */
const LEAST_EXPONENT = -24;
/** The midpoint between 65504 and the next step: from here on values round to infinity (IEEE 754, 4.3.1). */
const OVERFLOW = 65520;

/**
 * The nearest IEEE 754 binary16 value, ties to even: 11 significant bits, steps of 2^-24 below 2^-14, infinite from 65520 on.
 * The sign of zero and NaN stay. A step is a power of two, so scaling by it is exact and rounds once.
 */
export function toHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude > 0 && magnitude < Number.POSITIVE_INFINITY)) return value;
  if (magnitude >= OVERFLOW) return value > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const step = 2 ** Math.max(exponentOf(magnitude) - 10, LEAST_EXPONENT);
  const rounded = roundToEven(magnitude / step) * step;
  return value > 0 ? rounded : -rounded;
}

/** The bits of the binary16 nearest to a value. */
export function bitsOfHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const half = toHalf(value);
  const magnitude = Math.abs(half);
  const sign = half < 0 || Object.is(half, -0) ? 0x8000 : 0;
  if (magnitude === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  const exponent = exponentOf(magnitude);
  // Below 2^-14 there is no leading 1, and the least exponent stands for it.
  const bits =
    exponent < -14 ? magnitude * 2 ** 24 : ((exponent + 14) << 10) + magnitude * 2 ** (10 - exponent);
  return sign | bits;
}

/** floor(log2(x)) for 0 < x < 2^17, exactly; -15 for all that is smaller than 2^-14. */
function exponentOf(x: number): number {
  let exponent = -15;
  while (exponent < 16 && x >= 2 ** (exponent + 1)) exponent += 1;
  return exponent;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
