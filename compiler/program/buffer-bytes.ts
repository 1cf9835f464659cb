/** Bytes of a buffer for `sizeBytes` of content: a size that copies and vec4 bindings allow. */
export function bufferBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 16) * 16;
}
