import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  GraphBuilder,
  type NodeId,
  type Origin,
  ops,
  print,
  tensor,
  verify,
} from "../../compiler/graph/index.ts";
import { buildRandomGraph, graphNumbers } from "../graph/random-graph.ts";
import { directionalDerivatives } from "./check-gradient.ts";

const origin: Origin = { path: "head", at: "m.bert:3:5", label: "loss", pass: "elaborate" };

/** Adds an output `gradient.<name>` for each parameter. */
function withGradients(b: GraphBuilder, objective: NodeId, parameters: readonly NodeId[]): void {
  gradients(b, objective, parameters).forEach((slope, index) => {
    const node = b.node(parameters[index]!);
    if (node.op === "parameter") b.output(`gradient.${node.attrs.name}`, slope);
  });
}

describe("gradients of random graphs", () => {
  test("agree with central differences", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(graphNumbers, (numbers) => {
        const { graph, leaves } = buildRandomGraph(numbers, withGradients);
        verify(graph, "autodiff");
        for (const { op, origin } of graph.nodes) if (origin.pass !== "autodiff") seen.add(op);
        const { gradient, difference, tolerance } = directionalDerivatives(
          graph,
          leaves,
          [...(leaves.parameters?.keys() ?? [])],
          numbers.length,
        );
        expect(Math.abs(gradient - difference)).toBeLessThanOrEqual(tolerance);
      }),
      { numRuns: 150, seed: 1 },
    );
    // What the steps can make was made: else the property says less than it seems to.
    const smooth = Object.entries(ops).filter(([, { vjp }]) => vjp !== "not differentiable");
    const left = smooth.map(([op]) => op).filter((op) => !seen.has(op));
    expect(left.sort()).toEqual(["abs", "barrier", "cast", "floor", "max", "min", "mod", "reduce_max"]);
  });

  test("are the same graph each time", () => {
    fc.assert(
      fc.property(graphNumbers, (numbers) => {
        const build = () => print(buildRandomGraph(numbers, withGradients).graph, { origins: true });
        expect(build()).toBe(build());
      }),
      { numRuns: 30, seed: 2 },
    );
  });
});

describe("gradients", () => {
  test("of softmax cross entropy are softmax minus one-hot", () => {
    const b = new GraphBuilder(origin);
    const [batch, classes] = [2, 3];
    const logits = b.parameter("logits", [batch, classes]);
    const labels = b.input("labels", "i32", [batch]);
    const over = (x: NodeId) => b.broadcast(x, [batch, classes], [0]);
    const shifted = b.sub(logits, over(b.stopGradient(b.reduceMax(logits, [1]))));
    const logSum = b.log(b.sum(b.exp(shifted), [1]));
    const hit = b.cast(b.eq(b.iota([batch, classes], 1), over(labels)), "f32");
    const objective = b.sum(b.sub(logSum, b.sum(b.mul(shifted, hit), [1])), [0]);
    b.output("d", gradients(b, objective, [logits])[0]!);
    const graph = b.build();
    verify(graph, "autodiff");
    const values = [1, 2, 3, 0.5, 0.5, -1];
    const { outputs } = evaluate(graph, {
      parameters: new Map([["logits", tensor({ dtype: "f32", shape: [batch, classes] }, values)]]),
      inputs: new Map([["labels", tensor({ dtype: "i32", shape: [batch] }, [2, 0])]]),
    });
    const softmax = (row: readonly number[]) => {
      const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
      return row.map((x) => Math.exp(x) / total);
    };
    const due = [...softmax(values.slice(0, 3)), ...softmax(values.slice(3))];
    due[2]! -= 1;
    due[3]! -= 1;
    outputs.get("d")!.data.forEach((slope, index) => {
      expect(slope).toBeCloseTo(due[index]!, 14);
    });
  });

  test("are built from the backward of each node, with its origin", () => {
    const b = new GraphBuilder(origin);
    const x = b.withOrigin({ label: "x" }, () => b.parameter("x", [2]));
    const w = b.withOrigin({ label: "w" }, () => b.parameter("w", [2]));
    const y = b.withOrigin({ label: "scores", at: "m.bert:9:1" }, () => b.mul(x, w));
    const objective = b.sum(y, [0]);
    gradients(b, objective, [x, w]).forEach((slope, index) => {
      b.output(`d${index}`, slope);
    });
    expect(print(b.build(), { origins: true })).toBe(
      `%0 = parameter() name=x shape=[2] : f32[2]  # elaborate head x m.bert:3:5
%1 = parameter() name=w shape=[2] : f32[2]  # elaborate head w m.bert:3:5
%2 = constant() dtype=f32 value=1 : f32[]  # autodiff head d_loss m.bert:3:5
%3 = broadcast(%2) axes=[] shape=[2] : f32[2]  # autodiff head d_loss m.bert:3:5
%4 = mul(%3, %1) : f32[2]  # autodiff head d_scores m.bert:9:1
%5 = mul(%3, %0) : f32[2]  # autodiff head d_scores m.bert:9:1
output d0 = %4
output d1 = %5
`,
    );
  });

  test("are zeros where nothing depends, or only what has no slope", () => {
    const b = new GraphBuilder(origin);
    const used = b.parameter("used", [2]);
    const unused = b.parameter("unused", [3]);
    const stopped = b.parameter("stopped", [2]);
    const rounded = b.parameter("rounded", [2]);
    const throughIntegers = b.parameter("throughIntegers", [2]);
    const terms = [
      used,
      b.stopGradient(stopped),
      b.floor(rounded),
      b.cast(b.cast(throughIntegers, "i32"), "f32"),
      b.cast(b.lt(throughIntegers, used), "f32"),
    ];
    const objective = b.sum(
      terms.reduce((x, y) => b.add(x, y)),
      [0],
    );
    const later = b.exp(used);
    const wrt = [used, unused, stopped, rounded, throughIntegers, later];
    gradients(b, objective, wrt).forEach((slope, index) => {
      expect(b.type(slope)).toEqual(b.type(wrt[index]!));
      b.output(String(index), slope);
    });
    const names = ["used", "unused", "stopped", "rounded", "throughIntegers"];
    const parameters = new Map(
      names.map((name) => {
        const shape = name === "unused" ? [3] : [2];
        return [name, tensor({ dtype: "f32", shape }, new Array(shape[0]).fill(0.5))];
      }),
    );
    const { outputs } = evaluate(b.build(), { parameters });
    expect([...outputs.values()].map(({ data }) => [...data])).toEqual([
      [1, 1],
      [0, 0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test("with respect to a node in the middle, and to the objective itself", () => {
    const b = new GraphBuilder(origin);
    const x = b.parameter("x", []);
    const squared = b.mul(x, x);
    const objective = b.mul(squared, squared);
    const slopes = gradients(b, objective, [x, squared, objective]);
    slopes.forEach((slope, index) => {
      b.output(String(index), slope);
    });
    const parameters = new Map([["x", tensor({ dtype: "f32", shape: [] }, [3])]]);
    const { outputs } = evaluate(b.build(), { parameters });
    // d x^4 / dx = 4 x^3; d s^2 / ds = 2 s with s = x^2
    expect([...outputs.values()].map(({ data }) => data[0])).toEqual([108, 18, 1]);
  });

  test("of gradients: second derivatives", () => {
    const b = new GraphBuilder(origin);
    const x = b.parameter("x", []);
    const objective = b.sin(b.mul(x, x));
    const [first] = gradients(b, objective, [x]);
    const [second] = gradients(b, first!, [x]);
    b.output("second", second!);
    const parameters = new Map([["x", tensor({ dtype: "f32", shape: [] }, [0.7])]]);
    const { outputs } = evaluate(b.build(), { parameters });
    // 2 cos(x^2) - 4 x^2 sin(x^2)
    expect(outputs.get("second")!.data[0]).toBeCloseTo(2 * Math.cos(0.49) - 4 * 0.49 * Math.sin(0.49), 14);
  });

  test("refuse what cannot be differentiated", () => {
    const b = new GraphBuilder(origin);
    const state = b.state("flat", "f32", [4]);
    const objective = b.sum(b.view(state, 1, [2]), [0]);
    expect(() => gradients(b, objective, [state])).toThrow("view is not differentiable");
    expect(() => gradients(b, state, [state])).toThrow("the objective must be an f32 scalar");
    const index = b.input("index", "i32", []);
    expect(() => gradients(b, objective, [index])).toThrow("it is not f32");
    // Behind stop_gradient nothing passes, so nothing is refused.
    const stopped = b.sum(b.stopGradient(b.view(state, 1, [2])), [0]);
    expect(b.type(gradients(b, stopped, [state])[0]!)).toEqual({ dtype: "f32", shape: [4] });
    // A view is a fine leaf: nothing passes through it.
    const piece = b.view(state, 1, [2]);
    expect(b.type(gradients(b, objective, [piece])[0]!)).toEqual({ dtype: "f32", shape: [2] });
  });
});
