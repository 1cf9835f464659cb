import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, tensor } from "../../compiler/graph/index.ts";
import { partsOf } from "../../compiler/kernel/index.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of at most 96 products of numbers in [-1, 1]. */
const TOLERANCE = 1e-5;

/** The gradients of y = x @ w + b by w and b: xᵀ dy, and dy summed over the rows. */
function graphOf(rows: readonly number[], inSize: number, outSize: number) {
  const b = new GraphBuilder({ path: "", at: "", label: "g", pass: "test" });
  const x = b.parameter("x", [...rows, inSize]);
  const dy = b.parameter("dy", [...rows, outSize]);
  const k = rows.map((_, i) => i);
  b.output("db", b.sum(dy, k));
  b.output("dw", b.einsum(x, dy, { lhs: [...k, 10], rhs: [...k, 11], out: [10, 11] }));
  const random = randomNumbers(inSize + outSize);
  const draw = (shape: readonly number[]) => {
    const count = shape.reduce((a, size) => a * size, 1);
    return tensor(
      { dtype: "f32", shape },
      Array.from({ length: count }, () => 2 * random() - 1),
    );
  };
  const parameters = new Map([
    ["x", draw([...rows, inSize])],
    ["dy", draw([...rows, outSize])],
  ]);
  return { graph: b.build(), leaves: { parameters } };
}

describe("a bias gradient is summed inside the matmul of the weight's", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const cases = [
    [[3, 4], 8, 16],
    [[2, 5], 5, 7],
    [[4, 24], 64, 130],
    [[96], 132, 128],
  ] as const;
  test.each(cases)("%j rows, %i to %i", async (rows, inSize, outSize) => {
    for (const deviceClass of ["software", "gpu"] as const) {
      const { graph, leaves } = graphOf(rows, inSize, outSize);
      const device = { ...kiln, profile: { ...kiln.profile, deviceClass } };
      const actual = await runOnDevice(graph, leaves, device, true);
      expect(actual.program.entries.evaluate!.steps.length).toBe(1);
      for (const [name, value] of evaluate(graph, leaves).outputs) {
        expect(relativeError(actual.outputs.get(name)!, value), name).toBeLessThanOrEqual(TOLERANCE);
      }
    }
  });

  test("a sum over other axes, or of another operand, stays apart", async () => {
    const b = new GraphBuilder({ path: "", at: "", label: "g", pass: "test" });
    const x = b.parameter("x", [8, 4, 12]);
    const dy = b.parameter("dy", [8, 4, 16]);
    b.output("half", b.sum(dy, [0]));
    b.output("left", b.sum(x, [0, 1]));
    b.output("dw", b.einsum(x, dy, { lhs: [0, 1, 2], rhs: [0, 1, 3], out: [2, 3] }));
    const graph = b.build();
    const random = randomNumbers(5);
    const draw = (shape: readonly number[]) =>
      tensor({ dtype: "f32", shape }, Array.from({ length: shape[0]! * shape[1]! * shape[2]! }, random));
    const leaves = {
      parameters: new Map([
        ["x", draw([8, 4, 12])],
        ["dy", draw([8, 4, 16])],
      ]),
    };
    const actual = await runOnDevice(graph, leaves, kiln, true);
    const kernels = schedule(graph, kiln.profile, { fuse: true }).steps.flatMap((step) =>
      step.kind === "dispatch" ? partsOf(step.kernel) : [],
    );
    expect(kernels.map((kernel) => kernel.kind).sort()).toEqual(["matmul", "row", "row"]);
    for (const kernel of kernels) if (kernel.kind === "matmul") expect(kernel.rhsSum).toBeUndefined();
    for (const [name, value] of evaluate(graph, leaves).outputs) {
      expect(relativeError(actual.outputs.get(name)!, value), name).toBeLessThanOrEqual(TOLERANCE);
    }
  });
});
