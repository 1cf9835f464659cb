import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type Leaves, tensor } from "../../compiler/graph/index.ts";
import { mixedPrecision } from "../../compiler/precision/index.ts";
import type { DeviceProfile, MatrixShape, Program, Tuning } from "../../compiler/program/index.ts";
import { problemsOf, schedule } from "../../compiler/schedule/index.ts";
import { defaultGpuProfile, type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createExecutor } from "../../runtime/execute/index.ts";
import { compileSpec } from "../compiler/specs.ts";
import { randomNumbers } from "../ops/draw.ts";
import { programOf, relativeError } from "../schedule/run-graph.ts";
import { withoutSubgroups } from "./matrices-in-wgsl.ts";
import { openValidator, type Validator } from "./null-device.ts";

const square = (size: number): MatrixShape => ({ m: size, n: size, k: size });

function profileWith(subgroupSize: number, shapes: readonly MatrixShape[], bytes = 32_768): DeviceProfile {
  return {
    ...defaultGpuProfile,
    f16: true,
    maxComputeWorkgroupStorageSize: bytes,
    subgroupSizes: { min: subgroupSize, max: subgroupSize },
    subgroupMatrices: shapes,
  };
}

const usesMatrices = ({ wgsl }: Program["kernels"][number]) =>
  wgsl.includes("subgroupMatrixMultiplyAccumulate");

describe("kernels with subgroup matrices are valid WGSL", () => {
  let validator: Validator;
  beforeAll(async () => {
    validator = await openValidator();
  });
  afterAll(() => validator.close());

  // Pipelines are made for subgroups of 128 alone: so many may be in one on the null backend. It reads all modules.
  const cases = [
    [128, square(16), 16_384],
    [32, square(16), 49_152],
    [32, square(8), 32_768],
    [64, { m: 8, n: 32, k: 16 }, 32_768],
  ] as const;
  const specs = [
    ["models/bert-small.bert", { batch: "64", vocab: "8000" }],
    ["models/gpt-small.bert", { batch: "64" }],
  ] as const;
  test.each(cases.flatMap((row) => specs.map((spec) => [...row, ...spec] as const)))(
    "subgroups of %i, matrices of %o, %i bytes: %s",
    async (subgroupSize, shape, bytes, spec, settings) => {
      const profile = { ...profileWith(subgroupSize, [shape]), maxComputeWorkgroupStorageSize: bytes };
      const { program } = compileSpec(spec, { profile, settings, precision: "mixed", verify: true });
      const kernels = program.kernels.filter(usesMatrices);
      expect(kernels.length).toBeGreaterThan(4);
      for (const { name, wgsl } of kernels) {
        expect([name, ...(await validator.messages(wgsl))]).toEqual([name]);
        if (subgroupSize === 128)
          expect([name, await validator.pipelineError(wgsl)]).toEqual([name, undefined]);
      }
    },
  );
});

describe("subgroup matrices are chosen", () => {
  const counts = (profile: DeviceProfile, precision: "f32" | "mixed") =>
    compileSpec("models/bert-small.bert", {
      profile,
      settings: { batch: "64" },
      precision,
      entries: ["train"],
    }).program.kernels.filter(usesMatrices).length;
  const full = profileWith(32, [square(16)]);

  test("for f16 on a device whose subgroups have one size", () => {
    expect(counts(full, "mixed")).toBeGreaterThan(4);
    expect(counts(full, "f32")).toBe(0);
    expect(counts({ ...full, f16: false }, "mixed")).toBe(0);
    expect(counts({ ...full, subgroupMatrices: [] }, "mixed")).toBe(0);
    expect(counts({ ...full, subgroupSizes: { min: 8, max: 32 } }, "mixed")).toBe(0);
    expect(counts({ ...full, deviceClass: "software" }, "mixed")).toBe(0);
  });
});

describe("the places that subgroups of matrices read and write", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => {
    kiln.throwIfFailed();
    kiln.close();
  });

  const [B, M, N, K] = [0, 1, 2, 3];
  type Layout = "nn" | "nt" | "tn";

  /** relu(lhs @ rhs + bias), and beside a plain product the sums of its right operand. Every number is a half. */
  function graphOf(batch: number, m: number, n: number, k: number, layout: Layout) {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const size = [batch, m, n, k];
    const lead = batch === 1 ? [] : [B];
    const lhsLabels = [...lead, ...(layout === "tn" ? [K, M] : [M, K])];
    const rhsLabels = [...lead, ...(layout === "nt" ? [N, K] : [K, N])];
    const out = [...lead, M, N];
    const shapeOf = (labels: readonly number[]) => labels.map((label) => size[label]!);
    const lhs = b.parameter("lhs", shapeOf(lhsLabels));
    const rhs = b.parameter("rhs", shapeOf(rhsLabels));
    // Taken in by the product: its right operand summed over the contraction.
    if (batch === 1 && layout !== "nt") b.output("sums", b.sum(rhs, [0]));
    const product = b.einsum(lhs, rhs, { lhs: lhsLabels, rhs: rhsLabels, out });
    const bias = b.broadcast(b.parameter("bias", [n]), shapeOf(out), [out.length - 1]);
    b.output("y", b.max(b.add(product, bias), b.full("f32", 0, shapeOf(out))));
    const graph = mixedPrecision(b.build());
    const random = randomNumbers(m + n + k);
    const parameters = new Map(
      graph.nodes.flatMap(({ op, attrs, type }) => {
        if (op !== "parameter") return [];
        const count = type.shape.reduce((total, length) => total * length, 1);
        const elements = Array.from({ length: count }, () => Math.round(64 * (random() - 0.5)) / 32);
        return [[attrs.name, tensor(type, elements)] as const];
      }),
    );
    const leaves: Leaves = { parameters };
    return { graph, leaves };
  }

  /** Small problems, which the cost model would leave to registers: the variant is asked for by the block it has. */
  const cases = [
    ["one block after another", "64x64x16", 32, square(16), 1, 128, 64, 32, "nn"],
    ["both operands along the contraction", "64x32x32", 32, { m: 16, n: 32, k: 8 }, 1, 64, 64, 32, "nt"],
    ["batches", "32x32x32", 32, { m: 32, n: 16, k: 8 }, 3, 32, 64, 32, "nn"],
    ["last blocks that are shifted back", "64x64x16", 64, { m: 16, n: 32, k: 16 }, 1, 92, 84, 48, "tn"],
  ] as const;
  test.each(cases)("%s: %s, subgroups of %i, %o, %i x %i x %i x %i %s", async (...row) => {
    const [, block, subgroupSize, shape, batch, m, n, k, layout] = row;
    const { graph, leaves } = graphOf(batch, m, n, k, layout);
    const profile = profileWith(subgroupSize, [shape]);
    const program = programOf(graph, profile, true, [], tuningTo(graph, profile, block));
    expect(program.kernels.map(usesMatrices)).toEqual([true]);
    const kernels = program.kernels.map((kernel) =>
      usesMatrices(kernel) ? { ...kernel, wgsl: withoutSubgroups(kernel.wgsl, shape, subgroupSize) } : kernel,
    );
    const executor = await createExecutor({ ...program, kernels }, kiln);
    const fields = Object.fromEntries(
      [...leaves.parameters!].map(([name, { data }]) => [name, Float32Array.from(data)]),
    );
    const outputs = await executor.run("evaluate", fields);
    executor.destroy();
    for (const [name, expected] of evaluate(graph, leaves).outputs) {
      const actual = tensor(expected, outputs[name]!.data);
      // Sums of up to 64 products that f32 holds exactly.
      expect([name, relativeError(actual, expected)]).toEqual([name, 0]);
    }
  });

  /** Every matmul that can have it in matrices with that block. */
  function tuningTo(graph: Graph, profile: DeviceProfile, block: string): Tuning {
    const { steps } = schedule(graph, profile, { fuse: true });
    const problems = steps.flatMap((step) =>
      step.kind === "dispatch" ? problemsOf(step.kernel, profile) : [],
    );
    return Object.fromEntries(
      problems.flatMap(({ key, variants }) => {
        const wanted = variants.find((name) => name.startsWith(`${block} `) && name.includes("matrices"));
        return wanted === undefined ? [] : [[key, wanted]];
      }),
    );
  }
});
