import type { DType, TensorPlace } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";

/** A tensor's elements, row-major. `bool` comes as u32 0 or 1, `f16` as f32. */
export type TensorData = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

export interface OutputTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}
export type Outputs = Readonly<Record<string, OutputTensor>>;

/** Input fields by name. Fields the entry does not read are ignored. */
export type InputFields = Readonly<Record<string, Int32Array | Float32Array | Uint32Array>>;

/** @throws KilnError `usage` for a field that is missing, or of another type or length than the input */
export function checkInput(entry: string, place: TensorPlace, field: InputFields[string] | undefined): void {
  const shape = `${place.dtype}[${place.shape.join(", ")}]`;
  if (field === undefined) {
    throw new KilnError("usage", `the entry \`${entry}\` needs the input \`${place.name}\`: ${shape}`);
  }
  const given = field instanceof Float32Array ? "f32" : field instanceof Int32Array ? "i32" : "u32";
  const wanted = place.dtype === "bool" ? "u32" : place.dtype;
  if (given !== wanted || field.length !== byteLength(place) / 4) {
    throw new KilnError(
      "usage",
      `the input \`${place.name}\` is ${shape}, but ${field.length} values of ${given} were given`,
    );
  }
}

export function byteLength(place: TensorPlace): number {
  const elements = place.shape.reduce((product, size) => product * size, 1);
  // Copies are whole words.
  return place.dtype === "f16" ? 4 * Math.ceil(elements / 2) : 4 * elements;
}

export function asTyped(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TensorData {
  const { buffer, byteOffset, byteLength: length } = bytes;
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, byteOffset, length / 4);
    case "i32":
      return new Int32Array(buffer, byteOffset, length / 4);
    case "f16":
      return Float32Array.from(new Uint16Array(buffer, byteOffset, length / 2), floatOfHalf);
    case "u32":
    case "bool":
      return new Uint32Array(buffer, byteOffset, length / 4);
    default:
      return dtype satisfies never;
  }
}

/** The value of an IEEE 754 binary16 from its bits. */
function floatOfHalf(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const sign = bits < 0x8000 ? 1 : -1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
