import { afterAll, describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../compiler/graph/index.ts";
import { plainSignature } from "../../compiler/onnx/index.ts";
import { inForward } from "../semantics/check.ts";
import { difference, drawParameters, feedsFor, modelAt, onnxOf, openOnnx, reference } from "./run-onnx.ts";

/*
 * Every operation of the language through ONNX Runtime, beside the float64 evaluation of the graph that Kiln trains, in sizes
 * that the export has not seen.
 */

/** x: f32[B, N], ids: i32[B, 3] from 0 to 5, flag: i32[B] from 0 to 6, w: f32[6, 5]. */
const expressions: readonly string[] = [
  // elementwise, by name
  ...["exp", "tanh", "erf", "abs", "sin", "cos", "floor", "sigmoid", "stop_gradient"].map(
    (fn) => `${fn}(3.0 * x)`,
  ),
  ...["log", "sqrt", "rsqrt"].map((fn) => `${fn}(x * x + 0.1)`),
  "-x",
  "f32(not (x < 0.0))",
  "x / (x * x + 1.0) - 2.0 * x",
  "(3.0 * x) % 0.7",
  "(3.0 * x) % (0.0 - 0.7)",
  "x ** 2",
  "(x * x + 0.1) ** x",
  "max(x, 0.1) + min(x, 0.2)",
  ...["==", "!=", "<", "<=", ">", ">="].map((sign) => `where(ids ${sign} 2, 1.0, 0.0)`),
  "where(x < 0.0 and x > -0.5 or x == 0.5, x, 7.0)",
  "f32(where(x < 0.0, x > -0.5, x > 0.5))",
  // whole numbers: division rounds down, whatever the signs; by 0 it is the dividend, the remainder 0
  "(ids * 7 - 20) / (ids - 3)",
  "(ids * 7 - 20) % (ids - 3)",
  "-ids + abs(ids - 4) * ids",
  "max(ids, 2) - min(ids, 3)",
  "i32(30.0 * x)",
  "i32(min(1e12 * x, 100.0 * x))",
  "f32(ids) * 0.5",
  // reductions
  ...["sum", "mean", "max"].flatMap((fn) => [
    `${fn}(x, axis: -1)`,
    `${fn}(x, axis: 0, keep: false)`,
    `${fn}(x)`,
    `${fn}(x, axis: [0, 1])`,
  ]),
  "sum(ids, axis: 1) + max(ids, axis: 1)",
  // products
  "x[:, 0:6] @ w",
  "w[:, 0] @ w",
  "rearrange(x, 'b (one n) -> one b n', one: 1) @ rearrange(x, 'b n -> 1 n b')".replaceAll("'", '"'),
  'einsum("b n, c n -> b c", x, x)',
  'einsum("b n, b m -> b n m", x, x)',
  'einsum("b n, b n -> b", x, x)',
  'einsum("b n, b n -> n b", x, x)',
  'einsum("b n, c m -> m", x, x)',
  'einsum("b n -> n b", x)',
  'einsum("b n -> b", x)',
  'einsum("i j, b k -> b j", w, x)',
  'einsum("a b n, c n -> c a b", rearrange(x, "b n -> 1 b n"), x)',
  'einsum("b i j, b j k -> i b k", rearrange(x, "b n -> b n 1"), rearrange(x, "b n -> b 1 n"))',
  // movement
  'rearrange(x, "b n -> n b")',
  'rearrange(x, "b n -> (n b)")',
  'rearrange(x, "b n -> 1 n 1 b 1")',
  'rearrange(rearrange(x, "b n -> n b 1 1"), "n b 1 one -> (b one) n")',
  'rearrange(take(w, ids), "b three (h d) -> b h (three d)", h: 5)',
  "x[:, 1]",
  "x[-1]",
  "x[1:, :-1]",
  "x[0, 2]",
  "x[1:3, 0:2]",
  "w[1:4, 2]",
  "concat([x, x * 2.0], axis: 0)",
  "concat([x, x[:, 1:]], axis: -1)",
  "concat([ids, ids], axis: 1)",
  "take(w, ids)",
  "take(w, flag - flag)",
  'gather(rearrange(x, "b n -> b n 1") * w[0], ids - ids + 1)',
  "gather(x, ids % 4)",
  'gather(rearrange(ids, "b i -> b i"), ids % 3)',
  "drop(x, 0.5)",
  "iota(5)",
  "iota(N) + 3",
  "x * f32(iota(N))",
  "zeros(2, 3) + 1.5",
  "ones(N, B)",
  "concat([zeros(B, 2), x], axis: 1)",
  "concat([ones(1, N), x], axis: 0)",
  // numbers that are sizes
  "x / N",
  "x * (2 * N - B * N + 1)",
  "ids + B",
  // what ONNX has an operator of its own for
  "softmax(x)",
  "softmax(x, axis: 0)",
  "logsumexp(x)",
  "norm(x[:, 0:6])",
  "gelu(x) + gelu_tanh(x) + silu(x)",
];

const declarations = `import "lib/math.bert"
import "lib/layers.bert"
`;

/** One output an expression: one model runs all of them. */
const statements = [...expressions.map((expression, index) => `output y${index} = ${expression}`)].join("\n");

const text = inForward(statements, declarations).replace(
  "param w: f32[width, 5] = zeros()",
  "param w: f32[width, 5] = zeros()\n  use norm = LayerNorm(width)",
);
const texts = { "spec.bert": text };
const sizes = [
  { rows: 4, columns: 6 },
  { rows: 3, columns: 11 },
  { rows: 9, columns: 7 },
];

function inputsOf(rows: number, columns: number): ReadonlyMap<string, Tensor> {
  const x = Array.from({ length: rows * columns }, (_, i) => Math.fround(Math.sin(3 * i + 1)));
  return new Map([
    ["x", tensor({ dtype: "f32", shape: [rows, columns] }, x)],
    [
      "ids",
      tensor(
        { dtype: "i32", shape: [rows, 3] },
        Array.from({ length: rows * 3 }, (_, i) => (i * 5 + 2) % 6),
      ),
    ],
    [
      "flag",
      tensor(
        { dtype: "i32", shape: [rows] },
        Array.from({ length: rows }, (_, i) => (i * 3 + 1) % 7),
      ),
    ],
  ]);
}

describe("every operation of the language", async () => {
  const model = modelAt(texts, {});
  const parameters = drawParameters(model);
  const onnx = onnxOf(texts);
  const session = await openOnnx(onnx, parameters);
  afterAll(() => session.close());

  test("all are used", () => {
    const used = new Set(model.instructions.map((i) => ("fn" in i ? `${i.op} ${i.fn}` : i.op)));
    expect([...used].sort()).toMatchInlineSnapshot(`
      [
        "binary add",
        "binary and",
        "binary div",
        "binary eq",
        "binary ge",
        "binary gt",
        "binary le",
        "binary lt",
        "binary max",
        "binary min",
        "binary mod",
        "binary mul",
        "binary ne",
        "binary or",
        "binary pow",
        "binary sub",
        "cast",
        "concat",
        "drop",
        "einsum",
        "fill",
        "gather",
        "input",
        "iota",
        "matmul",
        "parameter",
        "rearrange",
        "reduce max",
        "reduce mean",
        "reduce sum",
        "slice",
        "take",
        "unary abs",
        "unary cos",
        "unary erf",
        "unary exp",
        "unary floor",
        "unary log",
        "unary neg",
        "unary not",
        "unary rsqrt",
        "unary sigmoid",
        "unary sin",
        "unary sqrt",
        "unary stop_gradient",
        "unary tanh",
        "where",
      ]
    `);
  });

  for (const { rows, columns } of sizes) {
    describe(`rows ${rows}, columns ${columns}`, async () => {
      const inputs = inputsOf(rows, columns);
      const expected = reference(modelAt(texts, { rows, columns }), inputs, parameters);
      const found = await session.run(feedsFor(onnx, plainSignature, inputs));
      test.each(expressions.map((expression, index) => [expression, `y${index}`]))("%s", (_, name) => {
        const integers = model.outputs.some(
          (output) => output.name === name && model.instructions[output.value]?.type.dtype === "i32",
        );
        // Single precision of a few operations; whole numbers are exact.
        expect(difference(found.get(name), expected.get(name))).toBeLessThanOrEqual(integers ? 0 : 2e-6);
      });
    });
  }
});
