import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requireEqualLosses, runBench } from "../../bench/cli.ts";
import { countCalls } from "../../bench/device-counts.ts";
import { type BenchResult, type FrameworkFigures, lossTolerance } from "../../bench/measure.ts";
import { figureTable, withTables } from "../../bench/report.ts";
import { keptDevices, keptResults, resultFileName, resultsFolder } from "../../bench/results.ts";
import { compileTask, configurations } from "../../bench/training-task.ts";
import { bufferUsage, type KilnDevice, openDevice, softwareProfile } from "../../runtime/device/index.ts";
import { largestDifference } from "../../tools/compare/figures.ts";
import { need } from "../oracle/runs.ts";
import { type Captured, capture } from "../tools/capture.ts";
import { frameworkTask } from "./oracle-task.ts";

test("jax-js and TensorFlow.js train as JAX does", { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import",
    "tsx",
    "test/bench/oracle-losses.ts",
  ]);
  const losses: Record<string, number[]> = JSON.parse(stdout);
  const expected = (await frameworkTask()).losses;
  expect(Object.keys(losses)).toEqual(["jax-js", "tensorflow-js"]);
  for (const [name, own] of Object.entries(losses)) {
    expect(own, name).toHaveLength(expected.length);
    // The fixture is float64; the benchmark's own tolerance says how far float32 may be from it.
    expect(largestDifference(expected, own), name).toBeLessThan(lossTolerance);
  }
});

describe("counts of a device", () => {
  let kiln: KilnDevice | undefined;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln?.close());

  test("buffers alive and at the peak, each destroyed once", () => {
    const { device } = need(kiln, "device");
    const counts = countCalls(device);
    const make = (size: number) => device.createBuffer({ size, usage: bufferUsage.storage });
    const first = make(1024);
    const second = make(4096);
    expect(counts).toMatchObject({ liveBytes: 5120, peakBytes: 5120 });
    second.destroy();
    second.destroy();
    expect(counts).toMatchObject({ liveBytes: 1024, peakBytes: 5120 });
    make(512).destroy();
    first.destroy();
    expect(counts).toMatchObject({ liveBytes: 0, peakBytes: 5120 });
  });

  test("dispatches of all passes, submits, pipelines made either way", async () => {
    const { device } = need(kiln, "device");
    const counts = countCalls(device);
    const module = device.createShaderModule({ code: "@compute @workgroup_size(1) fn main() {}" });
    const descriptor = { layout: "auto", compute: { module } } as const;
    const pipeline = device.createComputePipeline(descriptor);
    await device.createComputePipelineAsync(descriptor);
    const indirect = 0x100; // WebGPU, "GPUBufferUsage", INDIRECT
    const workgroups = device.createBuffer({ size: 12, usage: indirect });
    const encode = (times: number) => {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) {
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.dispatchWorkgroups(1);
        pass.dispatchWorkgroupsIndirect(workgroups, 0);
        pass.end();
      }
      return encoder.finish();
    };
    const before = performance.now();
    device.queue.submit([encode(1), encode(2)]);
    device.queue.submit([]);
    expect(counts).toMatchObject({ dispatches: 6, submits: 2, pipelines: 2 });
    expect(counts.lastSubmitMs).toBeGreaterThanOrEqual(before);
    workgroups.destroy();
    need(kiln, "device").throwIfFailed();
  });
});

describe("a run of Kiln alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-bench-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("has the figures of its program, and a file", { timeout: 120_000 }, async () => {
    const args = ["--config", "tiny", "--frameworks", "kiln", "--steps", "2", "--device", "software"];
    const { code, out } = await run(...args, "--output", folder, "--json");
    expect(code).toBe(0);
    const result: BenchResult = JSON.parse(out);
    const kiln = need(result.frameworks.kiln, "Kiln");
    const { entries, kernels } = compileTask(configurations.tiny, softwareProfile);
    const { train } = entries;
    const dispatches = need(train, "train").steps.filter((step) => step.kind === "dispatch");
    // Every kernel, and the drafts that a run begins with.
    const pipelines = [...new Set(dispatches.map((step) => step.kernel))]
      .map((kernel) => 1 + (kernels[kernel]?.drafts?.length ?? 0))
      .reduce((sum, count) => sum + count, 0);
    expect(kiln).toMatchObject({ dispatches: dispatches.length, submits: 1, pipelines });
    expect(kiln.peakBytes).toBeGreaterThanOrEqual(need(train, "train").peakBytes);
    // Both heads start undecided: ln 64 + ln 2, to within what small random weights make of it.
    expect(kiln.losses).toHaveLength(3);
    expect(Math.abs(need(kiln.losses[0], "loss") - Math.log(128))).toBeLessThan(0.5);
    expect(kiln.stepsMs).toHaveLength(2);
    expect(result.lossDifference).toBe(0);
    expect(resultFileName(result)).toBe("swiftshader-software-tiny.json");
    expect(JSON.parse(readFileSync(join(folder, resultFileName(result)), "utf8"))).toEqual(result);
    expect(globalThis).not.toHaveProperty("navigator.gpu");
  });
});

describe("report", () => {
  const figures: FrameworkFigures = {
    title: "Kiln 0",
    firstStepMs: 1000,
    settleMs: 500,
    stepMs: 200,
    stepsMs: [200],
    encodeMs: 1,
    encodesMs: [1],
    dispatches: 64,
    submits: 1,
    pipelines: 40,
    peakBytes: 2 ** 20,
    losses: [1],
  };
  const result: BenchResult = {
    device: "A GPU (x)",
    processor: "a processor, 2 threads",
    node: "v20.0.0",
    name: "8x1000",
    configuration: configurations["8x1000"],
    steps: 1,
    lossTolerance,
    lossDifference: 0,
    frameworks: {
      "jax-js": { ...figures, title: "jax-js 0", stepMs: 500, dispatches: 640, submits: 12 },
      kiln: figures,
    },
  };

  test("Kiln comes first, the others with their ratio", () => {
    const { titles, rows } = figureTable(result);
    expect(titles).toEqual(["batch 8, vocabulary 1,000", "Kiln 0", "jax-js 0"]);
    expect(rows.slice(0, 2)).toEqual([
      ["a step, median", "200 ms", "500 ms (2.5x)"],
      ["first step, compilation included", "1.0 s", "1.0 s (1.0x)"],
    ]);
    expect(rows[4]).toEqual(["dispatches a step", "64", "640 (10x)"]);
  });

  test("goes between the markers of a text, and nowhere else", () => {
    const readme = readFileSync("README.md", "utf8");
    const once = withTables(readme, [result]);
    expect(once).toContain("| a step, median | 200 ms | 500 ms (2.5x) |");
    expect(withTables(once, [result])).toBe(once);
    expect(() => withTables("no markers", [result])).toThrow("has no lines");
  });

  test("README.md shows the results that are kept", () => {
    const readme = readFileSync("README.md", "utf8");
    const kept = keptDevices(resultsFolder).map((device) => keptResults(resultsFolder, device));
    // One device's tables, and none before anything was measured.
    const candidates = kept.length === 0 ? [[]] : kept;
    expect(candidates.map((results) => withTables(readme, results))).toContain(readme);
  });

  test.each([2e-4, Number.NaN])("losses that differ by %s are a failure", (lossDifference) => {
    expect(() => requireEqualLosses({ ...result, lossDifference })).toThrow("do not compute the same");
  });
});

test.each([
  ["an unknown configuration", ["--config", "7x7"], 2, "There is tiny, 8x1000"],
  ["no steps", ["--steps", "0"], 2, "whole number of 1 or more"],
  ["help", ["--help"], 0, ""],
])("%s: %j ends with code %i", async (_, args, code, message) => {
  const result = await run(...args);
  expect(result.code).toBe(code);
  expect(result.err).toContain(message);
});

/** Runs the benchmark's command line in this process. */
async function run(...args: readonly string[]): Promise<Captured> {
  return await capture(runBench, args);
}
