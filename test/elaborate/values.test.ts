import { describe, expect, test } from "vitest";
import { inForward } from "../semantics/check.ts";
import { computed, elements, graphOf, inputs, w } from "./run.ts";

const X = (b: number, n: number): number => inputs.x.data[b * 6 + n] ?? Number.NaN;
const W = (n: number, o: number): number => w.data[n * 5 + o] ?? Number.NaN;
const I = (b: number, p: number): number => inputs.ids.data[b * 3 + p] ?? Number.NaN;
const sum = (n: number, at: (i: number) => number): number =>
  Array.from({ length: n }, (_, i) => at(i)).reduce((a, b) => a + b, 0);
const largest = (n: number, at: (i: number) => number): number =>
  Math.max(...Array.from({ length: n }, (_, i) => at(i)));
/** Abramowitz and Stegun 7.1.5, the series of erf, for |x| < 4. */
const erf = (x: number): number => {
  let term = x;
  let total = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
};
const logSumExp = (b: number): number => Math.log(sum(6, (n) => Math.exp(X(b, n))));

type At = (...index: readonly number[]) => number;
type Row = readonly [expression: string, shape: readonly number[], at: At];

/** Axis by axis in plain loops, so that a wrong label, permutation or bound shows. */
const rows: readonly Row[] = [
  // products
  ["x @ w", [4, 5], (b = 0, o = 0) => sum(6, (n) => X(b, n) * W(n, o))],
  ["x[1] @ w", [5], (o = 0) => sum(6, (n) => X(1, n) * W(n, o))],
  [
    'rearrange(x, "b (h n) -> b h n", h: 2) @ w[0:3]',
    [4, 2, 5],
    (b = 0, h = 0, o = 0) => sum(3, (n) => X(b, 3 * h + n) * W(n, o)),
  ],
  [
    'rearrange(x, "b (h n) -> b 1 h n", h: 2) @ rearrange(w, "(g n) o -> 1 g n o", g: 2)',
    [4, 2, 2, 5],
    (b = 0, g = 0, h = 0, o = 0) => sum(3, (n) => X(b, 3 * h + n) * W(3 * g + n, o)),
  ],
  [
    'rearrange(x, "b (h n) -> b h n", h: 2) @ rearrange(x, "b (h n) -> b n h", h: 2)',
    [4, 2, 2],
    (b = 0, h = 0, g = 0) => sum(3, (n) => X(b, 3 * h + n) * X(b, 3 * g + n)),
  ],
  ['einsum("b n, n o -> o b", x, w)', [5, 4], (o = 0, b = 0) => sum(6, (n) => X(b, n) * W(n, o))],
  ['einsum("b n, c n -> b c n", x, x)', [4, 4, 6], (b = 0, c = 0, n = 0) => X(b, n) * X(c, n)],
  ['einsum("b n, n o -> b", x, w)', [4], (b = 0) => sum(6, (n) => X(b, n) * sum(5, (o) => W(n, o)))],
  ['einsum("b n -> n", x)', [6], (n = 0) => sum(4, (b) => X(b, n))],
  ['einsum("b n -> n b", x)', [6, 4], (n = 0, b = 0) => X(b, n)],
  ['einsum("... n, n o -> ... o", x, w)', [4, 5], (b = 0, o = 0) => sum(6, (n) => X(b, n) * W(n, o))],
  // rearrange
  ['rearrange(x, "b n -> n b")', [6, 4], (n = 0, b = 0) => X(b, n)],
  ['rearrange(x, "b (h d) -> h b d", h: 2)', [2, 4, 3], (h = 0, b = 0, d = 0) => X(b, 3 * h + d)],
  [
    'rearrange(x, "b (h d) -> b (d h)", d: 3)',
    [4, 6],
    (b = 0, k = 0) => X(b, 3 * (k % 2) + Math.floor(k / 2)),
  ],
  ['rearrange(x, "b n -> (n b)")', [24], (k = 0) => X(k % 4, Math.floor(k / 4))],
  ['rearrange(x, "b n -> b 1 n 1")', [4, 1, 6, 1], (b = 0, _ = 0, n = 0) => X(b, n)],
  ['rearrange(rearrange(x, "b n -> b 1 n"), "b 1 n -> n b")', [6, 4], (n = 0, b = 0) => X(b, n)],
  ['rearrange(x, "... (h d) -> h ... d", h: 3)', [3, 4, 2], (h = 0, b = 0, d = 0) => X(b, 2 * h + d)],
  ['rearrange(x, "... -> 1 ...")', [1, 4, 6], (_ = 0, b = 0, n = 0) => X(b, n)],
  // reductions
  ["sum(x, axis: -1)", [4, 1], (b = 0) => sum(6, (n) => X(b, n))],
  ["sum(x, axis: 0, keep: false)", [6], (n = 0) => sum(4, (b) => X(b, n))],
  ["mean(x)", [], () => sum(24, (i) => X(Math.floor(i / 6), i % 6)) / 24],
  ["mean(x, axis: [0, -1])", [1, 1], () => sum(24, (i) => X(Math.floor(i / 6), i % 6)) / 24],
  ["max(x, axis: 1)", [4, 1], (b = 0) => largest(6, (n) => X(b, n))],
  ["f32(sum(ids, axis: 1, keep: false))", [4], (b = 0) => sum(3, (p) => I(b, p))],
  // elementwise and broadcasting
  ["x - mean(x, axis: -1)", [4, 6], (b = 0, n = 0) => X(b, n) - sum(6, (m) => X(b, m)) / 6],
  [
    'where(iota(N) < rearrange(flag, "b -> b 1"), x, -1.0)',
    [4, 6],
    (b = 0, n = 0) => (n < (inputs.flag.data[b] ?? 0) ? X(b, n) : -1),
  ],
  ["max(x, 0.5) + min(x, 0)", [4, 6], (b = 0, n = 0) => Math.max(X(b, n), 0.5) + Math.min(X(b, n), 0)],
  ["x ** 2 + x ** 3", [4, 6], (b = 0, n = 0) => X(b, n) ** 2 + X(b, n) ** 3],
  ["x ** (-2)", [4, 6], (b = 0, n = 0) => X(b, n) ** -2],
  ["x ** 0", [4, 6], () => 1],
  ["abs(x) ** 0.5 - sqrt(abs(x))", [4, 6], () => 0],
  ["pow(abs(x), 1.5)", [4, 6], (b = 0, n = 0) => Math.abs(X(b, n)) ** 1.5],
  ["2.0 ** x", [4, 6], (b = 0, n = 0) => 2 ** X(b, n)],
  ["sigmoid(100.0 * x)", [4, 6], (b = 0, n = 0) => 1 / (1 + Math.exp(-100 * X(b, n)))],
  ["erf(x)", [4, 6], (b = 0, n = 0) => erf(X(b, n))],
  ["x % 0.7", [4, 6], (b = 0, n = 0) => X(b, n) - 0.7 * Math.floor(X(b, n) / 0.7)],
  ["f32(ids / 2)", [4, 3], (b = 0, p = 0) => Math.floor(I(b, p) / 2)],
  ["f32(ids != 2 and not (ids >= 4))", [4, 3], (b = 0, p = 0) => Number(I(b, p) !== 2 && I(b, p) < 4)],
  ["f32(ids == 2 or ids > 4)", [4, 3], (b = 0, p = 0) => Number(I(b, p) === 2 || I(b, p) > 4)],
  ["-x", [4, 6], (b = 0, n = 0) => -X(b, n)],
  ["stop_gradient(x) + zeros(4, 6) + ones(6)", [4, 6], (b = 0, n = 0) => X(b, n) + 1],
  // places
  ["take(w, ids)", [4, 3, 5], (b = 0, p = 0, o = 0) => W(I(b, p), o)],
  [
    'gather(rearrange(x, "b n -> b n 1") * w, ids)',
    [4, 3, 5],
    (b = 0, p = 0, o = 0) => X(b, I(b, p)) * W(I(b, p), o),
  ],
  ['f32(gather(rearrange(iota(24), "(b n) -> b n", b: 4), ids))', [4, 3], (b = 0, p = 0) => 6 * b + I(b, p)],
  ["x[1:3, 2]", [2], (b = 0) => X(b + 1, 2)],
  ["x[-1, :-2]", [4], (n = 0) => X(3, n)],
  ["x[..., 1]", [4], (b = 0) => X(b, 1)],
  ["x[2:]", [2, 6], (b = 0, n = 0) => X(b + 2, n)],
  ["concat([x, x[:, 0:2]], axis: -1)", [4, 8], (b = 0, n = 0) => X(b, n % 6)],
  ["concat([x], axis: 0)", [4, 6], (b = 0, n = 0) => X(b, n)],
  ["drop(x, 0.5)", [4, 6], (b = 0, n = 0) => X(b, n)],
  // the library
  ["softmax(x)", [4, 6], (b = 0, n = 0) => Math.exp(X(b, n) - logSumExp(b))],
  ["softmax(1000.0 * x, axis: 0)", [4, 6], (b = 0, n = 0) => Number(X(b, n) === largest(4, (c) => X(c, n)))],
  ["logsumexp(x)", [4], (b = 0) => logSumExp(b)],
  ["log_softmax(x)", [4, 6], (b = 0, n = 0) => X(b, n) - logSumExp(b)],
  ["relu(x)", [4, 6], (b = 0, n = 0) => Math.max(X(b, n), 0)],
  ["gelu(x)", [4, 6], (b = 0, n = 0) => 0.5 * X(b, n) * (1 + erf(X(b, n) / Math.SQRT2))],
  ["silu(x)", [4, 6], (b = 0, n = 0) => X(b, n) / (1 + Math.exp(-X(b, n)))],
  ["cross_entropy(x, ids[:, 0])", [4], (b = 0) => logSumExp(b) - X(b, I(b, 0))],
  ["MeanSquaredError(x, zeros(4, 6))", [], () => sum(24, (i) => X(Math.floor(i / 6), i % 6) ** 2) / 24],
  ["CrossEntropy(x, ids[:, 0])", [], () => sum(4, (b) => logSumExp(b) - X(b, I(b, 0))) / 4],
];

describe("expressions against plain loops", () => {
  test.each(rows)("%s", (expression, shape, at) => {
    const value = computed(expression, 'import "lib/losses.bert"');
    expect(value.shape).toEqual(shape);
    const wanted = elements(shape, at);
    // Both sides are float64; sums are of at most 30 terms of size up to 100, or of values near 0 after cancelling.
    for (const [i, element] of wanted.entries()) expect(value.data[i]).toBeCloseTo(element, 9);
    expect(value.data.length).toBe(wanted.length);
  });
});

test("a product is one einsum, with no movement around it", () => {
  const graph = graphOf(inForward("output y = x @ w"));
  const movements = graph.nodes.filter((n) => ["reshape", "transpose", "broadcast"].includes(n.op));
  const product = graph.nodes.find((n) => n.op === "einsum");
  expect(product?.type.shape).toEqual([4, 5]);
  // The loss's mean makes none: all its axes go.
  expect(movements).toEqual([]);
});

describe("drop", () => {
  test("zeros at the rate, scales the rest, and draws afresh at every call", () => {
    const first = computed("drop(ones(100, 100), 0.25)", "", "train");
    const zeros = first.data.filter((v) => v === 0).length;
    // Binomial: 10,000 draws at 0.25 have a deviation of 43; five of them.
    expect(Math.abs(zeros - 2500)).toBeLessThan(220);
    for (const v of first.data) expect(v === 0 || Math.abs(v - 1 / 0.75) < 1e-12).toBe(true);
    const twice = computed("drop(ones(100, 100), 0.25) * drop(ones(100, 100), 0.25)", "", "train");
    const both = twice.data.filter((v) => v === 0).length;
    expect(Math.abs(both - 4375)).toBeLessThan(250);
  });

  test("of rate 0 is nothing", () => {
    expect(graphOf(inForward("output y = drop(x, 0.0)"), "train").nodes.some((n) => n.op === "uniform")).toBe(
      false,
    );
  });
});

test("origins name the line, the instance and the value", () => {
  const text = inForward("output y = x\n    let doubled = x * 2.0\n    output z = doubled");
  const node = graphOf(text).nodes.find((n) => n.op === "mul");
  expect(node?.origin).toEqual({ path: "", at: "spec.bert:7:19", label: "doubled", pass: "elaborate" });
});
