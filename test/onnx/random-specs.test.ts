import fc from "fast-check";
import { expect, test } from "vitest";
import { type Tensor, tensor } from "../../compiler/graph/index.ts";
import { plainSignature } from "../../compiler/onnx/index.ts";
import { inForward } from "../semantics/check.ts";
import { difference, drawParameters, feedsFor, modelAt, onnxOf, openOnnx, reference } from "./run-onnx.ts";

/* Expressions put together at random, exported, and run in sizes that the export has not seen. All are f32[B, N]. */

const unary = ["tanh", "sigmoid", "sin", "erf", "abs"];
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("x", "x", "f32(iota(N)) * x", "f32(flag_column) - x", "ones(B, N)"),
    fc.tuple(fc.constantFrom(...unary), tie("expression")).map(([fn, a]) => `${fn}(${a})`),
    fc
      .tuple(tie("expression"), fc.constantFrom("+", "-", "*"), tie("expression"))
      .map(([a, sign, b]) => `(${a} ${sign} ${b})`),
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `where(${a} < 0.25, ${b}, x)`),
    fc
      .tuple(tie("expression"), fc.constantFrom("mean", "max"), fc.constantFrom("0", "1"))
      .map(([a, fn, axis]) => `(x + ${fn}(${a}, axis: ${axis}))`),
    tie("expression").map((a) => `softmax(${a})`),
    tie("expression").map((a) => `rearrange(rearrange(${a}, "b n -> n b") * 2.0, "n b -> b n")`),
    tie("expression").map((a) => `rearrange(sin(rearrange(${a}, "b n -> (n b)")), "(n b) -> b n", b: B)`),
    tie("expression").map((a) => `concat([(${a})[:, 1:], (${a})[:, 0:1]], axis: 1)`),
    tie("expression").map((a) => `concat([(${a})[1:], (${a})[0:1]], axis: 0)`),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([a, b]) => `tanh(einsum("b n, c n -> b c", ${a}, ${b}) @ x)`),
    tie("expression").map((a) => `tanh(einsum("b n, b m -> b n", ${a}, x))`),
    tie("expression").map((a) => `take(${a}, iota(B) * 2 / 3)`),
    tie("expression").map((a) => `gather(${a}, zeros_of_ids) * x`),
  ),
}));

function inputsOf(rows: number, columns: number): ReadonlyMap<string, Tensor> {
  const x = Array.from({ length: rows * columns }, (_, i) => Math.fround(Math.cos(5 * i + 2)));
  const flag = Array.from({ length: rows }, (_, i) => (i * 3 + 1) % 7);
  return new Map([
    ["x", tensor({ dtype: "f32", shape: [rows, columns] }, x)],
    ["ids", tensor({ dtype: "i32", shape: [rows, 3] }, new Array<number>(rows * 3).fill(1))],
    ["flag", tensor({ dtype: "i32", shape: [rows] }, flag)],
  ]);
}

test("random expressions compute the same in ONNX Runtime", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(expression, { minLength: 10, maxLength: 10 }), async (expressions) => {
      const statements = [
        'let flag_column = rearrange(flag, "b -> b 1")',
        'let zeros_of_ids = rearrange(ids[:, 0], "b -> b 1")',
        "output unused = x + f32(flag_column) + f32(zeros_of_ids)",
        ...expressions.map((text, index) => `output y${index} = ${text}`),
      ].join("\n");
      const texts = { "spec.bert": inForward(statements, 'import "lib/math.bert"') };
      const parameters = drawParameters(modelAt(texts, {}));
      const onnx = onnxOf(texts);
      const session = await openOnnx(onnx, parameters);
      try {
        for (const [rows, columns] of [
          [7, 3],
          [2, 12],
        ] as const) {
          const inputs = inputsOf(rows, columns);
          const expected = reference(modelAt(texts, { rows, columns }), inputs, parameters);
          const found = await session.run(feedsFor(onnx, plainSignature, inputs));
          for (const [index, text] of expressions.entries()) {
            const name = `y${index}`;
            // A choice by a comparison may fall the other way where both sides are equal but for rounding.
            expect(difference(found.get(name), expected.get(name)), text).toBeLessThan(1e-4);
          }
        }
      } finally {
        await session.close();
      }
    }),
    { numRuns: 5 },
  );
});
