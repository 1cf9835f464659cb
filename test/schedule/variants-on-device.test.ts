import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type Leaves, tensor } from "../../compiler/graph/index.ts";
import { launchOf, partsOf, workgroupBytesOf } from "../../compiler/kernel/index.ts";
import { optimize, simplifyForward } from "../../compiler/optimize/index.ts";
import {
  type KernelProblem,
  problemsOf,
  schedule,
  UnknownVariantError,
} from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of at most 140 products of numbers in [-1, 1], and an exponential. */
const TOLERANCE = 2e-5;

function leavesOf(graph: Graph): Leaves {
  const random = randomNumbers(graph.nodes.length);
  const parameters = new Map(
    graph.nodes.flatMap((node) => {
      if (node.op !== "parameter") return [];
      const { shape } = node.type;
      const count = shape.reduce((a, size) => a * size, 1);
      const elements = Array.from({ length: count }, () => 2 * random() - 1);
      return [[node.attrs.name, tensor({ dtype: "f32", shape }, elements)] as const];
    }),
  );
  return { parameters };
}

const builder = () => new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
const [B, M, N, K] = [0, 1, 2, 3];

type Layout = "nn" | "nt" | "tn" | "tt";

/** relu((lhs - mean) @ rhs + bias): a prologue that differs along m alone, and an epilogue; either operand transposed. */
function matmulGraph(batch: number, m: number, n: number, k: number, layout: Layout): Graph {
  const b = builder();
  const size = [batch, m, n, k];
  const lhsLabels = layout[0] === "n" ? [B, M, K] : [B, K, M];
  const rhsLabels = layout[1] === "n" ? [B, K, N] : [B, N, K];
  const lhs = b.parameter(
    "lhs",
    lhsLabels.map((l) => size[l]!),
  );
  const rhs = b.parameter(
    "rhs",
    rhsLabels.map((l) => size[l]!),
  );
  const mean = b.broadcast(b.parameter("mean", [batch, m]), b.shape(lhs), [0, lhsLabels.indexOf(M)]);
  const labels = { lhs: lhsLabels, rhs: rhsLabels, out: [B, M, N] };
  const product = b.einsum(b.sub(lhs, mean), rhs, labels);
  const shifted = b.add(product, b.broadcast(b.parameter("bias", [n]), [batch, m, n], [2]));
  b.output("y", b.max(shifted, b.fullLike(shifted, 0)));
  return b.build();
}

/** x^T dy with dy summed over the rows beside it. */
function gradientGraph(rows: number, inSize: number, outSize: number): Graph {
  const b = builder();
  const x = b.parameter("x", [rows, inSize]);
  const dy = b.parameter("dy", [rows, outSize]);
  b.output("db", b.sum(dy, [0]));
  b.output("dw", b.einsum(x, dy, { lhs: [0, 10], rhs: [0, 11], out: [10, 11] }));
  return b.build();
}

function rowGraph(rows: number, length: number): Graph {
  const b = builder();
  const x = b.parameter("x", [rows, length]);
  const mean = b.broadcast(b.div(b.sum(x, [1]), b.full("f32", length, [rows])), [rows, length], [0]);
  b.output("y", b.mul(b.sub(x, mean), x));
  return b.build();
}

function mapGraph(count: number): Graph {
  const b = builder();
  const x = b.parameter("x", [count]);
  b.output("y", b.mul(b.exp(x), x));
  return b.build();
}

function attentionGraph(batch: number, queries: number, keys: number, size: number): Graph {
  const b = builder();
  const [q, k, v] = [
    b.parameter("q", [batch, queries, size]),
    b.parameter("k", [batch, keys, size]),
    b.parameter("v", [batch, keys, size]),
  ];
  const scores = b.einsum(q, k, { lhs: [B, M, K], rhs: [B, N, K], out: [B, M, N] });
  const top = b.stopGradient(b.reduceMax(scores, [2]));
  const raised = b.exp(b.sub(scores, b.broadcastOver(top, b.shape(scores), [2])));
  const weights = b.div(raised, b.broadcastOver(b.sum(raised, [2]), b.shape(scores), [2]));
  b.output("y", b.einsum(weights, v, { lhs: [B, M, N], rhs: [B, N, K], out: [B, M, K] }));
  return optimize(simplifyForward(b.build()));
}

describe("every variant of a kernel computes the same", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const as = (deviceClass: "software" | "gpu"): KilnDevice => ({
    ...kiln,
    profile: { ...kiln.profile, deviceClass },
  });

  function problemsIn(graph: Graph, device: KilnDevice): readonly KernelProblem[] {
    const { steps } = schedule(graph, device.profile, { fuse: true });
    return steps.flatMap((step) => (step.kind === "dispatch" ? problemsOf(step.kernel, device.profile) : []));
  }

  /** Runs the graph with each variant of its one kernel that `wanted` takes. */
  async function checkVariants(
    graph: Graph,
    deviceClass: "software" | "gpu",
    wanted: (variant: string) => boolean = () => true,
  ): Promise<number> {
    const device = as(deviceClass);
    const [problem, ...others] = problemsIn(graph, device);
    expect(others).toEqual([]);
    const leaves = leavesOf(graph);
    const expected = evaluate(graph, leaves);
    const variants = problem!.variants.filter(wanted);
    for (const variant of variants) {
      const tuning = { [problem!.key]: variant };
      const actual = await runOnDevice(graph, leaves, device, true, [], tuning);
      // What is run is the variant that was asked for, and the program says so.
      expect(actual.program.tuning, variant).toEqual(variant === problem!.chosen ? undefined : tuning);
      for (const [name, value] of expected.outputs) {
        const error = relativeError(actual.outputs.get(name)!, value);
        expect(error, `${name}: ${variant}`).toBeLessThanOrEqual(TOLERANCE);
      }
    }
    return variants.length;
  }

  const inBlocks = (variant: string) => variant.includes("workgroup memory");

  // SwiftShader takes seconds to compile a block: each is run once or twice, not in every combination.
  test.each(["nn", "nt", "tn", "tt"] as const)("blocks in workgroup memory, ragged, %s", async (layout) => {
    // Ragged in whole multiples of four and not, so that operands are read as vec4s along their rows and one by one.
    const small = (variant: string) => /^(32x64|32x32).*along n/.test(variant);
    expect(await checkVariants(matmulGraph(2, 33, 67, 32, layout), "gpu", small)).toBe(2);
    expect(await checkVariants(matmulGraph(2, 68, 36, 48, layout), "gpu", (v) => /^32x32/.test(v))).toBe(2);
  });

  test("the largest blocks, of which each invocation brings several patches", async () => {
    const large = (variant: string) => /^(128|64x64).*along n/.test(variant);
    expect(await checkVariants(matmulGraph(1, 140, 132, 32, "nt"), "gpu", large)).toBe(3);
  });

  test("the right operand's sum in blocks", async () => {
    expect(await checkVariants(gradientGraph(96, 70, 68), "gpu", (v) => /^32.*along n/.test(v))).toBe(2);
  });

  test("register tiles of both classes, with workgroups of every size", async () => {
    const sizes = (variant: string) => !inBlocks(variant) && /along n/.test(variant);
    expect(await checkVariants(matmulGraph(2, 18, 20, 12, "nt"), "gpu", sizes)).toBeGreaterThan(16);
    expect(await checkVariants(matmulGraph(2, 18, 20, 12, "nt"), "software", sizes)).toBeGreaterThan(16);
  }, 240_000);

  test("rows, maps", async () => {
    for (const deviceClass of ["software", "gpu"] as const) {
      expect(await checkVariants(rowGraph(6, 72), deviceClass)).toBe(deviceClass === "gpu" ? 12 : 4);
      expect(await checkVariants(mapGraph(5000), deviceClass)).toBeGreaterThanOrEqual(12);
    }
  }, 120_000);

  test("walks over scores", async () => {
    for (const [deviceClass, usual] of [
      ["software", / of 4$/],
      ["gpu", / of 64$/],
    ] as const) {
      const graph = attentionGraph(2, 13, 22, 8);
      expect(await checkVariants(graph, deviceClass, (variant) => usual.test(variant))).toBe(12);
    }
  }, 240_000);

  test("a key stays the same whichever variant the kernel is, and differs between kernels", () => {
    const device = as("gpu");
    const graph = matmulGraph(2, 70, 68, 48, "nn");
    const [problem] = problemsIn(graph, device);
    const keys = problem!.variants.map((variant) => {
      const planned = schedule(graph, device.profile, { fuse: true, tuning: { [problem!.key]: variant } });
      const step = planned.steps.find((found) => found.kind === "dispatch")!;
      const [made] = problemsOf(step.kernel, device.profile);
      expect(made!.chosen).toBe(variant);
      return made!.key;
    });
    expect(new Set(keys)).toEqual(new Set([problem!.key]));
    for (const other of [matmulGraph(2, 70, 68, 48, "nt"), matmulGraph(2, 70, 64, 48, "nn")])
      expect(problemsIn(other, device)[0]!.key).not.toBe(problem!.key);
    expect(problemsIn(graph, as("software"))[0]!.variants).not.toEqual(problem!.variants);
  });

  test("a variant that a kernel cannot have is refused by name", () => {
    const device = as("gpu");
    const graph = matmulGraph(1, 20, 20, 48, "nn");
    const [problem] = problemsIn(graph, device);
    const plan = (variant: string) =>
      schedule(graph, device.profile, { fuse: true, tuning: { [problem!.key]: variant } });
    // Larger than the result; a block where the contraction is right but the rows are too few; no variant at all.
    for (const variant of [
      "64x64x4 in registers, neighbours along n, workgroups of 64",
      "64x64x16 in workgroup memory, 4x4 in registers, neighbours along n",
      "fast",
    ]) {
      expect(() => plan(variant)).toThrow(UnknownVariantError);
      expect(() => plan(variant)).toThrow(
        `as \`${variant}\`; on this device it can be \`${problem!.chosen}\``,
      );
    }
  });

  test("blocks keep within what the device has, and a large matmul of a GPU takes them by default", () => {
    const device = as("gpu");
    const graph = matmulGraph(1, 1024, 1024, 64, "nn");
    for (const maxComputeInvocationsPerWorkgroup of [64, 256]) {
      const profile = {
        ...device.profile,
        maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupStorageSize: 9000,
      };
      const planned = schedule(graph, profile, { fuse: true });
      const step = planned.steps.find((found) => found.kind === "dispatch")!;
      const [kernel] = partsOf(step.kernel);
      if (kernel?.kind !== "matmul") throw new Error("one matmul");
      expect(kernel.block).toEqual({ m: 64, n: 64, k: 16 });
      expect(kernel.workgroupSize).toBe(64);
      expect(workgroupBytesOf(kernel)).toBe(4 * 16 * 128);
      expect(launchOf(kernel).workgroups).toBe(256);
      for (const variant of problemsOf(kernel, profile)[0]!.variants)
        expect(variant).not.toContain("128x128");
    }
    const software = schedule(graph, as("software").profile, { fuse: true });
    const step = software.steps.find((found) => found.kind === "dispatch")!;
    expect(partsOf(step.kernel).map((part) => part.kind === "matmul" && part.block)).toEqual([undefined]);
  });
});
