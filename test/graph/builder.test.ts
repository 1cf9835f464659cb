import { describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, type Origin, print, tensor, verify } from "../../compiler/graph/index.ts";

const origin: Origin = { path: "encoder", at: "m.bert:1:1", label: "x", pass: "elaborate" };
const text = (b: GraphBuilder): string => print(b.build(), { origins: false });

describe("GraphBuilder", () => {
  test("shares equal nodes, whatever their origin; the first origin stays", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2]);
    const first = b.withOrigin({ label: "first" }, () => b.exp(x));
    const second = b.withOrigin({ label: "second", path: "decoder" }, () => b.exp(x));
    expect(second).toBe(first);
    expect(b.node(first).origin).toEqual({ ...origin, label: "first" });
    expect(b.origin).toEqual(origin);
  });

  test("tells apart what differs: dtype, sign of zero, order of operands, attributes", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2, 2]);
    const y = b.input("y", "f32", [2, 2]);
    const ids = [
      b.constant("f32", 0),
      b.constant("f32", -0),
      b.constant("i32", 0),
      b.sub(x, y),
      b.sub(y, x),
      b.sum(x, [0]),
      b.sum(x, [1]),
      b.state("x", "f32", [2, 2]),
      b.parameter("x", [2, 2]),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("the origin is put back when building throws", () => {
    const b = new GraphBuilder(origin);
    expect(() =>
      b.withOrigin({ label: "inner" }, () => {
        throw new Error("stop");
      }),
    ).toThrow("stop");
    expect(b.origin).toEqual(origin);
  });

  test("identity movements are their input", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2, 3]);
    const same = [
      b.reshape(x, [2, 3]),
      b.transpose(x, [0, 1]),
      b.broadcast(x, [2, 3], [0, 1]),
      b.broadcastTo(x, [2, 3]),
      b.slice(x, [0, 0], [2, 3]),
      b.pad(x, [0, 0], [0, 0]),
      b.concat([x], 0),
      b.cast(x, "f32"),
      b.sum(x, []),
      b.reduceMax(x, []),
    ];
    expect(same).toEqual(same.map(() => x));
  });

  test("a wrong identity is still an error", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2, 3]);
    expect(() => b.transpose(x, [0])).toThrow("is no permutation of the axes of f32[2, 3]");
    expect(() => b.slice(x, [0], [2, 3])).toThrow("is no box in f32[2, 3]");
    expect(() => b.pad(x, [0], [0])).toThrow("does not fit f32[2, 3]");
    expect(() => b.concat([x], 2)).toThrow("no axis 2");
  });

  test("broadcastTo follows NumPy", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2, 1, 3]);
    b.output("y", b.broadcastTo(x, [4, 2, 5, 3]));
    b.output("s", b.full("i32", 7, [2]));
    expect(text(b)).toBe(
      `%0 = input() dtype=f32 name=x shape=[2, 1, 3] : f32[2, 1, 3]
%1 = reshape(%0) shape=[2, 3] : f32[2, 3]
%2 = broadcast(%1) axes=[1, 3] shape=[4, 2, 5, 3] : f32[4, 2, 5, 3]
%3 = constant() dtype=i32 value=7 : i32[]
%4 = broadcast(%3) axes=[] shape=[2] : i32[2]
output y = %2
output s = %4
`,
    );
    expect(() => b.broadcastTo(x, [2, 2, 4])).toThrow("f32[2, 1, 3] does not broadcast to [2, 2, 4]");
    expect(() => b.broadcastTo(x, [3])).toThrow("does not broadcast");
    const [left, right] = b.broadcastTogether(x, b.input("y", "f32", [4, 1]));
    expect([b.shape(left), b.shape(right)]).toEqual([
      [2, 4, 3],
      [2, 4, 3],
    ]);
  });

  test("dead nodes go, ids close up", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2]);
    b.exp(b.input("unused", "f32", [2]));
    const y = b.neg(x);
    b.log(y);
    b.output("y", y);
    b.update("s", b.add(y, b.state("s", "f32", [2])));
    const graph = b.build();
    verify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["input", "neg", "state", "add"]);
    expect(graph.outputs).toEqual([{ name: "y", node: 1 }]);
    expect(graph.updates).toEqual([{ state: "s", node: 3 }]);
  });

  test("errors name op, operands and origin", () => {
    const b = new GraphBuilder(origin);
    const x = b.input("x", "f32", [2]);
    const y = b.input("y", "i32", [2]);
    expect(() => b.add(x, y)).toThrow(
      "add(f32[2], i32[2]): operands differ in dtype: f32[2] and i32[2] (encoder x, m.bert:1:1, made by elaborate)",
    );
    expect(() => b.neg(17)).toThrow("no node %17 in this builder (it has 2)");
  });

  test("import copies nodes with their origins and takes replacements", () => {
    const from = new GraphBuilder(origin);
    const w = from.parameter("w", [2]);
    from.output(
      "y",
      from.withOrigin({ label: "scaled" }, () => from.mul(w, from.input("x", "f32", [2]))),
    );
    const graph = from.build();

    const b = new GraphBuilder({ path: "", at: "", label: "step", pass: "training" });
    const piece = b.view(b.state("params", "f32", [5]), 3, [2]);
    const parameter = graph.nodes.find(({ op }) => op === "parameter")!;
    const ids = b.import(graph, new Map([[parameter.id, piece]]));
    const y = ids[graph.outputs[0]!.node]!;
    expect(b.node(y).origin).toEqual({ ...origin, label: "scaled" });
    b.output("y", y);
    const made = b.build();
    verify(made);
    expect(made.nodes.some(({ op }) => op === "parameter")).toBe(false);
    const { outputs } = evaluate(made, {
      states: new Map([["params", tensor({ dtype: "f32", shape: [5] }, [1, 2, 3, 4, 5])]]),
      inputs: new Map([["x", tensor({ dtype: "f32", shape: [2] }, [10, 100])]]),
    });
    expect([...outputs.get("y")!.data]).toEqual([40, 500]);
    expect(() => b.import(graph, new Map([[parameter.id, b.constant("f32", 1)]]))).toThrow(
      "%0 is f32[2], its replacement f32[]",
    );
  });
});
