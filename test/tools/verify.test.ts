import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CompileOptions, compile, type EntryName } from "../../compiler/index.ts";
import { partsOf } from "../../compiler/kernel/index.ts";
import type { Program, Tuning } from "../../compiler/program/index.ts";
import { ONE_OP_A_KERNEL, problemsOf } from "../../compiler/schedule/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice, softwareProfile } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/train/index.ts";
import { Console } from "../../tools/console.ts";
import { diskLoader } from "../../tools/spec.ts";
import { chooseTuning } from "../../tools/tuning/choose-tuning.ts";
import { readTuningFile, tunedFor } from "../../tools/tuning/tuning-file.ts";
import { compileVerified } from "../../tools/verify/compile-verified.ts";
import { findFaults } from "../../tools/verify/find-faults.ts";
import { run, TextSink } from "./capture.ts";

const bert = {
  vocab: "32",
  layers: "1",
  hidden: "16",
  heads: "2",
  ffn: "16",
  max_len: "32",
  predictions: "2",
  batch: "4",
};
const training: readonly EntryName[] = ["accumulate", "train"];

function compiled(spec: string, options: Partial<CompileOptions>) {
  const { program, stages, summary, ...result } = compile(spec, {
    ...diskLoader,
    profile: softwareProfile,
    ...options,
  });
  if (program === undefined || stages === undefined || summary === undefined)
    throw new Error(JSON.stringify(result.diagnostics));
  return { ...result, program, stages, summary };
}

const plannedOf = ({ program, stages }: ReturnType<typeof compiled>) => ({
  program,
  schedules: stages.schedules,
});

/** A device whose compiler makes something else of one kernel. */
function deviceThatSpoils(kiln: KilnDevice, wgsl: string, spoilt: string): KilnDevice {
  if (wgsl === spoilt) throw new Error("nothing is spoilt");
  const device = new Proxy(kiln.device, {
    get(target, property) {
      if (property === "createShaderModule")
        return (descriptor: GPUShaderModuleDescriptor) =>
          target.createShaderModule({
            ...descriptor,
            code: descriptor.code === wgsl ? spoilt : descriptor.code,
          });
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { ...kiln, device };
}

/** The fused kernels of a program's training step, by kind. */
function kernelOf(
  of: ReturnType<typeof compiled>,
  wanted: (kind: string, rules: readonly string[]) => boolean,
) {
  const { program, stages } = of;
  const steps = stages.schedules.get("train")!.steps;
  for (const [at, step] of steps.entries()) {
    if (step.kind !== "dispatch" || !wanted(step.kernel.kind, step.kernel.rules)) continue;
    const planned = program.entries.train!.steps[at]!;
    if (planned.kind !== "dispatch") throw new Error("a program's steps are those of its schedule");
    const [problem, ...others] = problemsOf(step.kernel, softwareProfile);
    if (others.length > 0) continue;
    return { kernel: program.kernels[planned.kernel]!, problem: problem!, label: step.label };
  }
  throw new Error("there is such a kernel");
}

let kiln: KilnDevice;
let folder: string;
let err: TextSink;
beforeAll(async () => {
  kiln = await openDevice({ prefer: "software" });
  folder = mkdtempSync(join(tmpdir(), "kiln-verify-"));
});
afterAll(() => {
  kiln.throwIfFailed();
  kiln.close();
  rmSync(folder, { recursive: true });
});

/** Verifies bert-tiny on a device, with what a file remembers. */
function verify(device: KilnDevice, file: string | undefined, tuning: Tuning = {}) {
  err = new TextSink();
  return compileVerified({
    kiln: device,
    console: new Console({ out: new TextSink(), err, environment: {} }, false),
    entries: training,
    tuning,
    file,
    compile: async (variants) => compiled("models/bert-tiny.bert", { settings: bert, tuning: variants }),
  });
}

async function lossesOn(device: KilnDevice, program: Program): Promise<readonly number[]> {
  const batches = await openBatches(program.data, { split: "train", seed: 3 });
  const trainer = await createTrainer(program, device, { seed: 3, batches });
  const losses: number[] = [];
  for await (const { losses: all } of trainer.steps(3)) losses.push(...Object.values(all));
  await trainer.dispose();
  await batches.close();
  return losses;
}

const wgslOf = ({ kernels }: Program) => kernels.map(({ wgsl }) => wgsl);

describe("kernels that are right", () => {
  const twice = (path: string) =>
    diskLoader.load(path)?.replace(/^( *)steps +steps$/m, "$1steps steps\n$1accumulate 2");

  test.each<[string, string, Partial<CompileOptions>]>([
    ["BERT, accumulated", "models/bert-tiny.bert", { settings: bert, load: twice }],
    ["GPT", "models/gpt-small.bert", { settings: { vocab: "64", batch: "2" } }],
    [
      "kernels for a GPU",
      "models/bert-tiny.bert",
      { settings: bert, profile: { ...softwareProfile, deviceClass: "gpu" } },
    ],
    [
      "computed again to save memory",
      "models/bert-tiny.bert",
      { settings: { ...bert, batch: "16", layers: "2" }, memoryBytes: 700_000 },
    ],
  ])("are found right, every one that joins ops: %s", { timeout: 240_000 }, async (_, spec, options) => {
    const whole = compiled(spec, options);
    if (options.memoryBytes !== undefined) expect(whole.memory?.recomputed).toBeGreaterThan(0);
    if (options.load !== undefined) expect(whole.program.settings.accumulate).toBe(2);
    const planned = plannedOf(whole);
    const device = { ...kiln, profile: whole.program.profile };
    const { faults, checked, unchecked } = await findFaults(
      device,
      planned,
      ["accumulate", "train", "evaluate", "encode"],
      () => {},
    );
    expect(faults).toEqual([]);
    expect(unchecked).toEqual([]);
    // Those of one op alone are not compared with themselves; of the stages of a segment sum the last has the result.
    const joined = new Set<string>();
    for (const [name, { steps }] of planned.schedules)
      for (const [at, step] of steps.entries()) {
        const dispatch = planned.program.entries[name]!.steps[at]!;
        if (step.kind !== "dispatch" || dispatch.kind !== "dispatch") continue;
        const isStage = partsOf(step.kernel).some(({ kind }) => kind === "segment");
        if (step.nodes.length > 1 && !isStage) joined.add(planned.program.kernels[dispatch.kernel]!.wgsl);
      }
    expect(checked).toBeGreaterThanOrEqual(joined.size);
  });
});

describe("a kernel that the device gets wrong", () => {
  test.each([
    ["a walk over scores", "stream"],
    ["a matmul with an epilogue", "matmul"],
    ["rows", "row"],
  ])("is found by its name, taken apart and remembered: %s", { timeout: 240_000 }, async (_, kind) => {
    const before = compiled("models/bert-tiny.bert", { settings: bert });
    const { kernel, problem, label } = kernelOf(
      before,
      (candidate, rules) => candidate === kind && (kind !== "matmul" || rules.includes("epilogue")),
    );
    // The last store gets something else.
    const spoilt = spoilStore(kernel.wgsl);
    const device = deviceThatSpoils(kiln, kernel.wgsl, spoilt);
    const file = join(folder, `${kind}.json`);
    const { compiled: after, tuning, faults, checked } = await verify(device, file);
    expect(faults).toMatchObject([{ key: problem.key, label, isTuned: false }]);
    expect(faults[0]!.difference).toBeGreaterThan(1e-3);
    expect(checked).toBeGreaterThan(20);
    expect(tuning).toEqual({ [problem.key]: ONE_OP_A_KERNEL });
    expect(err.text).toContain(`warning: the kernel \`${kernel.name}\``);
    expect(err.text).toContain("its ops are computed by a kernel each from now on");
    expect(wgslOf(after.program)).not.toContain(kernel.wgsl);
    // All others are there still, and train as they should.
    const kept = new Set(wgslOf(after.program));
    expect(wgslOf(before.program).filter((text) => !kept.has(text)).length).toBeLessThanOrEqual(4);
    const [right, mended] = [await lossesOn(kiln, before.program), await lossesOn(device, after.program)];
    for (const [i, loss] of mended.entries())
      expect(Math.abs(loss - right[i]!) / right[i]!).toBeLessThan(1e-5);

    // The second start costs nothing, and without --verify the kernel stays away as well.
    const known = tunedFor(await readTuningFile(file), kiln.adapter);
    expect(known).toMatchObject({ variants: tuning, verified: [after.program.hash] });
    const again = await verify(device, file, known.variants);
    expect(again).toMatchObject({ checked: 0, faults: [], tuning });
    expect(again.compiled.program.hash).toBe(after.program.hash);
    const chosen = await chooseTuning(file, kiln, new Console({ out: err, err, environment: {} }, false));
    expect(chosen?.variants).toEqual(tuning);
  });

  test("as the draft of one of the parts of a dispatch is told from the other parts", {
    timeout: 240_000,
  }, async () => {
    const settings = { ...bert, hidden: "64", ffn: "128", batch: "8" };
    const before = compiled("models/bert-tiny.bert", { settings });
    const { steps } = before.stages.schedules.get("train")!;
    const at = steps.findIndex((step, i) => {
      const planned = before.program.entries.train!.steps[i]!;
      const { drafts = [] } = planned.kind === "dispatch" ? before.program.kernels[planned.kernel]! : {};
      return step.kind === "dispatch" && step.kernel.kind === "beside" && drafts.length > 2;
    });
    const [step, planned] = [steps[at]!, before.program.entries.train!.steps[at]!];
    if (step.kind !== "dispatch" || planned.kind !== "dispatch") throw new Error("there is such a dispatch");
    const draft = before.program.kernels[planned.kernel]!.drafts![1]!.wgsl;
    const second = problemsOf(step.kernel, softwareProfile)[1]!;
    const device = deviceThatSpoils(kiln, draft, spoilStore(draft));
    const { faults } = await findFaults(device, plannedOf(before), training, () => {});
    expect(faults).toMatchObject([
      { key: second.key, name: second.kernel.name, label: step.label, isTuned: false },
    ]);
    const tuning = { [second.key]: ONE_OP_A_KERNEL };
    const after = compiled("models/bert-tiny.bert", { settings, tuning });
    expect(after.program.kernels.flatMap(({ drafts = [] }) => drafts.map(({ wgsl }) => wgsl))).not.toContain(
      draft,
    );
    expect((await findFaults(device, plannedOf(after), training, () => {})).faults).toEqual([]);
  });

  test("in a measured variant alone goes back to the cost model's", { timeout: 240_000 }, async () => {
    const { problem } = kernelOf(
      compiled("models/bert-tiny.bert", { settings: bert }),
      (kind, rules) => kind === "matmul" && rules.includes("epilogue"),
    );
    const tuning = { [problem.key]: problem.variants.at(-1)! };
    const tuned = compiled("models/bert-tiny.bert", { settings: bert, tuning });
    const { kernel } = kernelOf(tuned, (kind, rules) => kind === "matmul" && rules.includes("epilogue"));
    const device = deviceThatSpoils(kiln, kernel.wgsl, spoilStore(kernel.wgsl));
    const file = join(folder, "variant.json");
    const { compiled: after, faults } = await verify(device, file, tuning);
    expect(faults).toMatchObject([{ key: problem.key, isTuned: true, variant: tuning[problem.key] }]);
    expect(err.text).toContain("the cost model's variant is taken instead");
    expect(after.program.hash).toBe(compiled("models/bert-tiny.bert", { settings: bert }).program.hash);
    expect(tunedFor(await readTuningFile(file), kiln.adapter)).toMatchObject({
      variants: {},
      verified: [after.program.hash],
    });
  });
});

/** What the kernel stores last is stored a hundredth too large. */
function spoilStore(wgsl: string): string {
  const at = wgsl.lastIndexOf("] = ");
  const end = wgsl.indexOf(";", at);
  return `${wgsl.slice(0, at + 4)}1.01f * (${wgsl.slice(at + 4, end)})${wgsl.slice(end)}`;
}

test("--verify says what it did, once for a program", { timeout: 240_000 }, async () => {
  const file = join(folder, "cli.json");
  process.env.KILN_TUNING = file;
  const settings = Object.entries(bert).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  const train = () =>
    run(
      ...["train", "models/bert-tiny.bert", "--verify", "--steps", "1", "--device", "software", "--json"],
      ...["--out", join(folder, "run"), ...settings],
    );
  try {
    const first = await train();
    expect(first.code).toBe(0);
    expect(first.err).toContain("verifying");
    expect(first.json()).toMatchObject({ verified: { checked: expect.any(Number), faults: [] } });
    expect((first.json().verified as { checked: number }).checked).toBeGreaterThan(20);
    const second = await train();
    expect(second.err).not.toContain("verifying");
    expect(second.json()).toMatchObject({ verified: { checked: 0, faults: [] } });
    const compared = await run(
      ...["compare", "models/bert-tiny.bert", "--verify", "--steps", "1", "--no-profile", "--json"],
      ...["--device", "software", ...settings],
    );
    expect(compared.json()).toMatchObject({ verified: { checked: 0, faults: [] }, equal: true });
  } finally {
    process.env.KILN_TUNING = "none";
  }
  const late = await run("train", join(folder, "x.kiln.json"), "--verify", "--device", "software");
  expect([late.code, late.err]).toEqual([2, expect.stringContaining("--verify comes too late")]);
});
