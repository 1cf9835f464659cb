import { describe, expect, it } from "vitest";
import { type CompletionItem, complete } from "../../compiler/service/index.ts";
import { cursorAfter, marked, nested } from "./editor.ts";

function itemsAt(text: string): readonly CompletionItem[] {
  const { spec, place } = marked(text);
  return complete(spec, place).items;
}

const labels = (text: string, kind?: CompletionItem["kind"]): readonly string[] =>
  itemsAt(text)
    .filter((item) => kind === undefined || item.kind === kind)
    .map(({ label }) => label);

/** The text before the cursor, and what follows it in a file that goes on. */
const inForward = `${nested.slice(0, nested.indexOf("    let spread"))}    let spread = wide(x)\n`;

describe("arguments", () => {
  it("offers what a layer takes, with types and defaults", () => {
    const items = itemsAt('import "lib/bert.bert"\nlayer A(n: dim) {\n  use encoder = BertEncoder(‸');
    const named = items.filter(({ kind }) => kind === "argument");
    expect(named.map(({ detail }) => detail)).toEqual([
      "vocab: dim",
      "hidden: dim",
      "layers: int",
      "heads: int",
      "ffn: dim",
      "max_len: dim",
      "dropout: float",
      'activation: string = "relu"',
      "eps: float = 1e-5",
      "embedding_norm: bool = false",
      "std: float = 0.0",
      "embedding_std: float = 0.02",
    ]);
    expect(named[0]).toMatchObject({ label: "vocab", insert: "vocab: ", rank: 0 });
    expect(items.filter(({ kind }) => kind === "parameter").map(({ label }) => label)).toEqual(["n"]);
  });

  it("leaves out those given, by name or position, while the next line goes on", () => {
    const given = 'import "lib/bert.bert"\nlayer A(n: dim) {\n  use encoder = BertEncoder(';
    const rest = "\n  forward(x: f32[n]) -> f32[n] = x\n}\n";
    expect(labels(`${given}100, ‸${rest}`, "argument")[0]).toBe("hidden");
    expect(labels(`${given}heads: 2, ‸${rest}`, "argument")).not.toContain("heads");
    expect(labels(`${given}heads: 2, ‸${rest}`, "argument")).toContain("vocab");
  });

  it("offers what a sublayer's forward takes, and a function", () => {
    const text = inForward;
    expect(labels(`${text}    return narrow(‸`, "argument")).toEqual(["x"]);
    expect(labels(`${text}    return cross_entropy(‸`, "argument")).toEqual(["logits", "labels"]);
  });

  it("offers settings of optimizers, schedules, initialisers and data", () => {
    expect(labels(cursorAfter(nested, "adamw("), "argument")).toEqual([
      "beta1",
      "beta2",
      "eps",
      "weight_decay",
    ]);
    expect(labels(nested.replace(/adamw\(.*\n/, "adamw(‸\n"), "argument")).toContain("exclude");
    // Those given behind the cursor are given too.
    expect(labels(cursorAfter(nested, "warmup_linear("), "argument")).toEqual(["end"]);
    expect(labels("layer A() {\n  param a: f32[] = normal(‸", "argument")).toEqual(["std", "mean"]);
    expect(labels(cursorAfter(nested, "CausalText(batch: 2, "), "argument")).toEqual([
      "min_frequency",
      "vocab",
      "tokenizer",
    ]);
  });
});

describe("names", () => {
  it("offers what the layer around has by then, then functions", () => {
    const found = labels(`${inForward}    let next = ‸`);
    for (const name of ["x", "spread", "size", "gain", "wide", "narrow", "shift", "width", "relu", "tanh"])
      expect(found).toContain(name);
    expect(found).not.toContain("next");
    expect(found).not.toContain("Twice");
  });

  it("does not offer what comes later, nor tensors where only numbers are computed", () => {
    const found = labels(cursorAfter(nested, "use wide = Linear("));
    expect(found).toContain("size");
    for (const name of ["narrow", "shift", "relu", "x"]) expect(found).not.toContain(name);
  });

  it("offers the dimensions in types", () => {
    expect(labels(cursorAfter(nested, "param shift: f32["))).toEqual(["size", "gain", "width"]);
    expect(labels(cursorAfter(nested, "-> f32[..., "))).toContain("size");
  });

  it("offers members of sublayers, through several", () => {
    const model = `${nested.slice(0, nested.indexOf("    let words"))}`;
    expect(labels(`${model}    let a = table.‸`)).toEqual(["count", "size", "std", "weight"]);
    expect(labels(`${model}    let a = blocks[0].wide.‸`)).toContain("bias");
    expect(labels(`${model}    let a = last.‸\n  }\n}\n`)).toEqual([
      "size",
      "gain",
      "wide",
      "narrow",
      "shift",
    ]);
    expect(labels(`${model}    let a = nothing.‸`)).toEqual([]);
  });

  it("offers layers after `use`, models after `model`, instances after `train`, with their comments", () => {
    const layers = itemsAt(cursorAfter(nested, "use wide = "));
    expect(layers.find(({ label }) => label === "Twice")).toMatchObject({
      kind: "layer",
      detail: "layer Twice(size: dim, gain: float = 2.0)",
      documentation: "Widens, then narrows.\nTwice.",
    });
    expect(layers.find(({ label }) => label === "Embedding")?.documentation).toBe(
      "Row i of the table for index i.",
    );
    expect(layers.map(({ label }) => label)).not.toContain("Chain");
    expect(labels(cursorAfter(nested, "repeat 3 of "))).toContain("Twice");
    expect(labels(cursorAfter(nested, "model Small = "))).toContain("Chain");
    expect(labels(cursorAfter(nested, "train "))).toEqual(["Small"]);
  });
});

describe("words", () => {
  it("offers what a statement of the block may begin with", () => {
    expect(labels("‸")).toContain("layer");
    expect(labels("layer A() {\n  ‸\n}\n")).toEqual(["param", "use", "const", "require", "forward", "if"]);
    expect(labels(`${inForward}    ‸`)).toEqual(["let", "return", "require", "if"]);
    expect(labels(cursorAfter(nested, "T]) {\n    "))).toContain("output");
    expect(labels(nested.replace("  clip      global_norm(1.0)", "  ‸"))).toEqual([
      "init",
      "freeze",
      "rates",
      "clip",
      "accumulate",
    ]);
  });

  it("offers what a train entry takes", () => {
    expect(labels(cursorAfter(nested, "optimizer "))).toEqual(["sgd", "momentum", "adam", "adamw"]);
    expect(labels(cursorAfter(nested, "lr: "), "primitive")).toEqual([
      "constant",
      "warmup",
      "warmup_linear",
      "warmup_cosine",
    ]);
    expect(labels(cursorAfter(nested, "minimize  "))).toEqual(["total"]);
    expect(labels(cursorAfter(nested, "clip      "))).toEqual(["global_norm", "none"]);
    expect(labels(cursorAfter(nested, "data      "))).toContain("CausalText");
  });

  it("offers types where a type stands", () => {
    expect(labels("layer A(n: ‸")).toEqual(["dim", "int", "float", "bool", "string"]);
    expect(labels("layer A() {\n  param a: ‸")).toEqual(["f32", "i32", "bool"]);
    expect(labels("layer A() {\n  forward(x: f32[n]) -> ‸")).toEqual(["f32", "i32", "bool"]);
  });

  it("offers initialisers for a param, files for an import", () => {
    expect(labels("layer A() {\n  param a: f32[2] = ‸")).toContain("glorot_uniform");
    const { spec, place } = marked('import "lib/b‸');
    const found = complete(spec, place);
    expect(found.items.map(({ insert }) => insert)).toEqual(["lib/bert.bert", "lib/data.bert"]);
    expect(found.range).toEqual({ start: 8, end: 13 });
    expect(itemsAt("import ‸").map(({ insert }) => insert)).toEqual(['"lib/bert.bert"', '"lib/data.bert"']);
  });

  it("offers nothing where a new name, an operator, a comment or a text stands", () => {
    for (const text of [
      "layer ‸",
      "layer A(‸",
      "layer A() {\n  use ‸",
      "layer A() {\n  forward(x: f32[n]) -> f32[n] {\n    let ‸",
      "// a comment about ‸",
      'layer A() {\n  require true, "a text about ‸',
    ])
      expect(labels(text), text).toEqual([]);
  });

  it("replaces the word that was begun", () => {
    const { spec, place, text } = marked(cursorAfter(nested, "tanh(spr"));
    const { range, items } = complete(spec, place);
    expect(text.slice(range.start, range.end)).toBe("spr");
    expect(items.map(({ label }) => label)).toContain("spread");
  });
});
