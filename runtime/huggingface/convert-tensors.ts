import type { StoredTensor } from "../checkpoint/index.ts";
import { KilnError } from "../errors.ts";
import { decodeFloats, type FloatDType } from "./float-formats.ts";
import { storedShape, type TensorPair } from "./tensor-names.ts";

/** A tensor of f32, f16 or bf16. */
export type FloatTensor = StoredTensor & { readonly dtype: FloatDType };

/**
 * A tensor of Hugging Face's as Kiln stores it: f32, a matrix as [in, out].
 * Its `read` throws KilnError `user` for NaN and infinity: no trained weight is one, a damaged one may be.
 */
export function toKiln(source: FloatTensor, pair: TensorPair): StoredTensor {
  return arranged(finite(source, pair.huggingFace), pair, pair.shape, (bits) => {
    const [columns = 1, rows = 1] = pair.shape;
    const turned = pair.transposed ? transpose(bits, rows, columns) : bits;
    return pair.reversed ? reverseLastAxis(turned, pair.shape.at(-1) ?? 1) : turned;
  });
}

/** A parameter of Kiln's as Hugging Face stores it: f32, a matrix as [out, in]. */
export function toHuggingFace(source: FloatTensor, pair: TensorPair): StoredTensor {
  return arranged(source, pair, storedShape(pair), (bits) => {
    const [rows = 1, columns = 1] = pair.shape;
    const ordered = pair.reversed ? reverseLastAxis(bits, pair.shape.at(-1) ?? 1) : bits;
    return pair.transposed ? transpose(ordered, rows, columns) : ordered;
  });
}

/** What stays in its order comes in the pieces it is read in; what changes is held whole, one tensor at a time. */
function arranged(
  source: FloatTensor,
  { transposed, reversed }: TensorPair,
  shape: readonly number[],
  arrange: (bits: Uint32Array<ArrayBuffer>) => Uint32Array<ArrayBuffer>,
): StoredTensor {
  const keepsOrder = !transposed && !reversed;
  return {
    dtype: "F32",
    shape,
    async *read() {
      if (keepsOrder) for await (const piece of floatPieces(source)) yield bytesOf(piece);
      else yield bytesOf(arrange(await readBits(source)));
    },
  };
}

/** The numbers of a tensor, however its bytes are cut. */
export async function* floatPieces(source: FloatTensor): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const size = source.dtype === "F32" ? 4 : 2;
  let rest = new Uint8Array(0);
  for await (const piece of source.read()) {
    const bytes = rest.length === 0 ? piece : concatenate(rest, piece);
    const whole = bytes.length - (bytes.length % size);
    rest = bytes.slice(whole);
    if (whole > 0) yield decodeFloats(bytes.subarray(0, whole), source.dtype);
  }
}

function finite(source: FloatTensor, name: string): FloatTensor {
  return {
    dtype: "F32",
    shape: source.shape,
    async *read() {
      for await (const piece of floatPieces(source)) {
        if (!bitsOf(piece).every((bits) => (bits & EXPONENT) !== EXPONENT)) {
          throw new KilnError(
            "user",
            `\`${name}\` holds numbers that are not finite: its file is damaged, or its training went wrong`,
            "copy the model again",
          );
        }
        yield bytesOf(piece);
      }
    },
  };
}

/** All ones in NaN and infinity alone (IEEE 754, 3.4). */
const EXPONENT = 0x7f80_0000;

/** Moved as bits: a number would not keep the payload of a NaN. */
async function readBits(source: FloatTensor): Promise<Uint32Array<ArrayBuffer>> {
  const bits = new Uint32Array(source.shape.reduce((count, size) => count * size, 1));
  let at = 0;
  for await (const piece of floatPieces(source)) {
    bits.set(bitsOf(piece), at);
    at += piece.length;
  }
  return bits;
}

function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Whether two tensors of one shape hold the same numbers, bit for bit but for the format that they are stored in. */
export async function sameNumbers(a: FloatTensor, b: FloatTensor): Promise<boolean> {
  const left = floatPieces(a);
  const right = floatPieces(b);
  let x = new Uint32Array(0);
  let y = new Uint32Array(0);
  for (;;) {
    // Formats of other sizes come in pieces of other lengths.
    if (x.length === 0) x = await nextBits(left);
    if (y.length === 0) y = await nextBits(right);
    const count = Math.min(x.length, y.length);
    if (count === 0) return x.length === y.length;
    for (let i = 0; i < count; i++) if (x[i] !== y[i]) return false;
    x = x.subarray(count);
    y = y.subarray(count);
  }
}

async function nextBits(
  pieces: AsyncGenerator<Float32Array<ArrayBuffer>>,
): Promise<Uint32Array<ArrayBuffer>> {
  const next = await pieces.next();
  return next.done === true ? new Uint32Array(0) : bitsOf(next.value);
}

/** [rows, columns] -> [columns, rows], in blocks that stay in the cache. */
function transpose(
  values: Uint32Array<ArrayBuffer>,
  rows: number,
  columns: number,
): Uint32Array<ArrayBuffer> {
  const block = 32;
  const turned = new Uint32Array(values.length);
  for (let top = 0; top < rows; top += block) {
    const bottom = Math.min(rows, top + block);
    for (let left = 0; left < columns; left += block) {
      const right = Math.min(columns, left + block);
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++)
          turned[column * rows + row] = values[row * columns + column] ?? 0;
    }
  }
  return turned;
}

/** [..., size], the last axis from its end. */
function reverseLastAxis(values: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  return values.map((_, at) => values[at - (at % size) + (size - 1 - (at % size))] ?? 0);
}

function bytesOf(values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
