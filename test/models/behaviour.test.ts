import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { evaluate, type Graph, type Tensor, tensor } from "../../compiler/graph/index.ts";
import type { TypedModel } from "../../compiler/semantics/index.ts";
import { analyzeTexts, shipped } from "../semantics/check.ts";

const small = { vocab: "11", hidden: "8", ffn: "12", heads: "2", layers: "2", batch: "2", max_len: "6" };

function modelOf(
  files: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
): TypedModel {
  const result = analyzeTexts(files, { settings });
  if (result.model === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return result.model;
}

/** Parameters drawn without bias towards any layer: a slowly varying wave over all of them. */
function parametersOf(model: TypedModel): ReadonlyMap<string, Tensor> {
  let count = 0;
  return new Map(
    model.parameters.map(({ name, shape }) => {
      const size = shape.reduce((n, s) => n * s, 1);
      const values = Array.from(
        { length: size },
        () => 0.4 * Math.sin(12.9898 * count++) + (name.endsWith("gamma") ? 1 : 0),
      );
      return [name, tensor({ dtype: "f32", shape }, values)] as const;
    }),
  );
}

function run(
  model: TypedModel,
  fields: Readonly<Record<string, readonly number[]>>,
): ReadonlyMap<string, Tensor> {
  const { graph } = elaborate(model, "evaluate");
  const inputs = new Map(
    model.inputs.map(
      ({ name, dtype, shape }) => [name, tensor({ dtype, shape }, fields[name] ?? [])] as const,
    ),
  );
  return evaluate(graph, { inputs, parameters: parametersOf(model) }).outputs;
}

function row(values: ReadonlyMap<string, Tensor>, batch: number, position: number): readonly number[] {
  const encoded = values.get("output.encoded");
  if (encoded === undefined) throw new Error("no output encoded");
  const [, T = 0, H = 0] = encoded.shape;
  return [...encoded.data.slice((batch * T + position) * H, (batch * T + position + 1) * H)];
}

const bertFields = {
  tokens: [1, 5, 7, 2, 0, 0, 1, 3, 9, 4, 8, 2],
  segments: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
  valid: [4, 6],
  positions: [1, 2, 0, 1, 3, 4],
  labels: [5, 6, 0, 3, 4, 10],
  weights: [1, 1, 0, 1, 1, 1],
  next: [1, 0],
};

describe.each([
  ["bert-small.bert", { ...small, predictions: "3" }],
  ["bert-base.bert", { ...small, predictions: "3", max_positions: "9" }],
])("%s", (file, settings) => {
  const model = modelOf({ "spec.bert": shipped(file) }, settings);

  test("what stands in the padding changes nothing", () => {
    const padded = {
      ...bertFields,
      tokens: bertFields.tokens.with(4, 9).with(5, 3),
      segments: bertFields.segments.with(4, 1),
    };
    const [before, after] = [run(model, bertFields), run(model, padded)];
    for (let t = 0; t < 4; t++) expect(row(after, 0, t)).toEqual(row(before, 0, t));
    expect(row(after, 0, 4)).not.toEqual(row(before, 0, 4));
    expect(after.get("loss.mlm")).toEqual(before.get("loss.mlm"));
  });

  test("a token changes every vector of its own text and none of another", () => {
    const [before, after] = [
      run(model, bertFields),
      run(model, { ...bertFields, tokens: bertFields.tokens.with(8, 10) }),
    ];
    for (let t = 0; t < 6; t++) expect(row(after, 1, t)).not.toEqual(row(before, 1, t));
    for (let t = 0; t < 6; t++) expect(row(after, 0, t)).toEqual(row(before, 0, t));
  });

  test("slots of weight 0 do not count", () => {
    const [before, after] = [
      run(model, bertFields),
      run(model, { ...bertFields, labels: bertFields.labels.with(2, 7) }),
    ];
    expect(after.get("loss.mlm")).toEqual(before.get("loss.mlm"));
    const counted = run(model, { ...bertFields, labels: bertFields.labels.with(1, 7) });
    expect(counted.get("loss.mlm")).not.toEqual(before.get("loss.mlm"));
  });

  test("the objective is the sum of the losses", () => {
    const values = run(model, bertFields);
    const [mlm, nsp, objective] = ["loss.mlm", "loss.nsp", "objective"].map(
      (name) => values.get(name)?.data[0] ?? Number.NaN,
    );
    expect(objective).toBeCloseTo((mlm ?? 0) + (nsp ?? 0), 12);
    expect(mlm).toBeGreaterThan(0);
  });
});

test("gpt-small.bert: no position sees what follows it, and every one sees what precedes it", () => {
  const model = modelOf({ "spec.bert": shipped("gpt-small.bert") }, small);
  const fields = {
    tokens: [1, 5, 7, 2, 0, 3, 1, 3, 9, 4, 8, 2],
    targets: [5, 7, 2, 0, 3, 4, 3, 9, 4, 8, 2, 0],
    weights: new Array(12).fill(1),
  };
  const [before, after] = [run(model, fields), run(model, { ...fields, tokens: fields.tokens.with(2, 8) })];
  for (let t = 0; t < 2; t++) expect(row(after, 0, t)).toEqual(row(before, 0, t));
  for (let t = 2; t < 6; t++) expect(row(after, 0, t)).not.toEqual(row(before, 0, t));
});

/** The graph without where its nodes come from. */
function skeleton(graph: Graph): unknown {
  return graph.nodes.map(({ origin: _, ...node }) => {
    return node.op === "parameter" ? { ...node, attrs: { shape: node.attrs.shape } } : node;
  });
}

test("the compiler knows no layer by name: every layer and function renamed, the graph is the same", () => {
  const library = ["math", "layers", "attention", "transformer", "losses", "bert", "data"];
  const files = Object.fromEntries(library.map((name) => [`lib/${name}.bert`, shipped(`lib/${name}.bert`)]));
  const own = { ...files, "spec.bert": shipped("bert-base.bert") };
  const declared = Object.values(own).flatMap((text) =>
    [...text.matchAll(/^(?:layer|fn|loss|model) (\w+)/gm)].map((m) => m[1] ?? ""),
  );
  expect(declared.length).toBeGreaterThan(25);
  const renamed = Object.fromEntries(
    Object.entries(own).map(([path, text]) => {
      const words = text.replaceAll(/\w+/g, (word) =>
        declared.includes(word) ? `X${declared.indexOf(word)}` : word,
      );
      return [path, words];
    }),
  );
  // `activation: "gelu"` names a function's choice, not a function: strings keep their words.
  const texts = Object.fromEntries(
    Object.entries(renamed).map(([path, text]) => [path, restoreStrings(text, declared)]),
  );
  const settings = { ...small, predictions: "3" };
  const [before, after] = [modelOf(own, settings), modelOf(texts, settings)];
  expect(skeleton(elaborate(after, "train").graph)).toEqual(skeleton(elaborate(before, "train").graph));
});

function restoreStrings(text: string, declared: readonly string[]): string {
  return text.replaceAll(/"[^"\n]*"/g, (s) =>
    s.replaceAll(/X(\d+)/g, (_, i: string) => declared[Number(i)] ?? ""),
  );
}

describe("layers that no shipped spec uses", () => {
  const header = ["bert", "data"].map((name) => `import "lib/${name}.bert"`).join("\n");
  const spec = (use: string, value: string): string => `${header}
model M() {
  use layer_ = ${use}
  param table: f32[11, 8] = normal(1.0)
  forward(tokens: i32[B, T], valid: i32[B], next: i32[B]) {
    let x = take(table, tokens)
    let y = ${value}
    output encoded = y
    loss l = mean(y * y)
  }
}
model Mine = M()
train Mine { data PretrainingPairs(batch: 2, max_len: 6, predictions: 3); minimize l; optimizer sgd(0.1); steps 1 }
`;
  test.each([
    ['PreNormEncoderBlock(8, 2, 12, 0.0, "gelu_tanh")', "layer_(x, valid)", [2, 6, 8]],
    ["CausalSelfAttention(8, 2, 0.0)", "layer_(x)", [2, 6, 8]],
    ["RmsNorm(8)", "layer_(x)", [2, 6, 8]],
    ["ClassifierHead(8, 3, 0.1)", "layer_(x[:, 0])", [2, 3]],
    ["Linear(8, 3, with_bias: false)", "layer_(x)", [2, 6, 3]],
  ])("%s", (use, value, shape) => {
    const model = modelOf({ "spec.bert": spec(use, value) }, {});
    const values = run(model, bertFields);
    expect(values.get("output.encoded")?.shape).toEqual(shape);
    for (const v of values.get("output.encoded")?.data ?? []) expect(Number.isFinite(v)).toBe(true);
  });
});
