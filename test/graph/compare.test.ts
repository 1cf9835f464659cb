import { describe, expect, test } from "vitest";
import { firstDifference, type Graph, GraphBuilder, type NodeId } from "../../compiler/graph/index.ts";

function graphOf(build: (b: GraphBuilder) => Readonly<Record<string, NodeId>>, at = ""): Graph {
  const b = new GraphBuilder({ path: "", at, label: "", pass: "test" });
  for (const [name, node] of Object.entries(build(b))) b.output(name, node);
  return b.build();
}

/** y = exp(x) * w + c, its nodes made in either order. */
const affine = (c: number, early: boolean, output: string) =>
  graphOf(
    (b) => {
      const w = early ? b.parameter("w", [3]) : undefined;
      const x = b.input("x", "f32", [3]);
      const product = b.mul(b.exp(x), w ?? b.parameter("w", [3]));
      return { [output]: b.add(product, b.full("f32", c, [3])) };
    },
    early ? "a:1:1" : "b:2:2",
  );

describe("graphs are compared by what they compute", () => {
  test("whatever their order, their origins and the names of outputs", () => {
    expect(firstDifference(affine(1, true, "y"), affine(1, false, "z"), ["y"])).toBeUndefined();
  });

  test("whatever else the other one computes; outputs that are not asked for count for nothing", () => {
    const two = graphOf((b) => {
      const x = b.input("x", "f32", [2]);
      return { y: b.exp(x), z: b.exp(b.exp(x)) };
    });
    const one = graphOf((b) => ({ y: b.exp(b.input("x", "f32", [2])) }));
    expect(firstDifference(one, two, ["y"])).toBeUndefined();
    expect(firstDifference(two, one, ["y"])).toBeUndefined();
    const difference = firstDifference(two, one, ["y", "z"]);
    expect([difference?.output, difference?.wanted.op, difference?.given]).toEqual(["z", "exp", undefined]);
  });

  test("and the first nodes that only one has are told", () => {
    const difference = firstDifference(affine(1, true, "y"), affine(2, false, "y"), ["y"]);
    expect(difference).toMatchObject({
      output: "y",
      wanted: { op: "constant", attrs: { value: 1 }, origin: { at: "a:1:1" } },
      given: { op: "constant", attrs: { value: 2 }, origin: { at: "b:2:2" } },
    });
  });

  test("sizes and names of inputs count", () => {
    const of = (name: string, size: number) => graphOf((b) => ({ y: b.exp(b.input(name, "f32", [size])) }));
    expect(firstDifference(of("x", 2), of("x", 2), ["y"])).toBeUndefined();
    expect(firstDifference(of("x", 2), of("x", 3), ["y"])?.given).toMatchObject({ op: "input" });
    expect(firstDifference(of("x", 2), of("z", 2), ["y"])?.wanted).toMatchObject({ attrs: { name: "x" } });
  });
});
