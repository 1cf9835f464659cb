/**
 * WebGPU's flag values as numbers: Node has no `GPUBufferUsage` global, and setting globals is not ours to do.
 * @see WebGPU, "GPUBufferUsage" and "GPUMapMode"
 */
export const bufferUsage = {
  mapRead: 0x0001,
  copySource: 0x0004,
  copyDestination: 0x0008,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const;

export const mapModeRead = 0x0001;
export const shaderStageCompute = 0x4;
