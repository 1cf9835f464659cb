import { describe, expect, test } from "vitest";
import { evaluate, isInteger, parse, print, verify } from "../../compiler/graph/index.ts";
import { allSamples, opNames, origin } from "./sample-graph.ts";
import { samples } from "./samples.ts";

describe("reference values", () => {
  test.each(opNames)("%s has a hand case", (op) => {
    expect(samples[op].some(({ gives }) => gives !== undefined)).toBe(true);
  });

  test.each(allSamples.filter(({ gives }) => gives !== undefined))("$title", ({ graph, leaves, gives }) => {
    const y = evaluate(graph, leaves).outputs.get("y")!;
    expect(y.data.length).toBe(gives!.length);
    // A float64 function of a correctly rounded argument: a few ULP of 2^-52.
    y.data.forEach((value, position) => {
      const due = gives![position]!;
      if (isInteger(y.dtype)) expect(value).toBe(due);
      else expect(Math.abs(value - due)).toBeLessThanOrEqual(1e-15 * Math.max(1, Math.abs(due)));
    });
  });
});

describe("every op", () => {
  test.each(allSamples)("$title verifies, prints and parses", ({ graph }) => {
    verify(graph);
    expect(parse(print(graph, { origins: true }), origin)).toEqual(graph);
    expect(parse(print(graph, { origins: false }), origin)).toEqual(graph);
  });
});
