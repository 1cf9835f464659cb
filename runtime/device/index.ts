// In: a wish (`auto` or `software`).
// Out: an open WebGPU device with its limits as plain data (`DeviceProfile`), and profiles for compiling without one.
// Assumes: a browser with WebGPU, or Node with npm `webgpu`; modules of Node are loaded only in Node.
// Guarantees: a real GPU comes before the software device; a lost device and uncaught errors surface as `KilnError`.
// Start reading at: open.ts.
export type { FoundAdapter } from "./node.ts";
export { type AdapterIdentity, findAdapter, type KilnDevice, type OpenOptions, openDevice } from "./open.ts";
export { patiently } from "./patience.ts";
export { defaultGpuProfile, softwareProfile } from "./profile.ts";
export { bufferUsage, mapModeRead, shaderStageCompute } from "./usage.ts";
