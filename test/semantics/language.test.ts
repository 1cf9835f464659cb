import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import type { TypedModel } from "../../compiler/semantics/index.ts";
import { analyzeTexts } from "./check.ts";

/** A model M with the items given, trained on x: f32[4, 6]. */
function modelWith(declarations: string, items: string, forward: string, train = ""): TypedModel {
  const text = `${declarations}
data Numbers(rows: dim, kind: string = "a", on: bool = true) { x: f32[rows, 6]; unused: i32[rows] }
model M() {
  ${items}
  forward(x: f32[B, N]) {
    ${forward}
    loss l = mean(y)
    loss k = mean(y * y)
  }
}
model Mine = M()
train Mine { data Numbers(4); minimize l + 0.5 * k; optimizer ${train === "" ? "sgd(0.1)" : train}; steps 7 }
`;
  const result = analyzeTexts({ "spec.bert": text });
  if (result.model === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return result.model;
}

const shapes = (model: TypedModel) => Object.fromEntries(model.parameters.map((p) => [p.name, p.shape]));

describe("layers", () => {
  test("several results are taken apart", () => {
    const layer = `layer Two() { forward(x: f32[B, N]) -> (f32[B], f32[N, B]) {
  return sum(x, axis: 1, keep: false), rearrange(x, "b n -> n b")
} }`;
    const model = modelWith(layer, "use two = Two()", "let a, b = two(x)\n    let y = a * b");
    const last = model.instructions.find((i) => i.origin.label === "y");
    expect(last?.type.shape).toEqual([6, 4]);
  });

  test("a repeated layer feeds each result to the next, the other arguments to all", () => {
    const layer = `layer Add(n: dim) {
  param bias: f32[n] = zeros()
  forward(x: f32[..., n], scale: f32) -> f32[..., n] = x + bias * scale
}`;
    const model = modelWith(layer, "use adds = repeat 3 of Add(6)", "let y = adds(x, mean(x))");
    expect(shapes(model)).toEqual({ "adds.0.bias": [6], "adds.1.bias": [6], "adds.2.bias": [6] });
    const sums = model.instructions.filter((i) => i.op === "binary" && i.fn === "add");
    expect(sums.slice(0, 3).map((i) => i.origin.path)).toEqual(["adds.0", "adds.1", "adds.2"]);
    expect(sums[1]?.inputs[0]).toBe(model.instructions.indexOf(sums[0]!));
  });

  test("a parameter of a sub-layer is read by its path, and is one parameter", () => {
    const declarations =
      'import "lib/layers.bert"\nlayer Pair() { use linears = repeat 2 of Linear(6, 5, with_bias: false) }';
    const model = modelWith(declarations, "use pair = Pair()", "let y = x @ pair.linears[1].weight");
    expect(shapes(model)).toEqual({ "pair.linears.0.weight": [6, 5], "pair.linears.1.weight": [6, 5] });
  });

  test("`if` decides which parameters there are", () => {
    const layer = `layer Maybe(n: dim, kind: string = "none") {
  const half = floor(n / 2)
  if kind == "full" { param w: f32[n] = ones() } else if kind == "half" { param w: f32[half] = ones() }
  forward(x: f32[..., n]) -> f32[..., n] {
    if kind == "full" { return x * w }
    if kind == "half" { return concat([x[..., 0:half] * w, x[..., half:n]], axis: -1) }
    return x
  }
}`;
    const uses = 'use a = Maybe(6, "full"), b = Maybe(6, kind: "half"), c = Maybe(6)';
    const model = modelWith(layer, uses, "let y = c(b(a(x)))");
    expect(shapes(model)).toEqual({ "a.w": [6], "b.w": [3] });
  });

  test("defaults may use earlier parameters, arguments go by position or name", () => {
    const layer = `layer L(n: dim, m: dim = 2 * n, scale: float = m / 4) {
  param w: f32[n, m] = constant(scale)
  forward(x: f32[..., n]) -> f32[..., m] = x @ w
}`;
    const model = modelWith(layer, "use a = L(6), b = L(m: 3, n: 12)", "let y = b(a(x))");
    expect(shapes(model)).toEqual({ "a.w": [6, 12], "b.w": [12, 3] });
    expect(model.parameters.map((p) => p.init)).toEqual([
      { kind: "constant", value: 3 },
      { kind: "constant", value: 0.75 },
    ]);
  });

  test("initialisers become final numbers", () => {
    const items = `param a: f32[6, 2] = glorot_uniform(); param b: f32[6, 2] = lecun_normal(); param c: f32[6, 2] = he_uniform()
  param d: f32[6] = truncated_normal(0.02, cut: 3); param e: f32[6] = uniform(-1, 0.5); param f: f32[6] = normal(0.5, mean: 1)`;
    const model = modelWith("", items, "let y = x + d + e + f + sum(a) + sum(b) + sum(c)");
    const limit = Math.sqrt(6 / 8);
    expect(model.parameters.map((p) => p.init)).toEqual([
      { kind: "uniform", low: -limit, high: limit },
      { kind: "normal", mean: 0, std: Math.sqrt(1 / 6) },
      { kind: "uniform", low: -1, high: 1 },
      { kind: "truncated_normal", mean: 0, std: 0.02, cut: 3 },
      { kind: "uniform", low: -1, high: 0.5 },
      { kind: "normal", mean: 1, std: 0.5 },
    ]);
  });
});

describe("names", () => {
  test("a file's own declaration goes before an imported one, which the library keeps", () => {
    const declarations = 'import "lib/losses.bert"\nfn relu(x: f32[...]) -> f32[...] = max(x, -1.0)';
    const model = modelWith(declarations, "", "let y = relu(x)");
    const fill = model.instructions.filter((i) => i.op === "fill").map((i) => i.op === "fill" && i.value);
    expect(fill[0]).toBe(-1);
  });

  test("a value may be called as a primitive is", () => {
    const model = modelWith("", "", "let sum = sum(x)\n    let y = x * sum");
    expect(model.losses.map((l) => l.name)).toEqual(["l", "k"]);
  });

  test("a bound dimension is an int of the body", () => {
    const fn = "fn scaled(x: f32[..., n]) -> f32[..., n] = x / sqrt(n) + f32(iota(n)) * (n / 2)";
    const model = modelWith(fn, "", "let y = scaled(x)");
    expect(model.instructions.flatMap((i) => (i.op === "fill" ? [i.value] : []))).toEqual(
      expect.arrayContaining([Math.sqrt(6), 3]),
    );
  });
});

describe("training", () => {
  const optimizers: readonly (readonly [string, object])[] = [
    ["sgd(0.1)", { kind: "sgd", lr: { kind: "constant", value: 0.1 } }],
    ["sgd(constant(0.5))", { kind: "sgd", lr: { kind: "constant", value: 0.5 } }],
    [
      "momentum(0.1, nesterov: true)",
      { kind: "momentum", lr: { kind: "constant", value: 0.1 }, momentum: 0.9, nesterov: true },
    ],
    [
      "adam(lr: warmup(peak: 0.1, warmup: 5))",
      { kind: "adam", lr: { kind: "warmup", peak: 0.1, warmup: 5 }, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
    ],
    [
      'adamw(warmup_cosine(0.1, 5, 50, end: 0.01), weight_decay: 0.1, exclude: ["w*"])',
      {
        kind: "adamw",
        lr: { kind: "warmup_cosine", peak: 0.1, warmup: 5, total: 50, end: 0.01 },
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weightDecay: 0.1,
        exclude: ["w*"],
      },
    ],
  ];
  test.each(optimizers)("%s", (text, optimizer) => {
    const model = modelWith("", "param w: f32[6] = zeros()", "let y = x * w", text);
    expect(model.recipe).toEqual({ optimizer, accumulate: 1, steps: 7 });
  });

  test("where to start from, what stays, and rates by pattern", () => {
    const init = 'setting pretrained: string = "../bert.safetensors"\n';
    const entries = `sgd(0.1); init from pretrained; freeze ["w"]; rates [scale("*", 0.5), scale(pattern: "v", factor: 2)]`;
    const items = "param w: f32[6] = zeros(); param v: f32[6] = zeros()";
    const model = modelWith(init, items, "let y = x * w * v", entries);
    expect(model.recipe).toMatchObject({
      initFrom: "../bert.safetensors",
      frozen: ["w"],
      rates: [
        { pattern: "*", scale: 0.5 },
        { pattern: "v", scale: 2 },
      ],
    });
  });

  test("no path is no checkpoint to start from, so that a setting can leave it out", () => {
    const model = modelWith("", "", "let y = x", 'sgd(0.1); init from ""');
    expect(model.recipe.initFrom).toBeUndefined();
  });

  test("heads and metrics are results apart from outputs and losses", () => {
    const model = modelWith(
      "",
      "",
      "let y = x\n    head logits = y\n    metric spread = mean(abs(y))\n    output out = y",
    );
    expect(model.heads.map(({ name }) => name)).toEqual(["logits"]);
    expect(model.metrics.map(({ name }) => name)).toEqual(["spread"]);
    expect(model.outputs.map(({ name }) => name)).toEqual(["out"]);
    expect(model.losses.map(({ name }) => name)).toEqual(["l", "k"]);
  });

  test("`head`, `metric`, `from`, `init`, `freeze` and `rates` are names elsewhere", () => {
    const forward =
      "let head = x\n    let metric = head + 1.0\n    let from = metric\n    let y = from\n    let init = y; let freeze = init; let rates = freeze";
    expect(modelWith("", "", forward).instructions.length).toBeGreaterThan(0);
  });

  test("the data line's settings and fields are plain values; fields that no input takes stay out of the inputs", () => {
    const model = modelWith("", "", "let y = x");
    expect(model.data).toEqual({
      kind: "Numbers",
      settings: { rows: 4, kind: "a", on: 1 },
      fields: [
        { name: "x", dtype: "f32", shape: [4, 6] },
        { name: "unused", dtype: "i32", shape: [4] },
      ],
    });
    expect(model.inputs.map((i) => i.name)).toEqual(["x"]);
  });
});
