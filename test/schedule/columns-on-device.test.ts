import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  tensor,
} from "../../compiler/graph/index.ts";
import {
  launchOf,
  type PartKernel,
  partsOf,
  type RowKernel,
  tensorsRead,
} from "../../compiler/kernel/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import type { DeviceProfile } from "../../compiler/program/index.ts";
import { type FusionRule, type KernelProblem, problemsOf, schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice, softwareProfile } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { greatestDifference, roundingBounds } from "./rounding.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

const gpuProfile: DeviceProfile = { ...softwareProfile, deviceClass: "gpu" };

/** Sums of a thousand sums of a few numbers, relative to the greatest, and two roots. */
const TOLERANCE = 2e-5;

type Norm = (b: GraphBuilder, x: NodeId) => NodeId;

function meanOf(b: GraphBuilder, x: NodeId): NodeId {
  const shape = b.shape(x);
  const last = shape.length - 1;
  const sum = b.sum(x, [last]);
  const mean = b.div(sum, b.fullLike(sum, shape[last]!));
  return b.broadcast(
    mean,
    shape,
    shape.slice(0, last).map((_, axis) => axis),
  );
}

function scaled(b: GraphBuilder, x: NodeId, name: string): NodeId {
  const shape = b.shape(x);
  const last = shape.length - 1;
  return b.broadcast(b.parameter(name, [shape[last]!]), shape, [last]);
}

const rmsNorm: Norm = (b, x) => {
  const square = meanOf(b, b.mul(x, x));
  return b.mul(b.mul(x, b.rsqrt(b.add(square, b.fullLike(square, 1e-5)))), scaled(b, x, "scale"));
};

const layerNorm: Norm = (b, x) => {
  const centered = b.sub(x, meanOf(b, x));
  return b.add(rmsNorm(b, centered), scaled(b, x, "shift"));
};

/** Post-norm: half of what a linear layer makes, and a bias, are added to what it was made of. */
const residualNorm: Norm = (b, x) => {
  const made = product(b, x, "before");
  return layerNorm(b, b.add(x, b.add(b.mul(made, b.fullLike(made, 0.5)), scaled(b, x, "bias"))));
};

function product(b: GraphBuilder, x: NodeId, name: string): NodeId {
  const shape = b.shape(x);
  const last = shape.length - 1;
  const weight = b.parameter(name, [shape[last]!, shape[last]!]);
  const rows = shape.slice(0, last).map((_, axis) => axis);
  return b.einsum(x, weight, { lhs: [...rows, 20], rhs: [20, 21], out: [...rows, 21] });
}

/**
 * A normalisation between two linear layers: what comes out of the second is squared, and the gradients of its mean by all
 * parameters are outputs. Between forward and backward stand contractions, as in a network.
 */
function graphOf(norm: Norm, shape: readonly number[]): Graph {
  return withGradients((b) => {
    const y = product(b, norm(b, product(b, b.parameter("x", shape), "first")), "last");
    return b.mul(y, y);
  });
}

/** A normalisation alone, weighted: all of its kernel is what a step has of it forward and backward. */
function normAlone(norm: Norm, shape: readonly number[]): Graph {
  return withGradients((b) => b.mul(norm(b, b.parameter("x", shape)), b.parameter("weight", shape)));
}

/** The gradients of the mean of what is made, by all parameters. */
function withGradients(make: (b: GraphBuilder) => NodeId): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const made = make(b);
  const shape = b.shape(made);
  const weighted = b.mul(made, b.fullLike(made, 1 / shape.reduce((n, size) => n * size, 1)));
  const objective = b.sum(
    weighted,
    shape.map((_, axis) => axis),
  );
  const parameters: NodeId[] = [];
  for (let id = 0; id <= objective; id++) if (b.node(id).op === "parameter") parameters.push(id);
  const derived = gradients(b, objective, parameters);
  parameters.forEach((id, i) => {
    const node = b.node(id);
    if (node.op === "parameter") b.output(`d_${node.attrs.name}`, derived[i]!);
  });
  return optimize(b.build());
}

function leavesOf(graph: Graph, seed: number): Leaves {
  const random = randomNumbers(seed);
  const draw = (shape: readonly number[], size: number) =>
    tensor(
      { dtype: "f32", shape },
      Array.from({ length: shape.reduce((n, extent) => n * extent, 1) }, () => size * (2 * random() - 1)),
    );
  const parameters = graph.nodes.flatMap((node) =>
    node.op === "parameter"
      ? [[node.attrs.name, draw(node.type.shape, 1 / Math.sqrt(node.type.shape[0]!))] as const]
      : [],
  );
  return { parameters: new Map(parameters) };
}

function kernelsOf(
  graph: Graph,
  profile: DeviceProfile,
  without: readonly FusionRule[] = [],
): readonly PartKernel[] {
  return schedule(graph, profile, { fuse: true, without }).steps.flatMap((step) =>
    step.kind === "dispatch" ? partsOf(step.kernel) : [],
  );
}

function problemsIn(graph: Graph, profile: DeviceProfile): readonly KernelProblem[] {
  return schedule(graph, profile, { fuse: true }).steps.flatMap((step) =>
    step.kind === "dispatch" ? problemsOf(step.kernel, profile) : [],
  );
}

function isBlocked(kernel: PartKernel): boolean {
  return kernel.kind === "row" && kernel.blocks !== undefined;
}

function blockedOf(kernels: readonly PartKernel[]): readonly RowKernel[] {
  return kernels.flatMap((kernel) => (kernel.kind === "row" && kernel.blocks !== undefined ? [kernel] : []));
}

/** How often kernels other than contractions read a tensor of `count` elements. */
function fullReads(kernels: readonly PartKernel[], count: number): number {
  return kernels
    .filter((kernel) => kernel.kind !== "matmul")
    .reduce((n, kernel) => {
      const read = tensorsRead(kernel);
      return n + kernel.tensors.filter((t) => read.has(t.tensor) && t.elementCount === count).length;
    }, 0);
}

describe("sums down columns that a kernel of rows takes on its way", () => {
  let software: KilnDevice;
  let gpu: KilnDevice;
  let gpuWithoutSubgroups: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
    const { subgroupSizes: _, ...others } = software.profile;
    gpu = { ...software, profile: { ...software.profile, deviceClass: "gpu" } };
    gpuWithoutSubgroups = { ...software, profile: { ...others, deviceClass: "gpu" } };
  });
  afterAll(() => software.close());

  const norms = [
    ["layer norm", layerNorm],
    ["RMS norm", rmsNorm],
    ["norm with a residual", residualNorm],
  ] as const;

  describe.each(norms)("%s", (_name, norm) => {
    test.each([
      // 64 blocks of 8 rows.
      [[512, 8], 8],
      // The last block has 13 rows of 15; rows are no multiple of four long.
      [[1003, 13], 15],
      // Rows of two axes, the longest blocks.
      [[11, 200, 20], 32],
    ] as const)("%j on a processor, against the reference", async (shape, rows) => {
      const graph = graphOf(norm, shape);
      const leaves = leavesOf(graph, shape.length + rows);
      expect(blockedOf(kernelsOf(graph, software.profile)).map(({ blocks }) => blocks!.rows)).toEqual([rows]);
      await expectRight(graph, leaves, software);
    });
  });

  // 1,027 blocks of 8 rows, of which the last has one; 66 columns are no multiple of four.
  test("rows that several invocations share, in every way in which they can", async () => {
    const graph = normAlone(layerNorm, [8209, 66]);
    const leaves = leavesOf(graph, 3);
    const expected = evaluate(graph, leaves).outputs;
    const problems = problemsIn(graph, gpu.profile);
    const { key, kernel, chosen, variants } = problems.find((problem) => isBlocked(problem.kernel))!;
    expect(chosen).toBe("128 invocations a row joined in subgroups, workgroups of 128");
    expect(launchOf(kernel).workgroups).toBe(1027);
    // With 32 invocations each has more than one column and sums them where they are stored, so does one alone.
    const some = variants.filter((variant) => variant === chosen || /^(1|32|128) invocations/.test(variant));
    expect(some.length).toBeGreaterThanOrEqual(6);
    for (const variant of some) {
      const actual = await runOnDevice(graph, leaves, gpu, true, [], { [key]: variant });
      for (const [name, value] of expected)
        expect(relativeError(actual.outputs.get(name)!, value), `${name}, ${variant}`).toBeLessThan(
          TOLERANCE,
        );
    }
  });

  test("RMS norm of four columns at a time, without subgroups", async () => {
    const graph = normAlone(rmsNorm, [8200, 64]);
    const leaves = leavesOf(graph, 4);
    expect(blockedOf(kernelsOf(graph, gpuWithoutSubgroups.profile)).map(({ vector }) => vector)).toEqual([
      "inner",
    ]);
    const actual = await runOnDevice(graph, leaves, gpuWithoutSubgroups, true);
    for (const [name, value] of evaluate(graph, leaves).outputs)
      expect(relativeError(actual.outputs.get(name)!, value), name).toBeLessThan(TOLERANCE);
  });

  test("the same numbers give the same bits, every time", async () => {
    const graph = graphOf(residualNorm, [1003, 13]);
    const leaves = leavesOf(graph, 1);
    const runs = [
      await runOnDevice(graph, leaves, software, true),
      await runOnDevice(graph, leaves, software, true),
    ];
    for (const [name, value] of runs[0]!.outputs)
      expect([...runs[1]!.outputs.get(name)!.data], name).toEqual([...value.data]);
  });

  test("random sums of rows and columns of what is made of them", { timeout: 120_000 }, async () => {
    let blocked = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 4, maxLength: 24 }),
        fc.nat(40),
        async (numbers, more) => {
          const graph = optimize(randomRows(numbers, [512 + more, 5 + (more % 8)]));
          const leaves = leavesOf(graph, more);
          blocked += blockedOf(kernelsOf(graph, software.profile)).length;
          await expectRight(graph, leaves, software, ["fused"]);
        },
      ),
      { numRuns: 25, seed: 3, endOnFailure: true },
    );
    expect(blocked).toBeGreaterThan(5);
  });
});

/** Sums along rows and down columns of a few tensors, what is made of both, and what is made of that: each draw is a step. */
function randomRows(numbers: readonly number[], shape: readonly [number, number]): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "r", pass: "test" });
  const [rows, length] = shape;
  const full = [b.parameter("x", shape), b.parameter("y", shape)];
  let outputs = 0;
  for (const number of numbers) {
    const [kind, i, j] = [number % 7, (number >> 3) % full.length, (number >> 6) % full.length];
    const [one, other] = [full[i]!, full[j]!];
    const product = b.mul(one, other);
    if (kind < 2) full.push(b.add(product, one));
    else if (kind < 4) {
      const row = b.div(b.sum(product, [1]), b.full("f32", length, [rows]));
      full.push(b.sub(one, b.broadcast(row, shape, [0])));
    } else if (kind === 4) {
      const column = b.div(b.sum(product, [0]), b.full("f32", rows, [length]));
      full.push(b.sub(one, b.broadcast(column, shape, [1])));
    } else {
      b.output(`columns_${outputs++}`, b.sum(product, [0]));
      if (kind === 5) b.output(`full_${outputs}`, one);
    }
  }
  b.output("last", b.sum(full.at(-1)!, [0]));
  return b.build();
}

/** Fused, without the rule and one op a kernel, against the float64 reference. */
async function expectRight(
  graph: Graph,
  leaves: Leaves,
  kiln: KilnDevice,
  ways: readonly ("fused" | "without the rule" | "unfused")[] = ["fused", "without the rule", "unfused"],
): Promise<void> {
  const expected = evaluate(graph, leaves).outputs;
  const bounds = roundingBounds(graph, leaves);
  for (const way of ways) {
    const without: readonly FusionRule[] = way === "without the rule" ? ["columns"] : [];
    const actual = await runOnDevice(graph, leaves, kiln, way !== "unfused", without);
    for (const [name, value] of expected) {
      const difference = greatestDifference(actual.outputs.get(name)!, value);
      expect(difference, `${name}, ${way}`).toBeLessThanOrEqual(bounds.get(name)!);
    }
  }
}

describe("the plan of sums down columns", () => {
  test.each([
    // Forward reads what is normalised, backward that and the gradient; a second kernel would read both again.
    ["layer norm", layerNorm, 3, 5],
    ["RMS norm", rmsNorm, 3, 5],
  ] as const)("%s reads its inputs once", (_name, norm, withRule, withoutRule) => {
    for (const [profile, shape] of [
      [softwareProfile, [1024, 128]],
      [gpuProfile, [4096, 128]],
    ] as const) {
      const graph = graphOf(norm, shape);
      const count = shape[0] * shape[1];
      const kernels = kernelsOf(graph, profile);
      expect(fullReads(kernels, count)).toBe(withRule);
      expect(blockedOf(kernels).length).toBe(1);
      expect(blockedOf(kernels)[0]!.rules).toContain("columns");
      const without = kernelsOf(graph, profile, ["columns"]);
      expect(fullReads(without, count)).toBe(withoutRule);
      expect(blockedOf(without)).toEqual([]);
    }
  });

  test("the gradient of a bias before the norm is summed there too, and one kernel adds the blocks of all", () => {
    const kernels = kernelsOf(graphOf(residualNorm, [1024, 128]), softwareProfile);
    const [norm] = blockedOf(kernels);
    expect(norm!.sweeps.flatMap(({ columns }) => columns).length).toBe(3);
    // Of all blocks one tensor.
    expect(new Set(norm!.sweeps.flatMap(({ columns }) => columns.map(({ tensor }) => tensor))).size).toBe(1);
    const joins = kernels.filter((kernel) => kernel.kind === "row" && kernel.inner.extent === 64);
    expect(
      joins.map((kernel) => kernel.kind === "row" && kernel.sweeps.map((s) => s.reductions.length)),
    ).toEqual([[3]]);
  });

  test("too few rows for blocks of eight stay in two kernels", () => {
    for (const [profile, rows] of [
      [softwareProfile, 511],
      [gpuProfile, 4095],
    ] as const) {
      const graph = graphOf(layerNorm, [rows, 128]);
      expect(blockedOf(kernelsOf(graph, profile))).toEqual([]);
      expect(kernelsOf(graph, profile).length).toBe(kernelsOf(graph, profile, ["columns"]).length);
    }
  });

  test("a sum that the rows wait for is no part of their kernel", () => {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const shape = [1024, 32];
    const x = b.parameter("x", shape);
    const mean = b.div(b.sum(x, [0]), b.full("f32", 1024, [32]));
    const centered = b.sub(x, b.broadcast(mean, shape, [1]));
    b.output("rows", b.sum(b.mul(centered, centered), [1]));
    const graph = b.build();
    expect(blockedOf(kernelsOf(graph, softwareProfile))).toEqual([]);
  });
});
