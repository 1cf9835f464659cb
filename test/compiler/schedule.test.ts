import { describe, expect, test } from "vitest";
import { type Program, type ProgramStep, verifyProgram } from "../../compiler/program/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { compileSpec } from "./specs.ts";

type Dispatch = Extract<ProgramStep, { kind: "dispatch" }>;

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
    const wanted = [
      "max_shifted_sum_weights",
      "mean_variance_rsqrt_attended",
      "d_mul_d_centered_d_encoded_d_feed_forward_d_drop",
      "einsum_where",
      "words",
    ];
    const texts = wanted.map(
      (name) => tiny.program.kernels.find((kernel) => kernel.name === name)?.wgsl ?? `no ${name}`,
    );
    await expect(texts.join("\n")).toMatchFileSnapshot("../golden/bert-tiny.kernels.wgsl");
  });

  test("attention is one kernel forward and three backward, a layer norm one forward and one backward", () => {
    const labels = dispatchesOf(tiny.program).map((step) => step.label.split("  "));
    const kernelsIn = (path: string) =>
      labels.filter(([, at]) => at === path).flatMap(([name]) => name!.split(" | "));
    expect(kernelsIn("encoder.blocks.1.attention")).toEqual([
      "softmax_rearrange",
      "d_softmax",
      "d_attend_d_einsum",
      "d_einsum",
    ]);
    expect(kernelsIn("encoder.blocks.1.output_norm")).toEqual([
      "mean_variance_rsqrt_encoded",
      "d_mul_d_centered_d_encoded_d_feed_forward_d_drop",
    ]);
  });

  test("no fused kernel only moves data", () => {
    const moved = dispatchesOf(tiny.program).filter((step) => /transpose|copy/.test(step.label));
    expect(moved.map((step) => step.label)).toEqual([]);
  });

  const optimizers = [
    ["bert-small", { batch: "16", vocab: "8000" }, "adam", 8],
    // Without dropout the rate is made beside the norm, and with accumulation the optimizer empties the gradients.
    ["gpt-small", {}, "adamw", 9],
    ["bert-base", { layers: "2" }, "adamw", 9],
  ] as const;
  test.each(optimizers)(
    "norm, clipping, counters and optimizer of %s are the last three dispatches",
    (name, settings, kind, bindings) => {
      for (const deviceClass of ["software", "gpu"] as const) {
        const profile = { ...softwareProfile, deviceClass, maxStorageBuffersPerShaderStage: bindings };
        const { program } = compileSpec(`models/${name}.bert`, {
          settings,
          profile,
          entries: ["train"],
          verify: true,
        });
        const { steps } = program.entries.train!;
        const last = steps.slice(-3).map((step) => (step.kind === "dispatch" ? step.label : step.kind));
        expect(last[0]).toMatch(/grad_norm$/);
        expect(last[1]).toMatch(/^grad_norm_clip.*_step_skipped$/);
        expect(last[2]).toBe(kind);
        // Updates go in place: nothing is copied.
        expect(steps.filter((step) => step.kind === "copy")).toEqual([]);
      }
    },
  );

  test("parameters in two buffers are updated by one kernel twice, which reads nothing that is a constant", () => {
    const { program } = compileSpec("models/bert-large.bert", { entries: ["train"] });
    expect(new Set(dispatchesOf(program).map((step) => step.kernel)).size).toBeLessThanOrEqual(60);
    const [first, second] = dispatchesOf(program).slice(-2);
    expect(first!.kernel).toBe(second!.kernel);
    // Parameters, two moments, gradients and the gradients to empty; clip, step size and the moments' corrections.
    expect(second!.bindings).toHaveLength(9);
    const { sizeBytes } = program.buffers.find(({ name }) => name === "parameters.0")!;
    expect(second!.bytesRead).toBeLessThan(4.01 * sizeBytes);
    expect(second!.bytesWritten).toBeLessThan(4.01 * sizeBytes);
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

  const specs = ["bert-tiny", "bert-small", "bert-base", "bert-large", "gpt-small"];
  test.each(specs)("the plan of %s stands the verifier, fused and unfused, all entries", (name) => {
    for (const fuse of [true, false]) {
      // BERT-Large unfused is the same layer 24 times over, in four entries: its training step is enough.
      const entries = name === "bert-large" ? (["train"] as const) : undefined;
      compileSpec(`models/${name}.bert`, { verify: true, fuse, ...(entries !== undefined && { entries }) });
    }
  });

  describe("the verifier finds", () => {
    const { program } = tiny;
    const train = program.entries.train!;
    const first = train.steps.findIndex((step) => step.kind === "dispatch" && step.bindings.length >= 3);
    const withStep = (change: (step: Dispatch) => Dispatch): Program => ({
      ...program,
      entries: {
        train: { ...train, steps: train.steps.map((s, i) => (i === first ? change(s as Dispatch) : s)) },
      },
    });
    const moved = (step: Dispatch, by: Partial<Dispatch["bindings"][number]>): Dispatch => ({
      ...step,
      bindings: step.bindings.map((range, i) => (i === 0 ? { ...range, ...by } : range)),
    });

    test.each<[string, Program, RegExp]>([
      ["a range beyond its buffer", withStep((s) => moved(s, { sizeBytes: 2 ** 30 })), /beyond its buffer/],
      ["an unaligned range", withStep((s) => moved(s, { offsetBytes: 4 })), /not aligned|beyond/],
      ["an unknown buffer", withStep((s) => moved(s, { buffer: "nowhere" })), /no buffer nowhere/],
      ["an unknown kernel", withStep((s) => ({ ...s, kernel: 9999 })), /no kernel 9999/],
      ["a missing binding", withStep((s) => ({ ...s, bindings: s.bindings.slice(1) })), /ranges for/],
      ["too many workgroups", withStep((s) => ({ ...s, workgroups: [65_536, 1, 1] })), /65536 workgroups/],
      [
        "an output that nothing writes",
        { ...program, entries: { train: { ...train, steps: [] } } },
        /nothing writes/,
      ],
    ])("%s", (_name, broken, reason) => {
      expect(() => verifyProgram(broken)).toThrow(reason);
    });
  });
});
