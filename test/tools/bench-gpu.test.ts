import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTensorFile } from "../../runtime/checkpoint/index.ts";
import { runGpuBench } from "../../tools/bench-gpu/cli.ts";
import { gpuConfigurations } from "../../tools/bench-gpu/configurations.ts";
import { makeGpuTask, writeGpuTask } from "../../tools/bench-gpu/task.ts";
import { compileSpec } from "../compiler/specs.ts";
import { capture } from "./capture.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-bench-gpu-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function compiled({ spec, settings }: (typeof gpuConfigurations)[keyof typeof gpuConfigurations]) {
  const texts = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  return compileSpec(spec, { settings: texts, entries: ["train"] }).program;
}

describe.each(Object.entries(gpuConfigurations))("%s", (_, configuration) => {
  const program = compiled(configuration);

  test("the model that PyTorch is told of has the spec's sizes", () => {
    const { model, schedule } = configuration;
    const shapes = new Map(program.parameters.map(({ name, shape }) => [name, shape]));
    expect(shapes.get("encoder.token.weight")).toEqual([model.vocab, model.hidden]);
    expect(shapes.get("encoder.position.weight")).toEqual([model.positions, model.hidden]);
    expect(shapes.get(`encoder.blocks.${model.layers - 1}.feed_forward.inner.weight`)).toEqual([
      model.hidden,
      model.ffn,
    ]);
    expect(shapes.has(`encoder.blocks.${model.layers}.feed_forward.inner.weight`)).toBe(false);
    expect(shapes.has("encoder.norm.gamma")).toBe(model.embedding_norm);
    expect(shapes.has("masked_lm.bias")).toBe(model.tied);
    expect(program.settings.accumulate).toBe(1);
    expect(schedule.compared).toBeLessThanOrEqual(schedule.warmUp);
    const steps = schedule.warmUp + schedule.blocks * schedule.stepsPerBlock;
    expect(steps).toBeLessThanOrEqual(program.settings.steps);
  });
});

test("a task holds weights, batches and what the script needs to know", async () => {
  const configuration = gpuConfigurations.tiny;
  const program = compiled(configuration);
  const task = await makeGpuTask(program, 3);
  const path = join(folder, "task.safetensors");
  await writeGpuTask(path, task, configuration.model, configuration.schedule, [0.5, 0.25]);
  const { tensors, metadata } = await readTensorFile(path);
  for (const { name, shape } of program.parameters)
    expect(tensors.get(`weight.${name}`)).toMatchObject({ dtype: "F32", shape });
  for (const { name, shape } of program.inputs) expect(tensors.get(`batch.7.${name}`)?.shape).toEqual(shape);
  expect(JSON.parse(metadata.task ?? "")).toMatchObject({
    hidden: 32,
    batches: 8,
    rates: [0.5, 0.25],
    warmUp: 3,
  });
});

test("says what is missing, and how to try it without", { timeout: 60_000 }, async () => {
  const tiny = ["--config", "tiny", "--device", "software", "--output", folder];
  const noPython = await capture(runGpuBench, [...tiny, "--python", join(folder, "python")]);
  expect(noPython.code).toBe(3);
  expect(noPython.err).toContain("does not start");
  expect(noPython.err).toContain("--python");
  const unknown = await capture(runGpuBench, ["--config", "huge"]);
  expect(unknown.code).toBe(2);
  expect(unknown.err).toContain("tiny-original");
});
