import { describe, expect, test } from "vitest";
import {
  evaluate,
  evaluateNodes,
  GraphBuilder,
  type Origin,
  parse,
  type Shape,
  tensor,
} from "../../compiler/graph/index.ts";

const origin: Origin = { path: "encoder", at: "m.bert:2:3", label: "h", pass: "test" };
const f32 = (shape: Shape, values: readonly number[]) => tensor({ dtype: "f32", shape }, values);

describe("evaluate", () => {
  test("reads leaves, gives outputs and updates; all reads of a state see the old value", () => {
    const b = new GraphBuilder(origin);
    const count = b.state("count", "i32", [1]);
    const next = b.add(count, b.full("i32", 1, [1]));
    b.update("count", next);
    b.output("before", count);
    b.output("after", next);
    const { outputs, updates } = evaluate(b.build(), {
      states: new Map([["count", tensor({ dtype: "i32", shape: [1] }, [41])]]),
    });
    expect(outputs.get("before")!.data[0]).toBe(41);
    expect(outputs.get("after")!.data[0]).toBe(42);
    expect([...updates.keys()]).toEqual(["count"]);
    expect(updates.get("count")!.data[0]).toBe(42);
  });

  test("keeps f32 in float64: nothing rounds", () => {
    const b = new GraphBuilder(origin);
    const x = b.constant("f32", 0.1);
    b.output("y", b.add(x, b.constant("f32", 0.2)));
    expect(evaluate(b.build(), {}).outputs.get("y")!.data[0]).toBe(0.1 + 0.2);
  });

  test("evaluateNodes gives the value of every node, evaluate the same outputs", () => {
    const text = `
      %0 = input() dtype=f32 name=x shape=[2, 2] : f32[2, 2]
      %1 = transpose(%0) perm=[1, 0] : f32[2, 2]
      %2 = einsum(%0, %1) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[2, 2]
      %3 = sum(%0) axes=[0, 1] : f32[]
      output gram = %2
      output x = %0`;
    const graph = parse(text, origin);
    const leaves = { inputs: new Map([["x", f32([2, 2], [1, 2, 3, 4])]]) };
    const values = evaluateNodes(graph, leaves).map(({ data }) => [...data]);
    expect(values).toEqual([[1, 2, 3, 4], [1, 3, 2, 4], [5, 11, 11, 25], [10]]);
    const { outputs } = evaluate(graph, leaves);
    expect([...outputs].map(([name, { data }]) => [name, ...data])).toEqual([
      ["gram", 5, 11, 11, 25],
      ["x", 1, 2, 3, 4],
    ]);
  });

  test("says which leaf is missing or wrong, which index is out of range, and where from", () => {
    const b = new GraphBuilder(origin);
    const table = b.parameter("table", [3, 2]);
    b.output("y", b.take(table, b.input("ids", "i32", [2])));
    const graph = b.build();
    const parameters = new Map([["table", f32([3, 2], [1, 2, 3, 4, 5, 6])]]);
    const ids = (values: readonly number[]) =>
      new Map([["ids", tensor({ dtype: "i32", shape: [2] }, values)]]);
    expect(() => evaluate(graph, { parameters })).toThrow(
      "%1 = input: no value for input ids (encoder h, m.bert:2:3, made by test)",
    );
    expect(() => evaluate(graph, { parameters, inputs: new Map([["ids", f32([2], [0, 1])]]) })).toThrow(
      "input ids is i32[2], its value f32[2]",
    );
    expect(() => evaluate(graph, { parameters, inputs: ids([0, 3]) })).toThrow(
      "%2 = take: index 3 of 3 rows",
    );
    expect(() => evaluate(graph, { parameters, inputs: ids([-1, 0]) })).toThrow("index -1 of 3 rows");
    const scattered = new GraphBuilder(origin);
    scattered.output(
      "y",
      scattered.scatterAdd(scattered.full("f32", 1, [1]), scattered.full("i32", 4, [1]), 4),
    );
    expect(() => evaluate(scattered.build(), {})).toThrow("scatter_add: index 4 of 4 rows");
    const key = new GraphBuilder(origin);
    key.output("y", key.uniform(key.randomKey(0), [2]));
    expect(() => evaluate(key.build(), {})).toThrow("no keys for random streams");
  });

  test("a tensor has the elements of its shape", () => {
    expect(() => f32([2, 2], [1, 2, 3])).toThrow("3 elements for shape [2, 2]");
    expect([...tensor({ dtype: "u32", shape: [2] }, [-1, 2 ** 32]).data]).toEqual([4294967295, 0]);
  });
});
