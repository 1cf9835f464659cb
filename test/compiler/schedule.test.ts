import { describe, expect, test } from "vitest";
import type { Program } from "../../compiler/program/index.ts";
import { compileSpec } from "./specs.ts";

function dispatchesOf(program: Program, entry: keyof Program["entries"] = "train") {
  return program.entries[entry]!.steps.filter((step) => step.kind === "dispatch");
}

function bytesOf(program: Program): number {
  return dispatchesOf(program).reduce((total, step) => total + step.bytesRead + step.bytesWritten, 0);
}

describe("the schedule of a training step", () => {
  const tiny = compileSpec("models/bert-tiny.bert", { verify: true });

  test("reads as expected", async () => {
    await expect(tiny.stages!.schedule()).toMatchFileSnapshot("../golden/bert-tiny.schedule.txt");
  });

  test("kernels read as expected", async () => {
    const wanted = ["max_shifted_sum_weights", "mean_variance_rsqrt_mul_attended", "einsum_where", "words"];
    const texts = wanted.map(
      (name) => tiny.program.kernels.find((kernel) => kernel.name === name)?.wgsl ?? `no ${name}`,
    );
    await expect(texts.join("\n")).toMatchFileSnapshot("../golden/bert-tiny.kernels.wgsl");
  });

  test("softmax is one kernel forward and one backward, a layer norm one forward and two backward", () => {
    const labels = dispatchesOf(tiny.program).map((step) => step.label.split("  "));
    const rowsIn = (path: string) =>
      labels.filter(
        ([name, at]) => at === path && !/matmul|einsum|d_attend|rearrange|link|copy|d_[qkv]$/.test(name!),
      );
    expect(rowsIn("encoder.blocks.1.attention").map(([name]) => name)).toEqual([
      "max_shifted_sum_weights",
      "d_softmax_d_scores",
    ]);
    expect(rowsIn("encoder.blocks.1.output_norm").map(([name]) => name)).toEqual([
      "mean_variance_rsqrt_mul_encoded",
      "d_encoded_d_mul",
      "d_mul_d_centered_d_drop",
    ]);
  });

  test("no fused kernel only moves data", () => {
    const moved = dispatchesOf(tiny.program).filter((step) => /transpose|copy/.test(step.label));
    expect(moved.map((step) => step.label)).toEqual([]);
  });

  test("unfused takes several times the dispatches and bytes", () => {
    const unfused = compileSpec("models/bert-tiny.bert", { fuse: false, entries: ["train"], verify: true });
    expect(dispatchesOf(tiny.program).length).toBeLessThanOrEqual(115);
    expect(dispatchesOf(unfused.program).length).toBeGreaterThan(2.5 * dispatchesOf(tiny.program).length);
    expect(bytesOf(unfused.program)).toBeGreaterThan(2 * bytesOf(tiny.program));
  });

  test("equal layers share their pipelines: twelve need no more than four", () => {
    const kernels = (layers: string) =>
      compileSpec("models/bert-base.bert", { settings: { layers }, entries: ["train"] }).program.kernels
        .length;
    // Where the parameters outgrow one buffer, kernels that join the buffers' norms come on top.
    expect(kernels("12")).toBeLessThanOrEqual(kernels("4") + 2);
  });

  test("every step of every entry binds aligned ranges inside its buffers, none of them twice in conflict", () => {
    for (const path of ["models/bert-tiny.bert", "models/bert-base.bert", "models/gpt-small.bert"]) {
      const { program } = compileSpec(path);
      const sizes = new Map(program.buffers.map((buffer) => [buffer.name, buffer.sizeBytes]));
      for (const entry of Object.values(program.entries)) {
        for (const step of entry.steps) {
          if (step.kind !== "dispatch") continue;
          const { bindings } = program.kernels[step.kernel]!;
          expect(bindings.length).toBe(step.bindings.length);
          expect(bindings.length).toBeLessThanOrEqual(program.profile.maxStorageBuffersPerShaderStage);
          step.bindings.forEach((range, i) => {
            expect(range.offsetBytes % program.profile.minStorageBufferOffsetAlignment).toBe(0);
            expect(range.offsetBytes + range.sizeBytes).toBeLessThanOrEqual(sizes.get(range.buffer)!);
            step.bindings.forEach((other, j) => {
              if (i >= j || range.buffer !== other.buffer) return;
              const access = [bindings[i]!.access, bindings[j]!.access];
              // WebGPU: one buffer has one kind of access in a dispatch, and writable ranges lie apart.
              expect(access[0]).toBe(access[1]);
              const apart =
                range.offsetBytes + range.sizeBytes <= other.offsetBytes ||
                other.offsetBytes + other.sizeBytes <= range.offsetBytes;
              if (access[0] === "read_write") expect(apart, step.label).toBe(true);
            });
          });
        }
      }
    }
  });
});
