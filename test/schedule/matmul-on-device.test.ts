import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, type Leaves, tensor } from "../../compiler/graph/index.ts";
import { defaultGpuProfile, type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of at most 70 products of numbers in [-1, 1]: an error of about 70 ULP of the largest partial sum. */
const TOLERANCE = 1e-5;

type Layout = "nn" | "nt" | "tn" | "tt";

/** relu(lhs @ rhs + bias) * residual over a batch, with either operand transposed. */
function graphOf(batch: number, m: number, n: number, k: number, layout: Layout) {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const [B, M, N, K] = [0, 1, 2, 3];
  const lhsLabels = layout[0] === "n" ? [B, M, K] : [B, K, M];
  const rhsLabels = layout[1] === "n" ? [B, K, N] : [B, N, K];
  const size = [batch, m, n, k];
  const shapes = {
    lhs: lhsLabels.map((l) => size[l]!),
    rhs: rhsLabels.map((l) => size[l]!),
    bias: [n],
    residual: [batch, m, n],
  };
  const lhs = b.parameter("lhs", shapes.lhs);
  const rhs = b.parameter("rhs", shapes.rhs);
  const bias = b.parameter("bias", shapes.bias);
  const residual = b.parameter("residual", shapes.residual);
  const product = b.einsum(lhs, rhs, { lhs: lhsLabels, rhs: rhsLabels, out: [B, M, N] });
  const shifted = b.add(product, b.broadcast(bias, [batch, m, n], [2]));
  const activated = b.max(shifted, b.full("f32", 0, [batch, m, n]));
  b.output("y", b.mul(activated, residual));
  b.output("inner", shifted);
  const random = randomNumbers(m * 31 + n * 7 + k);
  const parameters = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((a, s) => a * s, 1);
      const elements = Array.from({ length: count }, () => 2 * random() - 1);
      return [name, tensor({ dtype: "f32", shape }, elements)] as const;
    }),
  );
  const leaves: Leaves = { parameters };
  return { graph: b.build(), leaves };
}

describe("tiled matmuls with an epilogue", () => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    // The tiles of a GPU, on the same device: slow there, but they must be right.
    gpu = { ...software, profile: { ...software.profile, deviceClass: defaultGpuProfile.deviceClass } };
  });
  afterAll(() => software.close());

  // One size varies at a time, on both sides of the tile sizes and of multiples of four: small tiles and large ones.
  const vary = (batch: number, sizes: readonly number[], m: number, n: number, k: number) =>
    sizes.flatMap((size) => [
      [batch, size, n, k],
      [batch, m, size, k],
      [batch, m, n, size],
    ]);
  const cases = [...vary(2, [4, 5, 8, 17, 33], 8, 16, 12), ...vary(2, [61, 64, 132], 64, 128, 128)];
  const layouts: readonly Layout[] = ["nn", "nt", "tn", "tt"];
  test.each(layouts)("%s, fused, every size, both classes of tiles", async (layout) => {
    for (const [batch, m, n, k] of cases) {
      const { graph, leaves } = graphOf(batch!, m!, n!, k!, layout);
      const expected = evaluate(graph, leaves);
      for (const kiln of [software, gpu]) {
        const actual = await runOnDevice(graph, leaves, kiln, true);
        expect(actual.program.entries.evaluate!.steps.length).toBe(1);
        for (const [name, value] of expected.outputs) {
          const error = relativeError(actual.outputs.get(name)!, value);
          expect(error, `${name} of ${[batch, m, n, k].join(" x ")}`).toBeLessThanOrEqual(TOLERANCE);
        }
      }
    }
  });

  test.each(["i32", "u32"] as const)("%s, exactly", async (dtype) => {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const x = b.input("x", dtype, [8, 64]);
    b.output("y", b.einsum(x, x, { lhs: [0, 2], rhs: [1, 2], out: [0, 1] }));
    const graph = b.build();
    const random = randomNumbers(5);
    const values = Array.from({ length: 512 }, () => Math.floor(100 * random()));
    const leaves: Leaves = { inputs: new Map([["x", tensor({ dtype, shape: [8, 64] }, values)]]) };
    const { outputs } = await runOnDevice(graph, leaves, gpu, true);
    expect([...outputs.get("y")!.data]).toEqual([...evaluate(graph, leaves).outputs.get("y")!.data]);
  });
});
