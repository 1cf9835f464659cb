import { KilnError } from "../errors.ts";

/**
 * The safetensors format: 8 bytes of header length (u64, little-endian), a JSON header, then the tensors' bytes,
 * row-major and little-endian, without holes.
 * @see the `safetensors` repository's README, "Format"
 */

/** Bytes of one element of every dtype of the format whose elements are whole bytes. */
export const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;
export type SafetensorsDType = keyof typeof elementBytes;

export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

/** A tensor of a file. Offsets count from the file's start. */
export interface TensorEntry extends TensorInfo {
  readonly beginByte: number;
  readonly endByte: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorEntry[];
  /** Where the tensors' bytes begin and end: the file's size, if it is whole. */
  readonly dataBegin: number;
  readonly dataEnd: number;
}

/** Bytes before the header's text. */
export const lengthBytes = 8;
/** The limit of the reference implementation, which keeps a damaged length from asking for all memory. */
const maxHeaderBytes = 100_000_000;

export function tensorBytes({ dtype, shape }: Omit<TensorInfo, "name">): number {
  return shape.reduce((product, size) => product * size, elementBytes[dtype]);
}

/**
 * Length and header of a file whose tensors follow in the order given. Padded with spaces so that they begin at a
 * multiple of 8 bytes. `metadata` keeps its order and comes first.
 * @throws Error for a name that is used twice or is the format's own
 */
export function encodeHeader(
  tensors: readonly TensorInfo[],
  metadata: readonly (readonly [string, string])[],
): Uint8Array<ArrayBuffer> {
  const names = new Set(["__metadata__"]);
  let at = 0;
  const entries = tensors.map((tensor) => {
    if (names.has(tensor.name)) throw new Error(`two tensors are called \`${tensor.name}\``);
    names.add(tensor.name);
    const begin = at;
    at += tensorBytes(tensor);
    return [tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, at] }] as const;
  });
  // Put together by hand: an object would sort names like "0" to its front.
  const object = (fields: readonly (readonly [string, unknown])[]) =>
    `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${typeof value === "string" ? value : JSON.stringify(value)}`).join()}}`;
  const text = object([
    ["__metadata__", object(metadata.map(([key, value]) => [key, JSON.stringify(value)]))],
    ...entries,
  ]);
  const bytes = new TextEncoder().encode(text);
  const padded = Math.ceil(bytes.length / 8) * 8;
  const header = new Uint8Array(lengthBytes + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(bytes, lengthBytes);
  return header;
}

/**
 * The length of the header's text from the file's first 8 bytes.
 * @throws KilnError `user` saying what is wrong with the file
 */
export function headerLength(first: Uint8Array, fileBytes: number, path: string): number {
  if (first.length < lengthBytes) {
    throw notSafetensors(
      path,
      `it has ${fileBytes} bytes, and the length of the header alone takes ${lengthBytes}`,
    );
  }
  const length = Number(new DataView(first.buffer, first.byteOffset, lengthBytes).getBigUint64(0, true));
  if (length < 2 || length > maxHeaderBytes) {
    throw notSafetensors(path, `its first 8 bytes, the length of the header, say ${length}`);
  }
  if (lengthBytes + length > fileBytes) {
    throw new KilnError(
      "user",
      `${path} is cut off, or not a safetensors file: its header should take ${length} bytes, the file has ${fileBytes}`,
      cutOffHint,
    );
  }
  return length;
}

const cutOffHint = "copy it again, or use an earlier checkpoint";

/**
 * Reads and checks a header.
 * @param text the bytes after the length
 * @throws KilnError `user` naming the problem: not JSON, a bad tensor, overlaps, holes, missing or surplus bytes
 */
export function parseHeader(text: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch {
    throw notSafetensors(path, "its header is not JSON");
  }
  if (!isRecord(parsed)) throw notSafetensors(path, "its header is not a JSON object");
  const dataBegin = lengthBytes + text.length;
  let metadata: Readonly<Record<string, string>> = {};
  const tensors: TensorEntry[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name === "__metadata__") metadata = parseMetadata(value, path);
    else tensors.push(parseTensor(name, value, dataBegin, path));
  }
  const dataEnd = checkLayout(tensors, dataBegin, fileBytes, path);
  return { metadata, tensors, dataBegin, dataEnd };
}

function parseMetadata(value: unknown, path: string): Readonly<Record<string, string>> {
  if (!isRecord(value)) throw notSafetensors(path, "its metadata is not an object");
  const entries = Object.entries(value).map(([key, text]) => {
    if (typeof text !== "string") throw notSafetensors(path, `its metadata \`${key}\` is not a string`);
    return [key, text] as const;
  });
  return Object.fromEntries(entries);
}

function parseTensor(name: string, value: unknown, dataBegin: number, path: string): TensorEntry {
  const bad = (why: string) => notSafetensors(path, `the tensor \`${name}\` ${why}`);
  if (!isRecord(value)) throw bad("is not described by an object");
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDType(dtype)) throw bad(`has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!isSizes(shape)) throw bad(`has the shape ${JSON.stringify(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) throw bad(`has the offsets ${JSON.stringify(offsets)}`);
  const [begin = 0, end = 0] = offsets;
  const wanted = tensorBytes({ dtype, shape });
  if (end - begin !== wanted) {
    throw bad(`takes ${end - begin} bytes, but ${dtype}[${shape.join(", ")}] takes ${wanted}`);
  }
  return { name, dtype, shape, beginByte: dataBegin + begin, endByte: dataBegin + end };
}

/** @returns where the last tensor ends, which is where the file ends */
function checkLayout(
  tensors: readonly TensorEntry[],
  dataBegin: number,
  fileBytes: number,
  path: string,
): number {
  let end = dataBegin;
  for (const tensor of tensors.toSorted((a, b) => a.beginByte - b.beginByte || a.endByte - b.endByte)) {
    if (tensor.beginByte !== end) {
      throw notSafetensors(
        path,
        `the tensor \`${tensor.name}\` begins at byte ${tensor.beginByte}, not at ${end}`,
      );
    }
    end = tensor.endByte;
  }
  if (fileBytes < end) {
    throw new KilnError("user", `${path} is cut off: it has ${fileBytes} of ${end} bytes`, cutOffHint);
  }
  if (fileBytes > end) throw notSafetensors(path, `${fileBytes - end} bytes follow its last tensor`);
  return end;
}

function notSafetensors(path: string, why: string): KilnError {
  return new KilnError("user", `${path} is not a whole safetensors file: ${why}`);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDType(value: unknown): value is SafetensorsDType {
  return typeof value === "string" && Object.hasOwn(elementBytes, value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
