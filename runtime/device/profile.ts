import type { DeviceProfile } from "../../compiler/program/index.ts";

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

/** @param features those that the device was opened with */
export function profileOf(
  limits: GPUSupportedLimits,
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
  };
}
