import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { verify } from "../../compiler/graph/index.ts";
import { analyzeTexts, parameterCount, shipped } from "../semantics/check.ts";

/** The table of the reference (BERT pretraining, section 1, parameter counts). */
const counts: readonly (readonly [string, string, Readonly<Record<string, string>>, number])[] = [
  ["d2l small, 1000 positions, as published", "bert-small.bert", { max_positions: "1000" }, 5_632_546],
  ["d2l small, 64 positions", "bert-small.bert", {}, 5_512_738],
  [
    "d2l architecture at Base size",
    "bert-small.bert",
    { vocab: "30522", hidden: "768", ffn: "3072", heads: "12", layers: "12", max_positions: "512" },
    133_545_788,
  ],
  [
    "d2l architecture at Large size",
    "bert-small.bert",
    { vocab: "30522", hidden: "1024", ffn: "4096", heads: "16", layers: "24", max_positions: "512" },
    367_478_588,
  ],
  ["original Base", "bert-base.bert", {}, 110_106_428],
  ["original Large", "bert-large.bert", {}, 336_226_108],
  [
    "original layout at small size",
    "bert-base.bert",
    {
      vocab: "20256",
      hidden: "128",
      ffn: "256",
      heads: "2",
      layers: "2",
      max_positions: "64",
      max_len: "64",
    },
    2_920_226,
  ],
];

describe("parameter counts", () => {
  test.each(counts)("%s", (_, file, settings, count) => {
    const result = analyzeTexts({ "spec.bert": shipped(file) }, { settings });
    expect(renderDiagnostics(result.diagnostics, result.sources)).toBe("");
    expect(parameterCount(result)).toBe(count);
  });
});

const specs = ["bert-tiny.bert", "bert-small.bert", "bert-base.bert", "bert-large.bert", "gpt-small.bert"];

describe("shipped specs", () => {
  test.each(specs)("%s has no errors and elaborates in both modes", (file) => {
    const result = analyzeTexts({ "spec.bert": shipped(file) });
    expect(renderDiagnostics(result.diagnostics, result.sources)).toBe("");
    if (result.model === undefined) throw new Error("no model");
    const train = elaborate(result.model, "train");
    const evaluate = elaborate(result.model, "evaluate");
    verify(train.graph);
    verify(evaluate.graph);
    expect(evaluate.randomStreams).toBe(0);
    expect(evaluate.graph.nodes.some((n) => n.op === "random_key")).toBe(false);
    const drops = result.model.instructions.filter((i) => i.op === "drop").length;
    expect(train.randomStreams).toBe(drops);
    const names = result.model.parameters.map((p) => p.name);
    expect(new Set(names).size).toBe(names.length);
    for (const node of train.graph.nodes) expect(node.origin.at).toMatch(/^\S+\.bert:\d+:\d+$/);
  });

  test("names are those a person would give", () => {
    const { model } = analyzeTexts({ "spec.bert": shipped("bert-small.bert") });
    const names = model?.parameters.map((p) => p.name) ?? [];
    expect(names.filter((n) => !n.includes("blocks.1"))).toMatchInlineSnapshot(`
      [
        "encoder.token.weight",
        "encoder.segment.weight",
        "encoder.position.weight",
        "encoder.blocks.0.attention.query.weight",
        "encoder.blocks.0.attention.query.bias",
        "encoder.blocks.0.attention.key.weight",
        "encoder.blocks.0.attention.key.bias",
        "encoder.blocks.0.attention.value.weight",
        "encoder.blocks.0.attention.value.bias",
        "encoder.blocks.0.attention.output.weight",
        "encoder.blocks.0.attention.output.bias",
        "encoder.blocks.0.attention_norm.gamma",
        "encoder.blocks.0.attention_norm.beta",
        "encoder.blocks.0.feed_forward.inner.weight",
        "encoder.blocks.0.feed_forward.inner.bias",
        "encoder.blocks.0.feed_forward.outer.weight",
        "encoder.blocks.0.feed_forward.outer.bias",
        "encoder.blocks.0.output_norm.gamma",
        "encoder.blocks.0.output_norm.beta",
        "masked_lm.dense.weight",
        "masked_lm.dense.bias",
        "masked_lm.norm.gamma",
        "masked_lm.norm.beta",
        "masked_lm.decoder.weight",
        "masked_lm.decoder.bias",
        "pooler.dense.weight",
        "pooler.dense.bias",
        "next_sentence.classifier.weight",
        "next_sentence.classifier.bias",
      ]
    `);
  });

  test("the library beside a spec goes before the shipped one", () => {
    const own = "fn softmax(x: f32[...]) -> f32[...] = x";
    const { model } = analyzeTexts({ "spec.bert": shipped("gpt-small.bert"), "lib/math.bert": own });
    // Of the two maxima per block and the loss's one, only the shipped loss's own is left.
    const maxima = model?.instructions.filter((i) => i.op === "reduce" && i.fn === "max");
    expect(maxima?.map((i) => i.origin.at)).toEqual([expect.stringMatching(/^lib\/math\.bert/)]);
  });
});
