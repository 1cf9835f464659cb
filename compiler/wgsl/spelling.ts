import type { ScalarFn } from "../kernel/index.ts";
import type { DType } from "../program/index.ts";

/** WGSL type of a value in a register; `width` 1 or 4. */
export function valueType(dtype: DType, width: 1 | 4): string {
  return width === 1 ? dtype : `vec4<${dtype}>`;
}

/** WGSL type of an element in a buffer: bool has no layout and is stored as u32. */
export function storageType(dtype: DType, width: 1 | 4): string {
  return valueType(dtype === "bool" ? "u32" : dtype, width);
}

const LARGEST_F32 = 3.4028234663852886e38;
const LARGEST_F16 = 65504;

/** A literal that reads back as the same f32, f16, i32, u32 or bool. Infinities become the largest finite value. */
export function literal(dtype: DType, value: number): string {
  switch (dtype) {
    case "f32": {
      const finite = Math.fround(Math.max(-LARGEST_F32, Math.min(LARGEST_F32, value)));
      const text = Object.is(finite, -0) ? "-0.0" : String(finite);
      return `${text}f`;
    }
    case "f16":
      return `${Math.max(-LARGEST_F16, Math.min(LARGEST_F16, value))}h`;
    case "i32":
      return value === -(2 ** 31) ? "i32(-2147483647 - 1)" : String(value);
    case "u32":
      return `${value >>> 0}u`;
    case "bool":
      return value !== 0 ? "true" : "false";
    default:
      return dtype satisfies never;
  }
}

type Spell = (args: readonly string[], dtype: DType, width: 1 | 4) => string;
const prefix =
  (op: string): Spell =>
  ([x]) =>
    `${op}(${x})`;
const infix =
  (op: string): Spell =>
  ([a, b]) =>
    `(${a} ${op} ${b})`;
/** Builtins and operators without a scalar-vector mix: both sides are splat by the emitter. */
export const NEEDS_EQUAL_WIDTHS: ReadonlySet<ScalarFn> = new Set([
  "max",
  "min",
  "pow",
  "lt",
  "le",
  "eq",
  "and",
  "or",
  "uniform01",
  "mod",
  "div",
]);

/** Each scalar function in WGSL, given arguments of the same width. `dtype` is that of the first argument. */
export const SPELLING: Readonly<Record<ScalarFn, Spell>> = {
  neg: ([x]) => `(-${x})`,
  exp: prefix("exp"),
  log: prefix("log"),
  sqrt: prefix("sqrt"),
  rsqrt: prefix("inverseSqrt"),
  // Some drivers compute tanh from exponentials that overflow; beyond 10 it is 1 in f32 anyway.
  tanh: ([x], dtype, width) =>
    `tanh(clamp(${x}, ${valueType(dtype, width)}(-10.0), ${valueType(dtype, width)}(10.0)))`,
  erf: ([x], _dtype, width) => `erf_${width}(${x})`,
  abs: prefix("abs"),
  sin: prefix("sin"),
  cos: prefix("cos"),
  floor: prefix("floor"),
  round_f16: ([x], _dtype, width) => `round_f16_${width}(${x})`,
  // An exponent of all ones is NaN or infinity.
  is_finite: ([x], _dtype, width) => {
    const t = valueType("u32", width);
    return `((bitcast<${t}>(${x}) & ${t}(0x7f800000u)) != ${t}(0x7f800000u))`;
  },
  not: ([x]) => `(!${x})`,
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: ([a, b], dtype) =>
    dtype === "i32" ? `((${a} - ((${a} % ${b} + ${b}) % ${b})) / ${b})` : `(${a} / ${b})`,
  max: ([a, b]) => `max(${a}, ${b})`,
  min: ([a, b]) => `min(${a}, ${b})`,
  pow: ([a, b]) => `pow(${a}, ${b})`,
  mod: ([a, b], dtype) => {
    if (dtype === "f32") return `(${a} - ${b} * floor(${a} / ${b}))`;
    return dtype === "i32" ? `((${a} % ${b} + ${b}) % ${b})` : `(${a} % ${b})`;
  },
  lt: infix("<"),
  le: infix("<="),
  eq: infix("=="),
  and: (args, dtype, width) => infix(width === 1 ? "&&" : "&")(args, dtype, width),
  or: (args, dtype, width) => infix(width === 1 ? "||" : "|")(args, dtype, width),
  hash: ([x], _dtype, width) => `hash_${width}(${x})`,
  uniform01: ([key, index], _dtype, width) => `uniform01_${width}(${key}, ${index})`,
};

/** What a module may have to declare: scalar functions that WGSL lacks, and the cast from f32 to f16. */
export type DeclaredFn = ScalarFn | "to_f16";

/** Functions that WGSL lacks, as declarations for one width; `needs` names others that they call. */
export const DECLARATIONS: Partial<
  Readonly<
    Record<DeclaredFn, { readonly needs: readonly DeclaredFn[]; readonly text: (width: 1 | 4) => string }>
  >
> = {
  round_f16: {
    needs: [],
    // By the bits: `quantizeToF16` leaves open what becomes of values beyond the range, may flush small ones to zero and, on
    // SwiftShader, drops bits instead of rounding.
    text: (width) => {
      const [t, u] = [valueType("f32", width), valueType("u32", width)];
      return `fn round_f16_${width}(x: ${t}) -> ${t} {
  let magnitude = bitcast<${u}>(x) & ${u}(0x7fffffffu);
  let even = (magnitude >> ${u}(13u)) & ${u}(1u);
  let rounded = (magnitude + ${u}(0xfffu) + even) & ${u}(0xffffe000u);
  let large = select(rounded, max(magnitude, ${u}(0x7f800000u)), magnitude >= ${u}(0x477ff000u));
  let small = bitcast<${u}>(round(bitcast<${t}>(magnitude) * 16777216.0) * 5.9604644775390625e-8);
  let bits = select(large, small, magnitude < ${u}(0x38800000u));
  return bitcast<${t}>(bits | (bitcast<${u}>(x) & ${u}(0x80000000u)));
}`;
    },
  },
  to_f16: {
    needs: [],
    // WGSL leaves open what f16(x) is for x beyond the range: from 65520 on it is infinite, NaN stays NaN.
    text: (width) => {
      const [t, h, u] = [valueType("f32", width), valueType("f16", width), valueType("u32", width)];
      const beyond =
        width === 1
          ? "bitcast<vec2<f16>>(bits).x"
          : "bitcast<vec4<f16>>(vec2<u32>(bits.x | (bits.y << 16u), bits.z | (bits.w << 16u)))";
      return `fn to_f16_${width}(x: ${t}) -> ${h} {
  let magnitude = bitcast<${u}>(x) & ${u}(0x7fffffffu);
  let sign = (bitcast<${u}>(x) >> ${u}(16u)) & ${u}(0x8000u);
  let bits = sign | select(${u}(0x7c00u), ${u}(0x7e00u), magnitude > ${u}(0x7f800000u));
  return select(${h}(x), ${beyond}, magnitude >= ${u}(0x477ff000u));
}`;
    },
  },
  erf: {
    needs: [],
    // Rational approximation in x on [-4, 4], error below 5e-7; coefficients as in Eigen's generic_fast_erf_float.
    text: (width) => {
      const t = valueType("f32", width);
      return `fn erf_${width}(x: ${t}) -> ${t} {
  let c = clamp(x, ${t}(-4.0), ${t}(4.0));
  let s = c * c;
  let p = c * (-1.60960333262415e-02 + s * (-2.95459980854025e-03 + s * (-7.34990630326855e-04 + s * (-5.69250639462346e-05
    + s * (-2.10102402082508e-06 + s * (2.77068142495902e-08 + s * -2.72614225801306e-10))))));
  let q = -1.42647390514189e-02 + s * (-7.37332916720468e-03 + s * (-1.68282697438203e-03 + s * (-2.13374055278905e-04
    + s * -1.45660718464996e-05)));
  return p / q;
}`;
    },
  },
  hash: {
    needs: [],
    // PCG-RXS-M-XS 32 (O'Neill 2014).
    text: (width) => {
      const t = valueType("u32", width);
      return `fn hash_${width}(x: ${t}) -> ${t} {
  let state = x * 747796405u + 2891336453u;
  let word = ((state >> ((state >> ${t}(28u)) + 4u)) ^ state) * 277803737u;
  return (word >> ${t}(22u)) ^ word;
}`;
    },
  },
  uniform01: {
    needs: ["hash"],
    text: (width) => {
      const [u, i, f] = [valueType("u32", width), valueType("i32", width), valueType("f32", width)];
      return `fn uniform01_${width}(key: ${u}, index: ${i}) -> ${f} {
  return ${f}(hash_${width}(key ^ hash_${width}(${u}(index))) >> ${u}(8u)) * 5.9604644775390625e-8;
}`;
    },
  },
};
