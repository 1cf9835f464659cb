import type { AttrsOf, DType, OpName, Shape } from "../../compiler/graph/index.ts";
import { given, integers, nonzero, type Operand, uniform } from "./draw.ts";

/** One use of an op: attributes, operands, and for hand cases what it gives. */
export interface Sample<K extends OpName> {
  readonly attrs: AttrsOf<K>;
  readonly inputs: readonly Operand[];
  /** Elements of the output, worked out by hand or taken from a table. Operands are given then. */
  readonly gives?: readonly number[];
  /** Leaves only: the value the leaf is given. */
  readonly leaf?: Operand;
}

const f = (values: readonly number[], shape: Shape = [values.length]) => given("f32", shape, values);
const i = (values: readonly number[], shape: Shape = [values.length]) => given("i32", shape, values);
const u = (values: readonly number[], shape: Shape = [values.length]) => given("u32", shape, values);
const truth = (values: readonly number[], shape: Shape = [values.length]) => given("bool", shape, values);

/** Floats and the nearest IEEE 754 binary16 value. */
const halves = [
  [1, 1],
  // 11 significant bits; ties go to the even one.
  [1 + 2 ** -11, 1],
  [1 + 3 * 2 ** -11, 1 + 2 ** -9],
  [-(1 + 2 ** -11 + 2 ** -20), -(1 + 2 ** -10)],
  [2049, 2048],
  [2051, 2052],
  [65504, 65504],
  [-65519, -65504],
  // The least normal value, and steps of 2^-24 below it.
  [2 ** -14, 2 ** -14],
  [2 ** -14 - 2 ** -25, 2 ** -14],
  [2 ** -24, 2 ** -24],
  [2 ** -25, 0],
  [3 * 2 ** -25, 2 ** -23],
  [2 ** -30, 0],
  [0, 0],
] as const;

/** A hand case of an op without attributes. */
function hand(inputs: readonly Operand[], gives: readonly number[]) {
  return { attrs: {}, inputs, gives };
}
/** A drawn case of an op without attributes. */
function drawn(...inputs: readonly Operand[]) {
  return { attrs: {}, inputs };
}

const shape = [3, 4];
const anything = uniform(shape, -2, 2);
const positive = uniform(shape, 0.2, 3);
const wholes = integers("i32", shape, -9, 10);
const naturals = integers("u32", shape, 0, 19);
const truths = integers("bool", shape, 0, 2);

/**
 * Cases of every op: values against `gives`, gradients of all f32 operands along drawn directions (operands stay
 * away from kinks), lowering and kernels against `evaluate`.
 */
export const samples: { readonly [K in OpName]: readonly Sample<K>[] } = {
  input: [
    { attrs: { name: "x", dtype: "i32", shape: [2] }, inputs: [], leaf: i([7, -8]), gives: [7, -8] },
    { attrs: { name: "x", dtype: "f32", shape: [] }, inputs: [], leaf: f([0.5], []), gives: [0.5] },
  ],
  parameter: [{ attrs: { name: "w", shape: [2] }, inputs: [], leaf: f([0.25, -4]), gives: [0.25, -4] }],
  state: [{ attrs: { name: "s", dtype: "u32", shape: [1] }, inputs: [], leaf: u([9]), gives: [9] }],
  constant: [
    { attrs: { dtype: "f32", value: -1e6 }, inputs: [], gives: [-1e6] },
    { attrs: { dtype: "i32", value: -3 }, inputs: [], gives: [-3] },
    { attrs: { dtype: "u32", value: 4294967295 }, inputs: [], gives: [4294967295] },
    { attrs: { dtype: "bool", value: 1 }, inputs: [], gives: [1] },
  ],
  iota: [
    { attrs: { shape: [4], axis: 0 }, inputs: [], gives: [0, 1, 2, 3] },
    { attrs: { shape: [2, 3], axis: 0 }, inputs: [], gives: [0, 0, 0, 1, 1, 1] },
    { attrs: { shape: [2, 3], axis: 1 }, inputs: [], gives: [0, 1, 2, 0, 1, 2] },
  ],
  random_key: [{ attrs: { stream: 3 }, inputs: [], leaf: u([77], []), gives: [77] }],

  neg: [hand([f([1.5, -2, 0.25])], [-1.5, 2, -0.25]), hand([i([3, -4])], [-3, 4]), drawn(anything)],
  exp: [hand([f([0, 1, -1])], [1, Math.E, 1 / Math.E]), drawn(anything)],
  log: [hand([f([1, Math.E, 0.125])], [0, 1, -3 * Math.LN2]), drawn(positive)],
  sqrt: [hand([f([0, 4, 2])], [0, 2, Math.SQRT2]), drawn(positive)],
  rsqrt: [hand([f([4, 0.25])], [0.5, 2]), drawn(positive)],
  tanh: [hand([f([0, Math.log(2), 40])], [0, 0.6, 1]), drawn(anything)],
  // Abramowitz and Stegun, table 7.1, to the digits of a float64.
  erf: [
    hand(
      [f([0, 0.5, -2, 3.5, 0.001, 7])],
      [0, 0.5204998778130465, -0.9953222650189527, 0.9999992569016276, 0.0011283787909692365, 1],
    ),
    drawn(anything),
  ],
  abs: [hand([f([-1.5, 0, 2])], [1.5, 0, 2]), hand([i([-3, 4])], [3, 4]), drawn(nonzero(shape))],
  sin: [hand([f([0, Math.PI / 2, Math.PI / 6])], [0, 1, 0.5]), drawn(anything)],
  cos: [hand([f([0, Math.PI, Math.PI / 3])], [1, -1, 0.5]), drawn(anything)],
  floor: [hand([f([1.5, -1.5, 2])], [1, -2, 2]), drawn(nonzero(shape))],
  round_f16: [
    hand(
      [f(halves.map(([value]) => value))],
      halves.map(([, half]) => half),
    ),
  ],
  is_finite: [
    hand(
      [
        f([
          0,
          -1.5,
          3.4e38,
          -3.4e38,
          1e-45,
          Number.NaN,
          Number.POSITIVE_INFINITY,
          Number.NEGATIVE_INFINITY,
          7,
        ]),
      ],
      [1, 1, 1, 1, 1, 0, 0, 0, 1],
    ),
    hand([f([Number.NaN, 2, Number.POSITIVE_INFINITY, -0])], [0, 1, 0, 1]),
    drawn(anything),
  ],
  not: [hand([truth([0, 1])], [1, 0]), drawn(truths)],

  add: [
    hand([f([1, 2]), f([0.5, -3])], [1.5, -1]),
    hand([i([2147483647]), i([1])], [-2147483648]),
    hand([u([4294967295]), u([2])], [1]),
    drawn(anything, anything),
    drawn(uniform([], -1, 1), uniform([], -1, 1)),
  ],
  sub: [
    hand([f([1, 2]), f([0.5, -3])], [0.5, 5]),
    hand([u([1]), u([2])], [4294967295]),
    drawn(anything, anything),
  ],
  mul: [
    hand([f([1.5, 2]), f([2, -3])], [3, -6]),
    hand([i([65537, -3]), i([65537, 5])], [131073, -15]),
    hand([u([4294967295]), u([4294967295])], [1]),
    drawn(anything, anything),
  ],
  div: [
    hand([f([1, -3]), f([4, 2])], [0.25, -1.5]),
    hand([i([7, -7, 7, -7, 5]), i([2, 2, -2, -2, 0])], [3, -4, -4, 3, 5]),
    hand([u([4294967295, 7]), u([2, 0])], [2147483647, 7]),
    drawn(anything, nonzero(shape)),
  ],
  max: [hand([f([1, -3]), f([4, -5])], [4, -3]), hand([i([-1]), i([2])], [2]), drawn(anything, anything)],
  min: [
    hand([f([1, -3]), f([4, -5])], [1, -5]),
    hand([u([4294967295]), u([2])], [2]),
    drawn(anything, anything),
  ],
  pow: [hand([f([2, 9, 0]), f([3, 0.5, 2])], [8, 3, 0]), drawn(positive, anything)],
  mod: [
    hand([f([5.5, -5.5]), f([2, 2])], [1.5, 0.5]),
    hand([i([7, -7, 7, 5]), i([3, 3, -3, 0])], [1, 2, -2, 0]),
    hand([u([4294967295]), u([10])], [5]),
    drawn(given("f32", [4], [1.3, -0.4, 5.1, -3.7]), given("f32", [4], [1, 1.5, -2, 0.9])),
  ],
  lt: [
    hand([f([1, 2, 2]), f([2, 1, 2])], [1, 0, 0]),
    hand([i([-1]), i([1])], [1]),
    hand([u([4294967295]), u([1])], [0]),
    drawn(wholes, wholes),
    drawn(anything, anything),
  ],
  le: [hand([f([1, 2, 2]), f([2, 1, 2])], [1, 0, 1]), drawn(wholes, wholes), drawn(naturals, naturals)],
  eq: [
    hand([f([1, 2, 0]), f([2, 2, -0])], [0, 1, 1]),
    hand([truth([0, 1, 0, 1]), truth([0, 0, 1, 1])], [1, 0, 0, 1]),
    drawn(wholes, wholes),
  ],
  and: [hand([truth([0, 1, 0, 1]), truth([0, 0, 1, 1])], [0, 0, 0, 1]), drawn(truths, truths)],
  or: [hand([truth([0, 1, 0, 1]), truth([0, 0, 1, 1])], [0, 1, 1, 1]), drawn(truths, truths)],
  select: [
    hand([truth([0, 1]), f([1, 2]), f([3, 4])], [3, 2]),
    hand([truth([0, 1]), i([1, 2]), i([3, 4])], [3, 2]),
    drawn(truths, anything, anything),
  ],
  cast: [
    cast("i32", f([1.9, -1.9, 3e9, -3e9]), [1, -1, 2147483647, -2147483648]),
    cast("u32", f([1.9, -1.9, 5e9]), [1, 0, 4294967295]),
    cast("f32", i([-5, 2147483647]), [-5, 2147483647]),
    cast("f32", u([4294967295]), [4294967295]),
    cast("u32", i([-1]), [4294967295]),
    cast("i32", u([4294967295]), [-1]),
    cast("f32", truth([0, 1]), [0, 1]),
    cast("i32", truth([0, 1]), [0, 1]),
    cast(
      "f16",
      f(halves.map(([value]) => value)),
      halves.map(([, half]) => half),
    ),
    cast("f16", i([2049, -7]), [2048, -7]),
    cast("bool", f([0, 0.5, -2]), [0, 1, 1]),
    cast("bool", i([0, -1]), [0, 1]),
  ],
  barrier: [
    { attrs: { number: 3 }, inputs: [f([1.5, -2])], gives: [1.5, -2] },
    { attrs: { number: 0 }, inputs: [anything] },
  ],
  stop_gradient: [hand([f([1.5, -2])], [1.5, -2]), drawn(anything)],
  // (hash(7 ^ hash(i)) >> 8) / 2^24, worked out with exact integers.
  uniform: [
    {
      attrs: { shape: [2, 3] },
      inputs: [u([7], [])],
      gives: [15762927, 7926578, 10809961, 15440002, 14834724, 11835481].map((bits) => bits / 2 ** 24),
    },
    { attrs: { shape: [5, 7] }, inputs: [integers("u32", [], 0, 2 ** 32)] },
  ],
  hash: [
    hand([u([0, 1, 2, 12345, 4294967295])], [129708002, 2831084092, 2055130248, 4099845390, 3861530882]),
    drawn(integers("u32", shape, 0, 2 ** 32)),
  ],

  reshape: [
    { attrs: { shape: [3, 2] }, inputs: [f([1, 2, 3, 4, 5, 6], [2, 3])], gives: [1, 2, 3, 4, 5, 6] },
    { attrs: { shape: [2, 1, 6] }, inputs: [anything] },
    { attrs: { shape: [] }, inputs: [uniform([1, 1], -1, 1)] },
    { attrs: { shape: [4, 6, 1] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  transpose: [
    { attrs: { perm: [1, 0] }, inputs: [f([1, 2, 3, 4, 5, 6], [2, 3])], gives: [1, 4, 2, 5, 3, 6] },
    { attrs: { perm: [1, 0, 2] }, inputs: [i([1, 2, 3, 4, 5, 6], [1, 3, 2])], gives: [1, 2, 3, 4, 5, 6] },
    { attrs: { perm: [2, 0, 1] }, inputs: [uniform([2, 3, 4], -1, 1)] },
    { attrs: { perm: [0, 2, 1, 3] }, inputs: [uniform([2, 3, 4, 2], -1, 1)] },
  ],
  broadcast: [
    { attrs: { shape: [2, 3], axes: [1] }, inputs: [f([1, 2, 3])], gives: [1, 2, 3, 1, 2, 3] },
    { attrs: { shape: [2, 3], axes: [0] }, inputs: [f([1, 2])], gives: [1, 1, 1, 2, 2, 2] },
    { attrs: { shape: [2, 2], axes: [] }, inputs: [i([5], [])], gives: [5, 5, 5, 5] },
    { attrs: { shape: [2, 3, 4, 2], axes: [1, 2] }, inputs: [anything] },
  ],
  slice: [
    {
      attrs: { start: [0, 1], end: [2, 3] },
      inputs: [f([1, 2, 3, 4, 5, 6], [2, 3])],
      gives: [2, 3, 5, 6],
    },
    { attrs: { start: [1, 0, 2], end: [2, 3, 3] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  pad: [
    { attrs: { before: [1], after: [2] }, inputs: [i([4, 5])], gives: [0, 4, 5, 0, 0] },
    {
      attrs: { before: [0, 1], after: [1, 0] },
      inputs: [f([1, 2, 3, 4], [2, 2])],
      gives: [0, 1, 2, 0, 3, 4, 0, 0, 0],
    },
    { attrs: { before: [0, 2, 1], after: [3, 0, 1] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  concat: [
    { attrs: { axis: 0 }, inputs: [f([1, 2]), f([3])], gives: [1, 2, 3] },
    {
      attrs: { axis: 1 },
      inputs: [f([1, 2], [2, 1]), f([3, 4, 5, 6], [2, 2])],
      gives: [1, 3, 4, 2, 5, 6],
    },
    {
      attrs: { axis: 1 },
      inputs: [uniform([2, 3, 2], -1, 1), uniform([2, 1, 2], -1, 1), uniform([2, 4, 2], -1, 1)],
    },
  ],
  take: [
    hand([f([1, 2, 3, 4, 5, 6], [3, 2]), i([2, 0, 2])], [5, 6, 1, 2, 5, 6]),
    hand([i([7, 8, 9]), i([1], [])], [8]),
    drawn(uniform([5, 3], -1, 1), integers("i32", [2, 4], 0, 5)),
    drawn(uniform([5], -1, 1), integers("i32", [2, 4], 0, 5)),
  ],

  sum: [
    { attrs: { axes: [1] }, inputs: [f([1, 2, 3, 4, 5, 6], [2, 3])], gives: [6, 15] },
    { attrs: { axes: [0] }, inputs: [f([1, 2, 3, 4, 5, 6], [2, 3])], gives: [5, 7, 9] },
    { attrs: { axes: [0, 1] }, inputs: [i([1, 2, 3, 4, 5, 6], [2, 3])], gives: [21] },
    { attrs: { axes: [0] }, inputs: [u([4294967295, 2])], gives: [1] },
    { attrs: { axes: [0, 2] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  reduce_max: [
    { attrs: { axes: [1] }, inputs: [f([1, -2, 3, -4, -5, -6], [2, 3])], gives: [3, -4] },
    { attrs: { axes: [0] }, inputs: [i([-3, -7])], gives: [-3] },
    { attrs: { axes: [0, 2] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  logsumexp: [
    // log(e^0 + e^(ln 3)) = ln 4; terms far above the range of exp
    {
      attrs: { axes: [1] },
      inputs: [f([0, Math.log(3), 1000, 1000], [2, 2])],
      gives: [Math.log(4), 1000 + Math.LN2],
    },
    { attrs: { axes: [0] }, inputs: [f([-1e6, 2], [2])], gives: [2] },
    { attrs: { axes: [0, 2] }, inputs: [uniform([2, 3, 4], -1, 1)] },
  ],
  einsum: [
    // [[1, 2], [3, 4]] [[5, 6], [7, 8]]
    {
      attrs: { lhs: [0, 1], rhs: [1, 2], out: [0, 2] },
      inputs: [f([1, 2, 3, 4], [2, 2]), f([5, 6, 7, 8], [2, 2])],
      gives: [19, 22, 43, 50],
    },
    // the same, transposed both ways
    {
      attrs: { lhs: [1, 0], rhs: [2, 1], out: [2, 0] },
      inputs: [f([1, 3, 2, 4], [2, 2]), f([5, 7, 6, 8], [2, 2])],
      gives: [19, 43, 22, 50],
    },
    // outer and elementwise products, nothing summed
    { attrs: { lhs: [0], rhs: [1], out: [0, 1] }, inputs: [f([1, 2]), f([3, 4])], gives: [3, 4, 6, 8] },
    { attrs: { lhs: [0], rhs: [0], out: [0] }, inputs: [f([1, 2]), f([3, 4])], gives: [3, 8] },
    { attrs: { lhs: [0], rhs: [0], out: [] }, inputs: [i([65537, 2]), i([65537, 4])], gives: [131081] },
    // attention scores: b h i d, b h j d -> b h i j
    {
      attrs: { lhs: [0, 1, 2, 3], rhs: [0, 1, 4, 3], out: [0, 1, 2, 4] },
      inputs: [uniform([2, 2, 3, 4], -1, 1), uniform([2, 2, 5, 4], -1, 1)],
    },
    // two labels summed, output permuted
    {
      attrs: { lhs: [0, 1, 2], rhs: [2, 3, 1], out: [3, 0] },
      inputs: [uniform([2, 3, 4], -1, 1), uniform([4, 5, 3], -1, 1)],
    },
  ],
  scatter_add: [
    { attrs: { rows: 3 }, inputs: [f([1, 2, 3, 4, 5, 6], [3, 2]), i([2, 0, 2])], gives: [3, 4, 0, 0, 6, 8] },
    { attrs: { rows: 2 }, inputs: [f([1, 2, 3, 4], [2, 2]), i([1, 1, 1, 0], [2, 2])], gives: [4, 6] },
    { attrs: { rows: 5 }, inputs: [uniform([2, 4, 3], -1, 1), integers("i32", [2, 4], 0, 5)] },
  ],

  view: [
    { attrs: { offset: 1, shape: [2, 2] }, inputs: [f([1, 2, 3, 4, 5, 6])], gives: [2, 3, 4, 5] },
    { attrs: { offset: 5, shape: [] }, inputs: [i([1, 2, 3, 4, 5, 6])], gives: [6] },
  ],
  pack: [
    {
      attrs: { offsets: [1, 4], size: 7 },
      inputs: [f([1, 2]), f([3, 4], [2, 1])],
      gives: [0, 1, 2, 0, 3, 4, 0],
    },
  ],
};

function cast(dtype: DType, input: Operand, gives: readonly number[]): Sample<"cast"> {
  return { attrs: { dtype }, inputs: [input], gives };
}
