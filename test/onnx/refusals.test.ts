import { describe, expect, test } from "vitest";
import { inForward } from "../semantics/check.ts";
import { onnxOf, refusalOf } from "./run-onnx.ts";

/* What is said of specs that train but have no ONNX form, or that keep some size. */

const refusal = (statements: string, outputs?: readonly string[]): string =>
  refusalOf({ "spec.bert": inForward(statements) }, outputs === undefined ? {} : { outputs });

describe("a model that cannot be exported", () => {
  test("an output that does not exist", () => {
    expect(refusal("output first = x\nhead second = x", ["frist"])).toMatchInlineSnapshot(`
      "error: the model has no output or head \`frist\`
        --> spec.bert:1:1
      1 |
        | ^
        = hint: did you mean \`first\`?"
    `);
    expect(refusal("output first = x\nhead second = x", ["logits"])).toMatchInlineSnapshot(`
      "error: the model has no output or head \`logits\`
        --> spec.bert:1:1
      1 |
        | ^
        = hint: it has \`first\`, \`second\`"
    `);
  });

  test("no outputs at all", () => {
    expect(refusal("")).toMatchInlineSnapshot(`
      "error: the model has no outputs to export
        --> spec.bert:1:1
      1 |
        | ^
        = hint: add \`output name = tensor\` to its forward"
    `);
  });

  test("a size that no sum of products gives", () => {
    expect(refusal("output y = x[:, 0:floor(N / 2)]")).toMatchInlineSnapshot(`
      "error: a size depends on \`columns\`, and not as a sum of whole multiples and products
        --> spec.bert:6:16
      6 |     output y = x[:, 0:floor(N / 2)]
        |                ^^^^^^^^^^^^^^^^^^^^ computed from a size of the data
        = hint: only sums, differences and products of sizes can be computed when the model runs (each size at most squared)"
    `);
  });

  test("a size that is another function far from the spec's own", () => {
    expect(refusal("output y = x[:, 0:min(N, 4)]")).toMatchInlineSnapshot(`
      "error: a size depends on \`rows\` and \`columns\`, and not as a sum of whole multiples and products
        --> spec.bert:6:16
      6 |     output y = x[:, 0:min(N, 4)]
        |                ^^^^^^^^^^^^^^^^^ computed from a size of the data
        = hint: only sums, differences and products of sizes can be computed when the model runs (each size at most squared)"
    `);
    expect(refusal("output y = x[:, 0:min(N, 9)]")).toMatchInlineSnapshot(`
      "error: a size depends on \`columns\`, and not as a sum of whole multiples and products
        --> spec.bert:6:16
      6 |     output y = x[:, 0:min(N, 9)]
        |                ^^^^^^^^^^^^^^^^^ computed from a size of the data
        = hint: only sums, differences and products of sizes can be computed when the model runs (each size at most squared)"
    `);
  });

  test("a number that no sum of products gives", () => {
    expect(refusal("output y = x / sqrt(N)")).toMatchInlineSnapshot(`
      "error: this number depends on \`columns\`, and not as a sum of whole multiples and products
        --> spec.bert:6:20
      6 |     output y = x / sqrt(N)
        |                    ^^^^^^^ computed from a size of the data
        = hint: only sums, differences and products of sizes can be computed when the model runs (each size at most squared)"
    `);
  });

  test("a model that has another form for another size", () => {
    expect(refusal("if N > 5 { output y = exp(x) } else { output y = x }")).toMatchInlineSnapshot(`
      "error: the model is another for another \`columns\`: it has no form for every size
        --> spec.bert:6:27
      6 |     if N > 5 { output y = exp(x) } else { output y = x }
        |                           ^^^^^^ not the same for every size
        = hint: let a setting of the model decide here, not a size of the data"
    `);
  });

  test("sizes that depend on each other", () => {
    expect(refusal('require B != N - 1, "not {B} rows of {N}"\noutput y = x')).toMatchInlineSnapshot(`
      "error: \`rows\` and \`columns\` of the data cannot each have any size: not 3 rows of 4
        --> spec.bert:6:13
      6 |     require B != N - 1, "not {B} rows of {N}"
        |             ^^^^^^^^^^ required here
        = hint: use one setting of the data for sizes that depend on each other"
    `);
  });

  test("a size that no input has", () => {
    expect(refusal("output y = f32(flag) * N")).toMatchInlineSnapshot(`
      "error: no input of the exported model has \`columns\` as an axis, so it is not known when the model runs
        --> spec.bert:6:28
      6 |     output y = f32(flag) * N
        |                            ^ needs it
        = hint: let the outputs read a field of the data with an axis of \`columns\`"
    `);
  });

  test("a spec with a mistake", () => {
    expect(refusal("output y = x + z")).toContain("nothing named `z` is in scope");
  });
});

test("a size that the model has as a parameter's stays as it is, and is said to", () => {
  const { dynamic, fixed, inputs } = onnxOf({ "spec.bert": inForward("output y = x @ w") });
  expect(inputs).toEqual([{ name: "x", element: "float", shape: ["rows", 6] }]);
  expect(dynamic).toEqual([{ setting: "rows", name: "rows", least: 1 }]);
  expect(fixed).toMatchInlineSnapshot(`
    [
      {
        "reason": "\`@\`: dimensions differ: \`N\` is 5, \`width\` is 6",
        "setting": "columns",
        "value": 6,
      },
    ]
  `);
});

test("bounds of sizes are found", () => {
  const bounded = 'require N <= 41, "too wide"\noutput y = x[:, 0:3]';
  const { dynamic } = onnxOf({ "spec.bert": inForward(bounded) });
  expect(dynamic).toEqual([
    { setting: "rows", name: "rows", least: 1 },
    { setting: "columns", name: "columns", least: 3, most: 41 },
  ]);
});
