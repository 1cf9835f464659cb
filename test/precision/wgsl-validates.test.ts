import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DeviceProfile } from "../../compiler/program/index.ts";
import { defaultGpuProfile, softwareProfile } from "../../runtime/device/index.ts";
import { compileSpec } from "../compiler/specs.ts";
import { openValidator, type Validator } from "./null-device.ts";

/** Kernels for GPUs that are not at hand: Tint reads all of them, and Dawn makes pipelines of them that nothing runs. */
describe("kernels with f16 are valid WGSL", () => {
  let validator: Validator;
  beforeAll(async () => {
    validator = await openValidator();
  });
  afterAll(() => validator.close());

  const profiles: readonly (readonly [string, DeviceProfile])[] = [
    ["gpu", { ...defaultGpuProfile, f16: true }],
    ["gpu with subgroups", { ...defaultGpuProfile, f16: true, subgroupSizes: { min: 4, max: 128 } }],
    // The null backend binds no more than any device.
    ["software", { ...softwareProfile, f16: true, maxStorageBuffersPerShaderStage: 8 }],
  ];
  const specs = [
    ["models/bert-tiny.bert", {}],
    ["models/bert-small.bert", { batch: "16", vocab: "8000" }],
    ["models/gpt-small.bert", {}],
  ] as const;
  const cases = specs.flatMap(([spec, settings]) =>
    profiles.map(([name, profile]) => ({ spec, settings, name, profile })),
  );

  test.each(cases)("$spec, class $name", async ({ spec, settings, profile }) => {
    const { program } = compileSpec(spec, { profile, settings, precision: "mixed", verify: true });
    expect(program.kernels.filter(({ wgsl }) => wgsl.startsWith("enable f16;\n")).length).toBeGreaterThan(10);
    for (const { name, wgsl } of program.kernels) {
      expect([name, ...(await validator.messages(wgsl))]).toEqual([name]);
      expect([name, await validator.pipelineError(wgsl)]).toEqual([name, undefined]);
    }
  });

  test("a mistake is found", async () => {
    const wrong = "enable f16;\n@compute @workgroup_size(1) fn main() { let x: f16 = 1f; }";
    expect(await validator.messages(wrong)).toEqual([
      "error, line 2: cannot initialize 'let' of type 'f16' with value of type 'f32'",
    ]);
    expect(await validator.pipelineError(wrong)).toMatch(/cannot initialize/);
  });
});
