import type { FileHandle } from "node:fs/promises";
import { KilnError, messageOf } from "../errors.ts";
import { writeAtomically } from "./atomic-write.ts";
import {
  type ByteSource,
  checkChecksum,
  fileBytes,
  readTensors,
  type StoredTensor,
  type Tensors,
  writeTensors,
} from "./tensor-bytes.ts";

export interface TensorFile extends Tensors {
  readonly path: string;
}

/**
 * Writes a safetensors file atomically, with a checksum (`writeTensors`).
 * @throws KilnError `machine` when the disk refuses; what a tensor's `read` throws, in which case nothing is changed
 */
export async function writeTensorFile(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await writeAtomically(path, (file) =>
    writeTensors({ write: (bytes, position) => writeAll(file, bytes, position ?? null) }, tensors, metadata),
  );
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
  return { path, ...(await readTensors(await openFile(path))) };
}

/**
 * Compares a file with the checksum it carries.
 * @throws KilnError `user` for a file that was changed, or that carries none
 */
export async function verifyChecksum(path: string): Promise<void> {
  await checkChecksum(await openFile(path));
}

/**
 * A file as a source. It is open only while it is read, and must stay the file that it is now.
 * @throws KilnError `user` for a path that is no file that can be read
 */
export async function openFile(path: string): Promise<ByteSource> {
  return withFile(path, async (file, sizeBytes) => {
    const identity = await identityOf(file);
    return {
      name: path,
      sizeBytes,
      read: (beginByte, length) =>
        withFile(path, async (again) => {
          if ((await identityOf(again)) !== identity) {
            throw new KilnError("user", `${path} was replaced while it was being read`, "start again");
          }
          return readRange(again, beginByte, length, path);
        }),
    };
  });
}

/** What tells that a path still holds the file it held: a checkpoint may be replaced while it is being read. */
async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeMs } = await file.stat();
  return `${dev} ${ino} ${size} ${mtimeMs}`;
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
