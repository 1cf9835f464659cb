import type { SafetensorsDType } from "../checkpoint/index.ts";

/** Formats of weights, all of which f32 holds exactly. */
export const floatDTypes = ["F32", "F16", "BF16"] as const;
export type FloatDType = (typeof floatDTypes)[number];

export function isFloatDType(dtype: SafetensorsDType): dtype is FloatDType {
  return floatDTypes.some((known) => known === dtype);
}

/** @param bytes little-endian, whole elements */
export function decodeFloats(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDType): Float32Array<ArrayBuffer> {
  const words = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  if (dtype === "F32") return new Float32Array(words.buffer, words.byteOffset, words.length / 4);
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length / 2);
  if (dtype === "F16") {
    const table = halfValues();
    return Float32Array.from(halves, (half) => table[half] ?? Number.NaN);
  }
  // bfloat16 is the upper half of an f32.
  return new Float32Array(Uint32Array.from(halves, (half) => half * 0x10000).buffer);
}

let halfTable: Float32Array | undefined;

/** The value of every binary16, by its bits (IEEE 754, 3.4): 256 KiB, made when the first f16 tensor is read. */
function halfValues(): Float32Array {
  halfTable ??= Float32Array.from({ length: 0x10000 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return halfTable;
}
