import type { DType } from "./types.ts";

/** Bytes of one element in a buffer. A bool is stored as a u32 of 0 or 1. */
export function elementSizeBytes(dtype: DType): 2 | 4 {
  return dtype === "f16" ? 2 : 4;
}

/** Bytes of a buffer for `sizeBytes` of content: a size that copies and vec4 bindings allow. */
export function bufferBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 16) * 16;
}
