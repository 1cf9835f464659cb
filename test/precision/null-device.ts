import { create } from "webgpu";

/** Dawn's instance must outlive what it made. */
let gpu: GPU | undefined;

/** What Tint and Dawn say to a module, on a device that computes nothing but has every optional feature. */
export interface Validator {
  readonly adapter: GPUAdapter;
  /** Messages of Tint, errors and warnings alike. */
  messages(wgsl: string): Promise<readonly string[]>;
  /** What Dawn says to the module as a pipeline; undefined: nothing. */
  pipelineError(wgsl: string): Promise<string | undefined>;
  close(): void;
}

const wanted: readonly string[] = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];

/** @throws Error where Dawn's null backend lacks a feature that kernels of GPUs use */
export async function openValidator(): Promise<Validator> {
  gpu ??= create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("Dawn has no null backend");
  const has = (feature: string): feature is GPUFeatureName => adapter.features.has(feature);
  const missing = wanted.filter((feature) => !adapter.features.has(feature));
  if (missing.length > 0) throw new Error(`the null backend has no ${missing.join(", ")}`);
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter(has),
    requiredLimits: {
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    },
  });
  const scoped = async <T>(work: () => T): Promise<{ readonly made: T; readonly error?: string }> => {
    device.pushErrorScope("validation");
    const made = work();
    const error = await device.popErrorScope();
    return error === null ? { made } : { made, error: error.message };
  };
  return {
    adapter,
    async messages(wgsl) {
      const { made } = await scoped(() => device.createShaderModule({ code: wgsl }));
      const { messages } = await made.getCompilationInfo();
      return messages.map(({ type, lineNum, message }) => `${type}, line ${lineNum}: ${message}`);
    },
    async pipelineError(wgsl) {
      const { made: module, error } = await scoped(() => device.createShaderModule({ code: wgsl }));
      if (error !== undefined) return error;
      const descriptor = { layout: "auto", compute: { module, entryPoint: "main" } } as const;
      return (await scoped(() => device.createComputePipeline(descriptor))).error;
    },
    close: () => device.destroy(),
  };
}
