import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  GraphBuilder,
  type NodeId,
  type OpName,
  ops,
  range,
  tensor,
} from "../../compiler/graph/index.ts";
import { directionalDerivatives } from "../autodiff/check-gradient.ts";
import { randomNumbers } from "./draw.ts";
import { opNames, origin, type SampleGraph, sampleGraph } from "./sample-graph.ts";
import { type Sample, samples } from "./samples.ts";

/** Ops whose gradient is by definition not that of their value. */
const withoutSlope: readonly OpName[] = ["stop_gradient"];

/** `objective = sum(y * ct)` with a drawn `ct`, so that the gradients are the vjp of `ct`. */
function withGradients(b: GraphBuilder, operands: readonly NodeId[], y: NodeId): void {
  const shape = b.shape(y);
  const product = b.mul(y, b.input("ct", "f32", shape));
  const objective = b.sum(product, range(shape.length));
  b.output("objective", objective);
  const wrt = operands.filter((id) => b.dtype(id) === "f32");
  gradients(b, objective, wrt).forEach((slope, index) => {
    const node = b.node(wrt[index]!);
    if (node.op === "parameter") b.output(`gradient.${node.attrs.name}`, slope);
  });
}

/** Drawn samples with f32 operands and an f32 result. Hand cases may sit on a kink. */
function differentiableSamples<K extends OpName>(op: K): readonly SampleGraph[] {
  if (ops[op].vjp === "not differentiable") return [];
  const rows: readonly Sample<K>[] = samples[op];
  return rows.flatMap((sample, index) => {
    if (sample.gives !== undefined && op !== "cast") return [];
    const plain = sampleGraph(op, sample, index);
    const output = plain.graph.nodes[plain.graph.outputs[0]!.node]!;
    if (output.type.dtype !== "f32" || !plain.operands.some(({ dtype }) => dtype === "f32")) return [];
    const made = sampleGraph(op, sample, index, withGradients);
    const random = randomNumbers(1000 + index);
    const count = output.type.shape.reduce((total, size) => total * size, 1);
    const ct = tensor(
      output.type,
      Array.from({ length: count }, () => 2 * random() - 1),
    );
    const inputs = new Map([...(made.leaves.inputs ?? []), ["ct", ct] as const]);
    return [{ ...made, leaves: { ...made.leaves, inputs } }];
  });
}

const cases = opNames.flatMap((op) => differentiableSamples(op));
const covered = new Set(cases.map(({ op }) => op));

describe("gradients against central differences", () => {
  test.each(opNames.filter((op) => ops[op].vjp !== "not differentiable" && op !== "cast"))(
    "%s has a drawn f32 sample",
    (op) => {
      expect(covered.has(op)).toBe(true);
    },
  );

  test.each(cases.filter(({ op }) => !withoutSlope.includes(op)))("$title", ({ graph, leaves }) => {
    const wrt = graph.nodes.flatMap((node) => (node.op === "parameter" ? [node.attrs.name] : []));
    for (const seed of [1, 2, 3]) {
      const { gradient, difference, tolerance } = directionalDerivatives(graph, leaves, wrt, seed);
      expect(Math.abs(gradient - difference)).toBeLessThanOrEqual(tolerance);
    }
  });

  test("stop_gradient passes none", () => {
    const stopped = cases.filter(({ op }) => op === "stop_gradient");
    expect(stopped.length).toBeGreaterThan(0);
    for (const { graph, leaves } of stopped)
      expect(
        evaluate(graph, leaves)
          .outputs.get("gradient.x0")!
          .data.every((slope) => slope === 0),
      ).toBe(true);
  });
});

describe("gradients at kinks", () => {
  /** d sum(op(...)) by each f32 operand, at given values. */
  function slopes(build: (b: GraphBuilder, x: NodeId, y: NodeId) => NodeId, x: number[], y: number[]) {
    const b = new GraphBuilder(origin);
    const ids = [b.parameter("x", [x.length]), b.parameter("y", [y.length])] as const;
    const value = build(b, ...ids);
    const objective = b.sum(value, range(b.shape(value).length));
    gradients(b, objective, ids).forEach((slope, index) => {
      b.output(String(index), slope);
    });
    const type = (values: number[]) => ({ dtype: "f32", shape: [values.length] }) as const;
    const parameters = new Map([
      ["x", tensor(type(x), x)],
      ["y", tensor(type(y), y)],
    ]);
    const { outputs } = evaluate(b.build(), { parameters });
    return [[...outputs.get("0")!.data], [...outputs.get("1")!.data]];
  }

  test("equal operands of max and min share the cotangent", () => {
    expect(slopes((b, x, y) => b.max(x, y), [1, 2, 3], [1, 3, 2])).toEqual([
      [0.5, 0, 1],
      [0.5, 1, 0],
    ]);
    expect(slopes((b, x, y) => b.min(x, y), [1, 2, 3], [1, 3, 2])).toEqual([
      [0.5, 1, 0],
      [0.5, 0, 1],
    ]);
  });

  test("equal greatest elements of reduce_max share the cotangent", () => {
    expect(slopes((b, x) => b.reduceMax(x, [0]), [3, 1, 3, 2], [0])[0]).toEqual([0.5, 0, 0.5, 0]);
  });

  test("abs has slope 0 at 0", () => {
    expect(slopes((b, x) => b.abs(x), [0, -2, 2], [0])[0]).toEqual([0, -1, 1]);
  });

  test("pow at 0", () => {
    expect(slopes((b, x, y) => b.pow(x, y), [0, 0, 2], [2, 1, 2])).toEqual([
      [0, 1, 4],
      [0, 0, 4 * Math.LN2],
    ]);
  });
});
