import type { DeviceProfile, MatrixShape } from "../../compiler/program/index.ts";

/** What every WebGPU device gives: compile with this when the device is not known. WebGPU, "Limits", default values. */
export const defaultGpuProfile: DeviceProfile = {
  deviceClass: "gpu",
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 128 * 1024 * 1024,
  maxBufferSize: 256 * 1024 * 1024,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16_384,
  minStorageBufferOffsetAlignment: 256,
  f16: false,
};

/** SwiftShader reports 1 GiB for a buffer and allocates a little less (measured: 1 GiB fails, 64 KiB less does not). */
const softwareBufferBytes = 1024 * 1024 * 1024 - 65_536;

/** The embedded software device, SwiftShader of `@sparticuz/chromium` 147 (limits read from its adapter). */
export const softwareProfile: DeviceProfile = {
  deviceClass: "software",
  maxStorageBuffersPerShaderStage: 12,
  maxStorageBufferBindingSize: softwareBufferBytes,
  maxBufferSize: softwareBufferBytes,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 32_768,
  minStorageBufferOffsetAlignment: 256,
  f16: false,
};

/** The limits asked of an adapter: all that a `DeviceProfile` carries and the other two workgroup sizes. */
const wantedLimits = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * The best the adapter can do for storage and compute. Offset alignment stays at the default 256 bytes, so that a
 * program's offsets fit every device.
 */
export function limitsToAskFor(available: GPUSupportedLimits): Record<string, number> {
  return Object.fromEntries(wantedLimits.map((name) => [name, available[name]]));
}

/** @param features those that the device was opened with, and those of the language that its WGSL may use */
export function profileOf(
  limits: GPUSupportedLimits,
  info: GPUAdapterInfo,
  features: ReadonlySet<string>,
  isSoftware: boolean,
): DeviceProfile {
  const bufferBytes = isSoftware ? softwareBufferBytes : Number.POSITIVE_INFINITY;
  return {
    deviceClass: isSoftware ? "software" : "gpu",
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxStorageBufferBindingSize: Math.min(limits.maxStorageBufferBindingSize, bufferBytes),
    maxBufferSize: Math.min(limits.maxBufferSize, bufferBytes),
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    minStorageBufferOffsetAlignment: limits.minStorageBufferOffsetAlignment,
    f16: features.has("shader-f16"),
    ...subgroupsOf(info, features),
  };
}

/** What the profile says of subgroups. A device may have them and not say of which size: then they are of no use. */
function subgroupsOf(
  info: GPUAdapterInfo,
  features: ReadonlySet<string>,
): Pick<DeviceProfile, "subgroupSizes" | "subgroupMatrices"> {
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  // Kernels ask which subgroup they are in.
  if (!features.has("subgroups") || !features.has("subgroup_id")) return {};
  if (min === undefined || max === undefined || min < 1) return {};
  const subgroupSizes = { min, max };
  if (!features.has("chromium-experimental-subgroup-matrix")) return { subgroupSizes };
  return { subgroupSizes, subgroupMatrices: matrixShapesOf(info) };
}

/** Of the configurations that an adapter lists, those of f16 operands that are summed in f32. */
function matrixShapesOf(info: GPUAdapterInfo): readonly MatrixShape[] {
  const configs: unknown = "subgroupMatrixConfigs" in info ? info.subgroupMatrixConfigs : undefined;
  if (typeof configs !== "object" || configs === null) return [];
  return Object.values(configs).flatMap((config: unknown): readonly MatrixShape[] => {
    const { M: m, N: n, K: k, componentType, resultComponentType } = fieldsOf(config);
    if (typeof m !== "number" || typeof n !== "number" || typeof k !== "number") return [];
    return componentType === "f16" && resultComponentType === "f32" ? [{ m, n, k }] : [];
  });
}

/** Fields that may be getters of an object's prototype. */
function fieldsOf(config: unknown): Readonly<Record<string, unknown>> {
  if (typeof config !== "object" || config === null) return {};
  const names = ["M", "N", "K", "componentType", "resultComponentType"];
  return Object.fromEntries(names.map((name) => [name, Reflect.get(config, name)]));
}
