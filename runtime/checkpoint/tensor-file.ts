import type { FileHandle } from "node:fs/promises";
import { KilnError, messageOf } from "../errors.ts";
import { writeAtomically } from "./atomic-write.ts";
import {
  encodeHeader,
  headerLength,
  lengthBytes,
  parseHeader,
  type SafetensorsDType,
  type TensorInfo,
  tensorBytes,
} from "./safetensors.ts";

/** A tensor whose bytes (row-major, little-endian) come in pieces, so that none need lie whole in memory. */
export interface StoredTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** May be called more than once. */
  read(): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

export interface TensorFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const pieceBytes = 16 * 1024 * 1024;
/** The checksum is the first metadata, so its place is the same in every file. Hexadecimal SHA-256. */
const checksumStart = '{"__metadata__":{"sha256":"';
const checksumBytes = 64;
const checksumPlace = lengthBytes + checksumStart.length;

/**
 * Writes a safetensors file atomically, with the SHA-256 of the whole file (its own 64 digits counted as zeros) as
 * the metadata `sha256`, a name that `metadata` must not use.
 * @throws KilnError `machine` when the disk refuses; what a tensor's `read` throws, in which case nothing is changed
 */
export async function writeTensorFile(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const { createHash } = await import("node:crypto");
  const noDigits = ["sha256", "0".repeat(checksumBytes)] as const;
  await writeAtomically(path, async (file) => {
    const hash = createHash("sha256");
    for await (const piece of fileBytes(tensors, [noDigits, ...Object.entries(metadata)])) {
      hash.update(piece);
      await writeAll(file, piece);
    }
    const digits = new TextEncoder().encode(hash.digest("hex"));
    await writeAll(file, digits, checksumPlace);
  });
}

/**
 * Writes a safetensors file atomically for other programs: with just this metadata, and no checksum among it.
 * @throws as `writeTensorFile`
 */
export async function writePlainTensorFile(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await writeAtomically(path, async (file) => {
    for await (const piece of fileBytes(tensors, Object.entries(metadata))) await writeAll(file, piece);
  });
}

async function* fileBytes(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: readonly (readonly [string, string])[],
): AsyncGenerator<Uint8Array> {
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

/** `write` may take less than it is given. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number | null = null): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(
      bytes,
      at,
      bytes.length - at,
      position === null ? null : position + at,
    );
    at += bytesWritten;
  }
}

/**
 * Reads the header of any safetensors file. The tensors' bytes are read when asked for.
 * @throws KilnError `user` naming the path and the problem
 */
export async function readTensorFile(path: string): Promise<TensorFile> {
  return withFile(path, async (file, fileBytes) => {
    const length = headerLength(
      await readRange(file, 0, Math.min(fileBytes, lengthBytes), path),
      fileBytes,
      path,
    );
    const header = parseHeader(await readRange(file, lengthBytes, length, path), fileBytes, path);
    const identity = await identityOf(file);
    const tensors = new Map(
      header.tensors.map((tensor) => [
        tensor.name,
        {
          dtype: tensor.dtype,
          shape: tensor.shape,
          read: () => readTensor(path, identity, tensor.beginByte, tensor.endByte),
        },
      ]),
    );
    return { path, metadata: header.metadata, tensors };
  });
}

/**
 * Compares a file with the checksum it carries.
 * @throws KilnError `user` for a file that was changed, or that carries none
 */
export async function verifyChecksum(path: string): Promise<void> {
  const { createHash } = await import("node:crypto");
  await withFile(path, async (file, fileBytes) => {
    const start = await readRange(file, 0, Math.min(fileBytes, checksumPlace + checksumBytes), path);
    const text = new TextDecoder("latin1").decode(start);
    const stored = text.slice(checksumPlace);
    if (!text.slice(lengthBytes).startsWith(checksumStart) || !/^[0-9a-f]{64}$/.test(stored)) {
      throw new KilnError("user", `${path} is not a Kiln checkpoint: it carries no checksum`);
    }
    const hash = createHash("sha256");
    start.fill(0x30, checksumPlace);
    hash.update(start);
    for (let at = start.length; at < fileBytes; at += pieceBytes) {
      hash.update(await readRange(file, at, Math.min(pieceBytes, fileBytes - at), path));
    }
    if (hash.digest("hex") !== stored) {
      throw new KilnError(
        "user",
        `${path} is damaged: its contents do not match its checksum`,
        "copy it again, or use an earlier checkpoint",
      );
    }
  });
}

/** What tells that a path still holds the file it held: a checkpoint may be replaced while it is being read. */
async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeMs } = await file.stat();
  return `${dev} ${ino} ${size} ${mtimeMs}`;
}

async function* readTensor(
  path: string,
  identity: string,
  beginByte: number,
  endByte: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = beginByte; at < endByte; at += pieceBytes) {
    yield await withFile(path, async (file) => {
      if ((await identityOf(file)) !== identity) {
        throw new KilnError("user", `${path} was replaced while it was being read`, "start again");
      }
      return readRange(file, at, Math.min(pieceBytes, endByte - at), path);
    });
  }
}

async function readRange(
  file: FileHandle,
  begin: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, begin + at);
    if (bytesRead === 0) throw new KilnError("user", `${path} became shorter while it was being read`);
    at += bytesRead;
  }
  return bytes;
}

async function withFile<T>(
  path: string,
  work: (file: FileHandle, fileBytes: number) => Promise<T>,
): Promise<T> {
  const { open } = await import("node:fs/promises");
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    const missing = thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
    throw new KilnError(
      "user",
      missing ? `there is no file ${path}` : `${path} cannot be read: ${messageOf(thrown)}`,
    );
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new KilnError("user", `${path} is not a file`);
    return await work(file, found.size);
  } finally {
    await file.close();
  }
}
