import { KilnError } from "../errors.ts";
import {
  encodeHeader,
  headerLength,
  lengthBytes,
  parseHeader,
  type SafetensorsDType,
  type TensorInfo,
  tensorBytes,
} from "./safetensors.ts";
import { startSha256 } from "./sha256.ts";

/** A tensor whose bytes (row-major, little-endian) come in pieces, so that none need lie whole in memory. */
export interface StoredTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** May be called more than once. */
  read(): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** A file's bytes, wherever they lie: on a disk, in a browser's storage, in memory. */
export interface ByteSource {
  /** What messages call it: a path or a file's name. */
  readonly name: string;
  readonly sizeBytes: number;
  /** @throws KilnError when the bytes are not what they were when the source was opened */
  read(beginByte: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Where a file's bytes go, one call after the other. */
export interface ByteSink {
  /** @param position in bytes from the start; left out, behind what was last written so */
  write(bytes: Uint8Array<ArrayBuffer>, position?: number): Promise<void>;
}

/** What is in a safetensors file; the tensors' bytes are read when asked for. */
export interface Tensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const pieceBytes = 16 * 1024 * 1024;
/** The checksum is the first metadata, so its place is the same in every file. Hexadecimal SHA-256. */
const checksumStart = '{"__metadata__":{"sha256":"';
const checksumBytes = 64;
const checksumPlace = lengthBytes + checksumStart.length;

/**
 * Writes a safetensors file with the SHA-256 of the whole file (its own 64 digits counted as zeros) as the metadata
 * `sha256`, a name that `metadata` must not use.
 * @throws what the sink or a tensor's `read` throws
 */
export async function writeTensors(
  sink: ByteSink,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const noDigits = ["sha256", "0".repeat(checksumBytes)] as const;
  const hash = await startSha256();
  for await (const piece of fileBytes(tensors, [noDigits, ...Object.entries(metadata)])) {
    hash.update(piece);
    await sink.write(piece);
  }
  await sink.write(new TextEncoder().encode(hash.digest()), checksumPlace);
}

/** The bytes of a safetensors file, piece by piece, with just this metadata. */
export async function* fileBytes(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: readonly (readonly [string, string])[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const infos: readonly TensorInfo[] = [...tensors].map(([name, { dtype, shape }]) => ({
    name,
    dtype,
    shape,
  }));
  yield encodeHeader(infos, metadata);
  for (const [name, tensor] of tensors) {
    let given = 0;
    for await (const piece of tensor.read()) {
      yield piece;
      given += piece.length;
    }
    if (given !== tensorBytes(tensor)) {
      throw new Error(`the tensor \`${name}\` gave ${given} of its ${tensorBytes(tensor)} bytes`);
    }
  }
}

/**
 * Reads the header of any safetensors file.
 * @throws KilnError `user` naming the source and the problem
 */
export async function readTensors(source: ByteSource): Promise<Tensors> {
  const { name, sizeBytes } = source;
  const length = headerLength(await source.read(0, Math.min(sizeBytes, lengthBytes)), sizeBytes, name);
  const header = parseHeader(await source.read(lengthBytes, length), sizeBytes, name);
  const tensors = new Map(
    header.tensors.map((tensor) => [
      tensor.name,
      {
        dtype: tensor.dtype,
        shape: tensor.shape,
        read: () => readPieces(source, tensor.beginByte, tensor.endByte),
      },
    ]),
  );
  return { metadata: header.metadata, tensors };
}

async function* readPieces(
  source: ByteSource,
  beginByte: number,
  endByte: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = beginByte; at < endByte; at += pieceBytes)
    yield await source.read(at, Math.min(pieceBytes, endByte - at));
}

/**
 * Compares a file with the checksum it carries.
 * @throws KilnError `user` for a file that was changed, or that carries none
 */
export async function checkChecksum(source: ByteSource): Promise<void> {
  const { name, sizeBytes } = source;
  const start = await source.read(0, Math.min(sizeBytes, checksumPlace + checksumBytes));
  const text = new TextDecoder("latin1").decode(start);
  const stored = text.slice(checksumPlace);
  if (!text.slice(lengthBytes).startsWith(checksumStart) || !/^[0-9a-f]{64}$/.test(stored)) {
    throw new KilnError("user", `${name} is not a Kiln checkpoint: it carries no checksum`);
  }
  const hash = await startSha256();
  start.fill(0x30, checksumPlace);
  hash.update(start);
  for await (const piece of readPieces(source, start.length, sizeBytes)) hash.update(piece);
  if (hash.digest() !== stored) {
    throw new KilnError(
      "user",
      `${name} is damaged: its contents do not match its checksum`,
      "copy it again, or use an earlier checkpoint",
    );
  }
}

/**
 * A browser's file (or Node's `Blob`) as a source. The browser itself refuses to read a file that changed since.
 * @param name what messages call it
 */
export function blobSource(blob: Blob, name: string): ByteSource {
  return {
    name,
    sizeBytes: blob.size,
    async read(beginByte, length) {
      try {
        return new Uint8Array(await blob.slice(beginByte, beginByte + length).arrayBuffer());
      } catch {
        throw new KilnError("user", `${name} cannot be read: it was changed or removed since`, "start again");
      }
    },
  };
}
