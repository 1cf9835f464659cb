import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { analyzeTexts, errorsOf, forwardErrors, inForward } from "./check.ts";

type Case = readonly [string, string];

/** Statements of a forward; inputs x: f32[4, 6], ids: i32[4, 3], flag: i32[4], parameter w: f32[6, 5]. */
const inBodies: readonly Case[] = [
  ["unknown name", "let y = widht + x"],
  ["unknown function", "let y = sofmax(x)"],
  ["broadcast", "let y = x + w"],
  ["matmul", "let y = w @ x"],
  ["dtypes", "let y = x + ids"],
  ["float meets i32", "let y = ids + 0.5"],
  ["number out of range", "let y = ids + 3000000000"],
  ["bool arithmetic", "let y = (x < 0.0) + x"],
  ["and of numbers", "let y = x and x"],
  ["a string in arithmetic", "let y = name + 1"],
  ["condition is a tensor", "let y = if x < 0.0 then x else x"],
  ["where without a bool", "let y = where(x, x, x)"],
  ["axis out of range", "let y = sum(x, axis: 2)"],
  ["axis of a scalar", "let y = sum(mean(x), axis: 0)"],
  ["index out of range", "let y = x[4]"],
  ["too many indices", "let y = x[0, 0, 0]"],
  ["empty slice", "let y = x[3:2]"],
  ["concat", "let y = concat([x, w], axis: 0)"],
  ["gather", 'let y = gather(rearrange(w, "a b -> 1 a b"), ids)'],
  ["take by floats", "let y = take(w, x)"],
  ["drop rate", "let y = drop(x, 1.5)"],
  ["usage of a primitive", "let y = exp(x, x)"],
  ["call of a tensor", "let y = x(1)"],
  ["member of a tensor", "let y = x.weight"],
  ["let counts", "let y, z = x"],
  ["duplicate let", "let y = x; let y = x"],
  ["division by zero", "let y = x * (1 / 0)"],
  ["tensor too large", "let y = zeros(65536, 65536)"],
  ["too many axes", 'let y = rearrange(x, "b n -> 1 1 1 1 1 1 1 1 1 1 1 1 b n")'],
  ["zero size", "let y = iota(width - 6)"],
  ["loss is no scalar", "loss big = x"],
  ["output is no tensor", "output name = name"],
  ["output twice", "output y = x; output y = x"],
  ["head with the name of an output", "output y = x; head y = x"],
  ["metric is no scalar", "metric accuracy = x"],
  ["return in a model", "return x"],
  ["require", 'require B % 3 == 0, "the batch ({B}) must be a multiple of 3"'],
];

/** Declarations before a model whose forward says `let y = F(x)`. */
const inFunctions: readonly Case[] = [
  ["a dimension of a fn", "fn F(x: f32[A, 5]) -> f32[A, 5] = x"],
  ["rank", "fn F(x: f32[A]) -> f32[A] = x"],
  ["dtype", "fn F(x: i32[...]) -> i32[...] = x"],
  ["result shape", "fn F(x: f32[A, C]) -> f32[C, A] = x"],
  ["result name", "fn F(x: f32[A, C]) -> f32[A, D] = x"],
  ["result rank", "fn F(x: f32[A, C]) -> f32[A] = x"],
  ["result count", "fn F(x: f32[A, C]) -> (f32[A, C], f32[A, C]) = x"],
  ["no return", "fn F(x: f32[A, C]) -> f32[A, C] { let y = x }"],
  ["output in a fn", "fn F(x: f32[A, C]) -> f32[A, C] { output y = x; return x }"],
  ["missing argument", "fn F(x: f32[A, C], k: float) -> f32[A, C] = x"],
  ["a tensor for a setting", "fn F(k: float) -> f32 = k"],
  ["unsolved dimension", "fn F(x: f32[2 * A, C]) -> f32[C] = x[0]"],
  ["endless recursion", "fn F(x: f32[...]) -> f32[...] = F(x)"],
  ["a fn as a value", "fn F(x: f32[...]) -> f32[...] = x + F"],
  ["dots of a result", "fn F(x: f32[A, C]) -> f32[..., C] = x"],
  [
    "dots that differ",
    "fn F(x: f32[..., C]) -> f32[..., C] = G(x, x[0])\nfn G(x: f32[..., C], y: f32[..., C]) -> f32[..., C] = x",
  ],
  ["a size that is no dimension", "fn F(x: f32[A, C], k: float = 0.5) -> f32[A, k] = x"],
  ["a literal size", "fn F(x: f32[4, 7]) -> f32[4, 7] = x"],
  ["a compound size", "fn F(x: f32[A, A + 1]) -> f32[A] = x[:, 0]"],
  ["an initialiser as a value", "fn F(x: f32[...]) -> f32[...] = x + normal(0.1)"],
  ["a loss that is a tensor", "loss F(x: f32[...]) -> f32[...] = x"],
  ["a layer is not called", "layer F() { forward(x: f32[...]) -> f32[...] = x }"],
];

/** Whole files. */
const files: readonly Case[] = [
  ["no train block", "setting a: int = 1"],
  ["unknown model", "train Small { data D(); minimize a; optimizer sgd(0.1); steps 1 }"],
  ["unknown import", 'import "lib/brt.bert"'],
  ["import outside", 'import "../secret.bert"'],
  ["absolute import", 'import "/etc/passwd"'],
  ["duplicate declaration", "fn f(x: f32) -> f32 = x\nfn f(x: f32) -> f32 = x"],
  ["setting of the wrong type", "setting a: int = 1.5"],
  ["setting cycle", "setting a: int = b\nsetting b: int = a"],
  [
    "a model without settings",
    "model M(n: dim) { }\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { }",
  ],
  [
    "a layer is trained",
    "layer L() { }\ntrain L { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { }",
  ],
  [
    "a model of a layer",
    "layer L() { }\nmodel M = L()\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { }",
  ],
  [
    "a model without forward",
    "model N() { }\nmodel M = N()\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { }",
  ],
  [
    "a model without losses",
    "model N() { forward(x: f32[B]) { output y = x } }\nmodel M = N()\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { x: f32[3] }",
  ],
  [
    "an input that is a setting",
    "model N() { forward(x: int) { output y = x } }\nmodel M = N()\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { x: f32[3] }",
  ],
  [
    "two train blocks",
    "train M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ntrain M { data D(); minimize a; optimizer sgd(0.1); steps 1 }\ndata D() { }",
  ],
  [
    "names of what nothing uses",
    "fn f(x: f32[A]) -> f32[A] = y + sofmax(x, axes)\nlayer L(n: dim) { use a = K(m); forward(x: f32[n]) -> f32[n] = a.b(x)[k] }",
  ],
  ["exact division", "setting a: int = 7\nsetting b: int = a / 2"],
];

/** Lines of a layer used by a model. */
const inLayers: readonly Case[] = [
  ["unknown layer", "use a = Liner(3, 4)"],
  ["a fn is no layer", "use a = helper()"],
  ["unknown argument", "use a = Linear(in: 3, out: 4, basi: true)"],
  ["missing argument", "use a = Linear(3)"],
  ["too many arguments", "use a = Linear(3, 4, true, 0.1, 5)"],
  ["argument twice", "use a = Linear(3, in: 4)"],
  ["not a dimension", "use a = Linear(0, 4)"],
  ["inexact division", "use a = Linear(n / 4, 4)"],
  ["wrong setting type", "use a = Linear(3, 4, with_bias: 1)"],
  ["unknown initialiser", "param p: f32[n] = normel(0.1)"],
  ["not an initialiser", "param p: f32[n] = 0.1"],
  ["initialiser range", "param p: f32[n] = normal(-1.0)"],
  ["initialiser arguments", "param p: f32[n] = zeros(n)"],
  ["i32 parameter", "param p: i32[n] = zeros()"],
  ["unknown dimension", "param p: f32[m] = zeros()"],
  ["parameter too large", "param p: f32[65536, 65536] = zeros()"],
  ["repeat too often", "use a = repeat 100000 of Linear(3, 4)"],
  ["repeat nothing", "use a = repeat 0 of Linear(3, 4)"],
  ["duplicate names", "param p: f32[n] = zeros(); param p: f32[n] = zeros()"],
  ["condition", "if n { param p: f32[n] = zeros() }"],
  ["member of a layer", "use a = Linear(n, n); const b = a.wieght"],
  ["member of repeated layers", "use a = repeat 2 of Linear(n, n); const b = a.weight"],
  ["repeated layers out of range", "use a = repeat 2 of Linear(n, n); const b = a[2]"],
  ["call of a layer without forward", "use a = Empty(); const b = a(1)"],
  ["two forwards", "forward(y: f32[...]) -> f32[...] = y"],
  ["a model is no layer", "use a = M()"],
  ["const of nothing", "const c = sqrt(-1.0)"],
  ["int overflow", "const c = 9007199254740991 * 9"],
  ["endless instances", "use a = L(n)"],
];

const trains: readonly Case[] = [
  ["data without settings", "data Numbers; minimize l; optimizer sgd(0.1); steps 1"],
  ["data that is a model", "data M(); minimize l; optimizer sgd(0.1); steps 1"],
  ["a field of unknown size", "data Open(); minimize l; optimizer sgd(0.1); steps 1"],
  ["optimizer without a call", "data Numbers(); minimize l; optimizer 0.1; steps 1"],
  ["exclude without strings", "data Numbers(); minimize l; optimizer adamw(0.1, exclude: [1]); steps 1"],
  ["negative eps", "data Numbers(); minimize l; optimizer adam(0.1, eps: -1.0); steps 1"],
  ["negative clip", "data Numbers(); minimize l; optimizer sgd(0.1); clip global_norm(0.0); steps 1"],
  ["nothing said", "steps 1"],
  ["unknown optimizer", "data Numbers(); minimize l; optimizer adm(0.1); steps 1"],
  ["optimizer without rate", "data Numbers(); minimize l; optimizer adam(); steps 1"],
  ["unknown optimizer setting", "data Numbers(); minimize l; optimizer adam(0.1, beta3: 0.9); steps 1"],
  ["beta out of range", "data Numbers(); minimize l; optimizer adam(0.1, beta1: 1.5); steps 1"],
  ["unknown schedule", "data Numbers(); minimize l; optimizer sgd(warmpu(0.1, 5)); steps 1"],
  ["negative rate", "data Numbers(); minimize l; optimizer sgd(-0.1); steps 1"],
  ["total too small", "data Numbers(); minimize l; optimizer sgd(warmup_linear(0.1, 10, 5)); steps 1"],
  [
    "pattern matches nothing",
    'data Numbers(); minimize l; optimizer adamw(0.1, exclude: ["*.bais"]); steps 1',
  ],
  ["clip", "data Numbers(); minimize l; optimizer sgd(0.1); clip 1.0; steps 1"],
  ["init without from", 'data Numbers(); init "a.safetensors"; minimize l; optimizer sgd(0.1); steps 1'],
  ["init from a number", "data Numbers(); init from 1; minimize l; optimizer sgd(0.1); steps 1"],
  ["freeze without a list", 'data Numbers(); freeze "bias"; minimize l; optimizer sgd(0.1); steps 1'],
  ["freeze nothing", 'data Numbers(); freeze ["*.bais"]; minimize l; optimizer sgd(0.1); steps 1'],
  ["freeze everything", 'data Numbers(); freeze ["*bias"]; minimize l; optimizer sgd(0.1); steps 1'],
  ["rates without a list", "data Numbers(); minimize l; optimizer sgd(0.1); rates 0.1; steps 1"],
  ["rates without scale", 'data Numbers(); minimize l; optimizer sgd(0.1); rates ["bias"]; steps 1'],
  [
    "rates of nothing",
    'data Numbers(); minimize l; optimizer sgd(0.1); rates [scale("biass", 0.1)]; steps 1',
  ],
  ["rates that stop", 'data Numbers(); minimize l; optimizer sgd(0.1); rates [scale("bias", 0)]; steps 1'],
  ["no steps", "data Numbers(); minimize l; optimizer sgd(0.1); steps 0"],
  ["unknown loss", "data Numbers(); minimize ll; optimizer sgd(0.1); steps 1"],
  ["objective is a number", "data Numbers(); minimize 1.0; optimizer sgd(0.1); steps 1"],
  ["unknown data", "data Nombers(); minimize l; optimizer sgd(0.1); steps 1"],
  ["a field is missing", "data Other(); minimize l; optimizer sgd(0.1); steps 1"],
  ["a field of another dtype", "data Wrong(); minimize l; optimizer sgd(0.1); steps 1"],
];

function withLayer(line: string): string {
  return `import "lib/layers.bert"
fn helper(x: f32) -> f32 = x
layer Empty() { }
layer L(n: dim) {
  ${line}
  forward(x: f32[...]) -> f32[...] = x
}
data Numbers() { x: f32[4, 6] }
model M() {
  use l = L(6)
  forward(x: f32[B, N]) { loss l = mean(l(x)) }
}
model Mine = M()
train Mine { data Numbers(); minimize l; optimizer sgd(0.1); steps 1 }
`;
}

function withTrain(entries: string): string {
  return `data Numbers() { x: f32[4, 6] }
data Other() { y: f32[4, 6] }
data Wrong() { x: i32[4, 6] }
data Open() { x: f32[..., 6] }
model M() {
  param bias: f32[6] = zeros()
  use inner = Inner()
  forward(x: f32[B, N]) { loss l = mean(x + bias) }
}
layer Inner() { param bias: f32[6] = zeros() }
model Mine = M()
train Mine { ${entries} }
`;
}

describe("mistakes in bodies", () => {
  test.each(inBodies)("%s", (_, statement) => expect(forwardErrors(statement)).toMatchSnapshot());
});

describe("mistakes in functions", () => {
  test.each(inFunctions)("%s", (_, declaration) =>
    expect(forwardErrors("let y = F(x)", declaration)).toMatchSnapshot(),
  );
});

describe("mistakes in files", () => {
  test.each(files)("%s", (_, text) => expect(errorsOf(text)).toMatchSnapshot());
});

describe("mistakes in layers", () => {
  test.each(inLayers)("%s", (_, line) => expect(errorsOf(withLayer(line))).toMatchSnapshot());
});

describe("mistakes in train blocks", () => {
  test.each(trains)("%s", (_, entries) => expect(errorsOf(withTrain(entries))).toMatchSnapshot());
});

describe("several files", () => {
  test("an ambiguous import", () => {
    const result = analyzeTexts({
      "spec.bert": `import "a.bert"\nimport "b.bert"\nfn g(x: f32) -> f32 = f(x)\n${inForward("let y = g(mean(x))")}`,
      "a.bert": "fn f(x: f32) -> f32 = x",
      "b.bert": "fn f(x: f32) -> f32 = x",
    });
    expect(renderDiagnostics(result.diagnostics, result.sources)).toMatchSnapshot();
  });

  test("files may import each other", () => {
    const result = analyzeTexts({
      "spec.bert": `import "a.bert"\n${inForward("let y = f(x)")}`,
      "a.bert": 'import "spec.bert"\nfn f(x: f32[...]) -> f32[...] = x',
    });
    expect(result.diagnostics).toEqual([]);
  });

  test("a chain of imports ends", () => {
    const files: Record<string, string> = { "spec.bert": 'import "f0.bert"' };
    for (let i = 0; i < 30; i++) files[`f${i}.bert`] = `import "f${i + 1}.bert"`;
    const result = analyzeTexts(files);
    expect(result.diagnostics.map((d) => d.code)).toEqual(["import-limit"]);
  });
});

describe("overrides", () => {
  const text = `setting size: int = 6\nsetting rate: float = 0.1\nsetting on: bool = true\n${inForward("let y = x")}`;
  test("are typed", () => {
    const { settings, diagnostics } = analyzeTexts(
      { "spec.bert": text },
      { settings: { size: "7", rate: "1e-3", on: "false" } },
    );
    expect(diagnostics).toEqual([]);
    expect(settings).toEqual({ size: 7, rate: 0.001, on: false });
  });
  test("of no such setting", () => expect(errorsOf(text, { settings: { siez: "7" } })).toMatchSnapshot());
  test("of the wrong type", () => expect(errorsOf(text, { settings: { size: "7.5" } })).toMatchSnapshot());
  test("of data settings", () => {
    const { model } = analyzeTexts({ "spec.bert": text }, { data: { rows: "9" } });
    expect(model?.inputs[0]?.shape).toEqual([9, 6]);
    expect(model?.data.settings).toEqual({ rows: 9, columns: 6 });
  });
  test("of no such data setting", () => expect(errorsOf(text, { data: { row: "9" } })).toMatchSnapshot());
});

test("a mistake in a repeated layer is told once, several mistakes together", () => {
  const result = analyzeTexts({
    "spec.bert": `import "lib/layers.bert"
layer Block(n: dim) {
  use a = Linear(n, 2 * n)
  forward(x: f32[..., n]) -> f32[..., n] = x + a(x)
}
data Numbers() { x: f32[4, 6] }
model M() {
  use blocks = repeat 24 of Block(6)
  forward(x: f32[B, N]) {
    let y = blocks(x)
    loss l = mean(yy)
  }
}
model Mine = M()
train Mine { data Numbers(); minimize l; optimizer sgd(0.1); steps 1 }
`,
  });
  expect(renderDiagnostics(result.diagnostics, result.sources)).toMatchSnapshot();
});
