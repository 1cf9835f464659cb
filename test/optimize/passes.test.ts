import { describe, expect, test } from "vitest";
import { GraphBuilder, type NodeId, parse, print, verify } from "../../compiler/graph/index.ts";
import { optimize, passes } from "../../compiler/optimize/index.ts";
import { any, unary } from "../../compiler/optimize/pattern.ts";
import { rewrite } from "../../compiler/optimize/rewrite.ts";
import { rule } from "../../compiler/optimize/rule.ts";

const origin = { path: "", at: "", label: "", pass: "test" };

/** IR text after all passes. */
function optimized(before: string): string {
  const graph = parse(before, origin);
  verify(graph, "the test's text");
  const result = optimize(graph);
  verify(result, "optimize");
  return print(result, { origins: false }).trim();
}

function lines(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");
}

test.each([
  [
    "split heads, their transposes and the merge go into the labels of the products",
    `
    %0 = input() dtype=f32 name=q shape=[2, 4, 6] : f32[2, 4, 6]
    %1 = input() dtype=f32 name=v shape=[2, 4, 6] : f32[2, 4, 6]
    %2 = reshape(%0) shape=[2, 4, 3, 2] : f32[2, 4, 3, 2]
    %3 = transpose(%2) perm=[0, 2, 1, 3] : f32[2, 3, 4, 2]
    %4 = reshape(%1) shape=[2, 4, 3, 2] : f32[2, 4, 3, 2]
    %5 = transpose(%4) perm=[0, 2, 1, 3] : f32[2, 3, 4, 2]
    %6 = einsum(%3, %5) lhs=[0, 1, 2, 4] out=[0, 1, 2, 3] rhs=[0, 1, 3, 4] : f32[2, 3, 4, 4]
    %7 = tanh(%6) : f32[2, 3, 4, 4]
    %8 = einsum(%7, %5) lhs=[0, 1, 2, 3] out=[0, 1, 2, 4] rhs=[0, 1, 3, 4] : f32[2, 3, 4, 2]
    %9 = transpose(%8) perm=[0, 2, 1, 3] : f32[2, 4, 3, 2]
    %10 = reshape(%9) shape=[2, 4, 6] : f32[2, 4, 6]
    output merged = %10
    `,
    `
    %0 = input() dtype=f32 name=q shape=[2, 4, 6] : f32[2, 4, 6]
    %1 = input() dtype=f32 name=v shape=[2, 4, 6] : f32[2, 4, 6]
    %2 = reshape(%0) shape=[2, 4, 3, 2] : f32[2, 4, 3, 2]
    %3 = reshape(%1) shape=[2, 4, 3, 2] : f32[2, 4, 3, 2]
    %4 = einsum(%2, %3) lhs=[0, 2, 1, 4] out=[0, 1, 2, 3] rhs=[0, 3, 1, 4] : f32[2, 3, 4, 4]
    %5 = tanh(%4) : f32[2, 3, 4, 4]
    %6 = einsum(%5, %3) lhs=[0, 1, 2, 3] out=[0, 2, 1, 4] rhs=[0, 3, 1, 4] : f32[2, 4, 3, 2]
    %7 = reshape(%6) shape=[2, 4, 6] : f32[2, 4, 6]
    output merged = %7
    `,
  ],
  [
    "a mean and its rsqrt stay on the small shape, without axes of size 1",
    `
    %0 = input() dtype=f32 name=x shape=[2, 4] : f32[2, 4]
    %1 = sum(%0) axes=[1] : f32[2]
    %2 = reshape(%1) shape=[2, 1] : f32[2, 1]
    %3 = constant() dtype=f32 value=4 : f32[]
    %4 = broadcast(%3) axes=[] shape=[2, 1] : f32[2, 1]
    %5 = div(%2, %4) : f32[2, 1]
    %6 = reshape(%5) shape=[2] : f32[2]
    %7 = broadcast(%6) axes=[0] shape=[2, 4] : f32[2, 4]
    %8 = rsqrt(%7) : f32[2, 4]
    %9 = mul(%0, %8) : f32[2, 4]
    output scaled = %9
    `,
    `
    %0 = input() dtype=f32 name=x shape=[2, 4] : f32[2, 4]
    %1 = sum(%0) axes=[1] : f32[2]
    %2 = constant() dtype=f32 value=0.25 : f32[]
    %3 = broadcast(%2) axes=[] shape=[2] : f32[2]
    %4 = mul(%1, %3) : f32[2]
    %5 = rsqrt(%4) : f32[2]
    %6 = broadcast(%5) axes=[0] shape=[2, 4] : f32[2, 4]
    %7 = mul(%0, %6) : f32[2, 4]
    output scaled = %7
    `,
  ],
  [
    "arithmetic on constants is done now, and what it leaves neutral goes",
    `
    %0 = input() dtype=f32 name=x shape=[3] : f32[3]
    %1 = constant() dtype=f32 value=2 : f32[]
    %2 = constant() dtype=f32 value=3 : f32[]
    %3 = sub(%1, %2) : f32[]
    %4 = exp(%3) : f32[]
    %5 = log(%4) : f32[]
    %6 = broadcast(%5) axes=[] shape=[3] : f32[3]
    %7 = mul(%6, %0) : f32[3]
    %8 = constant() dtype=f32 value=0 : f32[]
    %9 = broadcast(%8) axes=[] shape=[3] : f32[3]
    %10 = sub(%9, %7) : f32[3]
    %11 = add(%9, %10) : f32[3]
    output y = %11
    `,
    `
    %0 = input() dtype=f32 name=x shape=[3] : f32[3]
    output y = %0
    `,
  ],
  [
    "a product with a repeated operand becomes one without, a sum of it a smaller one",
    `
    %0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
    %1 = constant() dtype=f32 value=1 : f32[]
    %2 = broadcast(%1) axes=[] shape=[3, 4] : f32[3, 4]
    %3 = einsum(%0, %2) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[2, 4]
    %4 = sum(%3) axes=[1] : f32[2]
    output y = %4
    `,
    `
    %0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
    %1 = sum(%0) axes=[1] : f32[2]
    %2 = constant() dtype=f32 value=4 : f32[]
    %3 = broadcast(%2) axes=[] shape=[2] : f32[2]
    %4 = mul(%1, %3) : f32[2]
    output y = %4
    `,
  ],
  [
    "dead nodes go, equal ones are one, updates are kept",
    `
    %0 = state() dtype=f32 name=w shape=[3] : f32[3]
    %1 = exp(%0) : f32[3]
    %2 = tanh(%0) : f32[3]
    %3 = exp(%0) : f32[3]
    %4 = add(%1, %3) : f32[3]
    update w = %4
    `,
    `
    %0 = state() dtype=f32 name=w shape=[3] : f32[3]
    %1 = exp(%0) : f32[3]
    %2 = add(%1, %1) : f32[3]
    update w = %2
    `,
  ],
  [
    "gradients that are zero leave a gap in the packed tensor",
    `
    %0 = input() dtype=f32 name=g shape=[2, 2] : f32[2, 2]
    %1 = constant() dtype=f32 value=0 : f32[]
    %2 = broadcast(%1) axes=[] shape=[3] : f32[3]
    %3 = pack(%2, %0) offsets=[0, 64] size=128 : f32[128]
    output packed = %3
    `,
    `
    %0 = input() dtype=f32 name=g shape=[2, 2] : f32[2, 2]
    %1 = pack(%0) offsets=[64] size=128 : f32[128]
    output packed = %1
    `,
  ],
])("%s", (_, before, after) => {
  expect(optimized(lines(before))).toBe(lines(after));
});

describe("what must not change", () => {
  const build = (make: (b: GraphBuilder, x: NodeId) => NodeId): string => {
    const b = new GraphBuilder(origin);
    b.output("y", make(b, b.input("x", "f32", [2, 3])));
    return print(b.build(), { origins: false }).trim();
  };
  test.each<readonly [string, (b: GraphBuilder, x: NodeId) => NodeId]>([
    ["x * 0: x may be NaN", (b, x) => b.mul(x, b.fullLike(x, 0))],
    ["x - x and x / x: x may be infinite", (b, x) => b.sub(x, x)],
    ["x / 3: 1/3 is not exact", (b, x) => b.div(x, b.fullLike(x, 3))],
    ["x / 2^-127: a device may flush the constant to zero", (b, x) => b.div(x, b.fullLike(x, 2 ** -127))],
    ["x / 2^127: its inverse may be flushed to zero", (b, x) => b.div(x, b.fullLike(x, 2 ** 127))],
    [
      "log(0) of constants: WGSL has no infinity",
      (b, x) => b.add(x, b.broadcast(b.log(b.constant("f32", 0)), [2, 3], [])),
    ],
    [
      "x * 1e-30 * 1e-30: the product underflows",
      (b, x) => b.mul(b.mul(x, b.fullLike(x, 1e-30)), b.fullLike(x, 1e-30)),
    ],
    ["not(x < y): x or y may be NaN", (b, x) => b.cast(b.not(b.lt(x, b.exp(x))), "f32")],
    ["f32 to i32 to f32: it truncates", (b, x) => b.cast(b.cast(x, "i32"), "f32")],
    [
      "a transpose of what is read by others too",
      (b, x) => {
        const product = b.einsum(x, b.input("y", "f32", [3, 4]), { lhs: [0, 1], rhs: [1, 2], out: [0, 2] });
        return b.concat([b.reshape(b.transpose(product, [1, 0]), [8]), b.reshape(product, [8])], 0);
      },
    ],
    [
      "a reshape that mixes kept and repeated axes",
      (b, x) => b.reshape(b.broadcast(b.sum(x, [0]), [3, 2], [0]), [6]),
    ],
  ])("%s", (_, make) => {
    const before = build(make);
    expect(optimized(before)).toBe(before);
  });
});

test("two rules that undo each other are found out, not followed for ever", () => {
  const there = rule({
    name: "exp(x) = tanh(x)",
    exactness: "bitwise",
    match: unary("exp", any),
    rewrite: (b, { x }) => b.tanh(b.neg(x)),
  });
  const back = rule({
    name: "tanh(x) = exp(x)",
    exactness: "bitwise",
    match: unary("tanh", any),
    rewrite: (b, { x }) => b.exp(b.neg(x)),
  });
  const b = new GraphBuilder(origin);
  b.output("y", b.exp(b.input("x", "f32", [2])));
  expect(() => rewrite(b.build(), [there, back])).toThrow(
    "round in circles: exp(x) = tanh(x); tanh(x) = exp(x)",
  );
});

test("every pass says why it is there, once", () => {
  expect(passes.map(({ name }) => name)).toEqual(["simplify", "sink-single-use", "reuse-contractions"]);
  for (const { reason } of passes) expect(reason).not.toBe("");
});
