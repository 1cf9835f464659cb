import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Graph, GraphBuilder, type Origin, parse, print, verify } from "../../compiler/graph/index.ts";
import { buildRandomGraph, graphNumbers } from "./random-graph.ts";

const origin: Origin = { path: "", at: "", label: "x", pass: "test" };

describe("print and parse", () => {
  test("parse(print(g)) is g for random graphs", () => {
    fc.assert(
      fc.property(graphNumbers, (numbers) => {
        const { graph } = buildRandomGraph(numbers);
        verify(graph);
        const text = print(graph, { origins: true });
        const read = parse(text, origin);
        expect(read).toEqual(graph);
        expect(print(read, { origins: true })).toBe(text);
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test("any names, origins and numbers come back", () => {
    const anyNumber = fc.double({ noNaN: true, noDefaultInfinity: true, min: -3e38, max: 3e38 });
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", minLength: 1 }),
        fc.record({
          path: fc.string({ unit: "binary" }),
          at: fc.string(),
          label: fc.string(),
          pass: fc.string(),
        }),
        anyNumber,
        (name, from, value) => {
          const b = new GraphBuilder(from);
          const x = b.input(name, "f32", []);
          b.output(name, b.add(x, b.constant("f32", value)));
          b.update(name, x);
          const graph: Graph = b.build();
          const read = parse(print(graph, { origins: true }), origin);
          expect(read).toEqual(graph);
          const constant = read.nodes.find((node) => node.op === "constant");
          expect(constant?.op === "constant" && Object.is(constant.attrs.value, value)).toBe(true);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  test("looks like this", () => {
    const b = new GraphBuilder({
      path: "encoder.norm",
      at: "lib/t.bert:12:9",
      label: "x",
      pass: "elaborate",
    });
    const x = b.input("x", "f32", [2, 3]);
    const mean = b.withOrigin({ label: "sum of x" }, () => b.sum(x, [1]));
    b.output(
      "loss.mlm",
      b.withOrigin({ at: "" }, () => b.mul(mean, b.full("f32", 1 / 4, [2]))),
    );
    const text = `%0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]  # elaborate encoder.norm x lib/t.bert:12:9
%1 = sum(%0) axes=[1] : f32[2]  # elaborate encoder.norm "sum of x" lib/t.bert:12:9
%2 = constant() dtype=f32 value=0.25 : f32[]  # elaborate encoder.norm x ""
%3 = broadcast(%2) axes=[] shape=[2] : f32[2]  # elaborate encoder.norm x ""
%4 = mul(%1, %3) : f32[2]  # elaborate encoder.norm x ""
output loss.mlm = %4
`;
    expect(print(b.build(), { origins: true })).toBe(text);
    expect(parse(`\n// a comment\n  ${text}\n`, origin)).toEqual(b.build());
  });

  test.each([
    ["%0 = frobnicate() : f32[]", "line 1, column 16: no op frobnicate"],
    ["%0 = constant() dtype=f32 : f32[]", "attribute value must be a number"],
    ["%0 = constant() dtype=f64 value=1 : f32[]", "no dtype f64"],
    ["%0 = reshape(%0) shape=3 : f32[3]", "attribute shape must be a list"],
    ["%0 = exp(%0 : f32[]", "expected )"],
    ["%0 = exp(%0) : f32[] junk", "expected the end of the line"],
    ["outputs y = %0", "expected a node, `output` or `update`, got outputs"],
    ['output "y = %0', "expected a word"],
    ['output "\\q" = %0', "expected a word"],
    ["output y = 0", "expected %"],
    ["%0 = exp", "expected ("],
  ])("%s", (line, message) => {
    expect(() => parse(line, origin)).toThrow(message);
  });
});
