import type { DType, TensorPlace } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";

/** A tensor's elements, row-major. `bool` comes as u32 0 or 1. */
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
  return 4 * place.shape.reduce((product, size) => product * size, 1);
}

export function asTyped(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TensorData {
  const { buffer, byteOffset, byteLength: length } = bytes;
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, byteOffset, length / 4);
    case "i32":
      return new Int32Array(buffer, byteOffset, length / 4);
    case "u32":
    case "bool":
      return new Uint32Array(buffer, byteOffset, length / 4);
    default:
      return dtype satisfies never;
  }
}
