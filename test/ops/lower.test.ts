import { describe, expect, test } from "vitest";
import { evaluate, type NodeOf, type OpName, ops, type TensorType } from "../../compiler/graph/index.ts";
import type { Accessor, AxisExpr, Expr } from "../../compiler/kernel/index.ts";
import { interpret, UnrollingBuilder } from "./interpret.ts";
import { allSamples, opNames } from "./sample-graph.ts";

/** Ops that are buffers, or kernels of their own kind. */
const bySchedule: readonly OpName[] = [
  "input",
  "parameter",
  "state",
  "random_key",
  "scatter_add",
  "view",
  "pack",
];

/** The element at `at` of a node's output, from loads of its operands. */
function lowerNode<K extends OpName>(
  s: UnrollingBuilder,
  node: NodeOf<K>,
  types: readonly TensorType[],
  at: readonly Expr[],
): Expr {
  const { lower } = ops[node.op];
  if (lower === "by schedule") throw new Error(`${node.op} is lowered by the schedule`);
  const accessors = types.map(
    ({ dtype, shape }, tensor): Accessor =>
      (index) =>
        s.load(dtype, tensor, s.linearize(index, shape)),
  );
  return lower(s, accessors, at, node, types);
}

describe("lowering", () => {
  test("what has no scalar is known", () => {
    expect(opNames.filter((op) => ops[op].lower === "by schedule").sort()).toEqual([...bySchedule].sort());
  });

  test.each(allSamples.filter(({ op }) => !bySchedule.includes(op)))(
    "$title",
    ({ graph, leaves, operands }) => {
      const node = graph.nodes[graph.outputs[0]!.node]!;
      const due = evaluate(graph, leaves).outputs.get("y")!;
      const s = new UnrollingBuilder();
      const { shape, dtype } = node.type;
      const at = shape.map((size, axis): AxisExpr => s.axis(`i${axis}`, size));

      const element = lowerNode(s, node, operands, at);
      expect(element.dtype).toBe(dtype);
      due.data.forEach((value, position) => {
        let rest = position;
        const axes = new Map<Expr, number>();
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          axes.set(at[axis]!, rest % shape[axis]!);
          rest = Math.floor(rest / shape[axis]!);
        }
        const got = interpret(element, operands, axes);
        // The interpreter's own formulas (exp for tanh and pow, quadrature for erf) cost a few digits of float64.
        if (dtype === "f32")
          expect(Math.abs(got - value)).toBeLessThanOrEqual(1e-11 * Math.max(1, Math.abs(value)));
        else expect(got).toBe(value);
      });
    },
  );
});
