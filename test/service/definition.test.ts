import { describe, expect, it } from "vitest";
import { definition, references } from "../../compiler/service/index.ts";
import { libraryText } from "../../models/index.ts";
import { contextOf, marked, nested, root } from "./editor.ts";

/** Where the name at the cursor is declared: file and the text from there to the line's end. */
function targetsOf(text: string): readonly string[] {
  const { spec, place, text: plain } = marked(text);
  return definition(spec, place).map(({ file, shipped, start, end }) => {
    const source = shipped ? (libraryText(file) ?? "") : plain;
    const [line = ""] = source.slice(start).split("\n");
    return `${file}: ${start === end ? "" : line}`;
  });
}

describe("definition", () => {
  it.each([
    ["a local", "tanh(spr‸ead)", ["spec.bert: spread = wide(x)"]],
    ["an input", "wide(‸x)", ["spec.bert: x: f32[..., size]) -> f32[..., size] {"]],
    ["a dimension", "-> f32[..., si‸ze]", ["spec.bert: size: dim, gain: float = 2.0) {"]],
    ["a layer of the file", "3 of Tw‸ice", ["spec.bert: Twice(size: dim, gain: float = 2.0) {"]],
    [
      "a layer of the library",
      "wide = Lin‸ear",
      ["lib/layers.bert: Linear(in: dim, out: dim, with_bias: bool = true, std: float = 0.0) {"],
    ],
    ["an argument's name", "2 * n, ga‸in: 1.0", ["spec.bert: gain: float = 2.0) {"]],
    ["a setting", "n: wid‸th", ["spec.bert: width: int = 8  // of a word"]],
    ["a model", "train Sm‸all", ["spec.bert: Small = Chain(n: width)"]],
    [
      "a loss",
      "minimize  to‸tal",
      ["spec.bert: total = sum(last(concat([words, words], axis: -1))) + sum(weights)"],
    ],
    [
      "data",
      "CausalT‸ext",
      ["lib/data.bert: CausalText(batch: dim, max_len: dim, min_frequency: int = 5, vocab: int = 0,"],
    ],
    [
      "a setting of data",
      "batc‸h: 2",
      ["lib/data.bert: batch: dim, max_len: dim, min_frequency: int = 5, vocab: int = 0,"],
    ],
    ["an import", '"lib/b‸ert.bert"', ["lib/bert.bert: "]],
    ["a name in a message", "n is {‸n}", ["spec.bert: n: dim) {"]],
    ["a primitive", "ta‸nh", []],
    ["an optimizer", "ada‸mw", []],
  ])("finds %s", (_, at, wanted) => {
    const plain = at.replace("‸", "");
    expect(nested).toContain(plain);
    expect(targetsOf(nested.replace(plain, at))).toEqual(wanted);
  });

  it("finds a member of a sublayer, in every branch that declares it", () => {
    const text = nested.replace(
      "output encoded = words",
      "output encoded = words + sum(blocks[0].wide.wei‸ght)",
    );
    expect(targetsOf(text)).toEqual([
      "lib/layers.bert: weight: f32[in, out] = truncated_normal(std)",
      "lib/layers.bert: weight: f32[in, out] = glorot_uniform()",
    ]);
  });

  it("finds a function of the file before a primitive of its name", () => {
    const own = `${nested}fn tanh(x: f32[...]) -> f32[...] = x\n`;
    expect(targetsOf(own.replace("(tanh(", "(ta‸nh("))).toEqual([
      "spec.bert: tanh(x: f32[...]) -> f32[...] = x",
    ]);
  });

  it("works from a file of the library, as the spec sees it", () => {
    const text = libraryText("lib/bert.bert") ?? "";
    const [found] = definition(contextOf(nested), {
      file: "lib/bert.bert",
      offset: text.indexOf("EncoderBlock(") + 3,
    });
    expect(found).toMatchObject({ file: "lib/transformer.bert", shipped: true });
  });
});

describe("references", () => {
  it("finds all places of a name that stand for the same", () => {
    const offset = nested.indexOf("layer Twice(size") + "layer Twice(".length;
    const found = references(contextOf(nested), { file: root, offset });
    expect(found.every(({ start, end }) => nested.slice(start, end) === "size")).toBe(true);
    const layer = nested.slice(nested.indexOf("layer Twice"), nested.indexOf("model Chain"));
    expect(found.length).toBe(layer.match(/\bsize\b/g)?.length);
  });
});
