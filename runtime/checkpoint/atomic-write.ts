import type { FileHandle } from "node:fs/promises";
import { KilnError, messageOf } from "../errors.ts";

/**
 * Writes a file that is either the old one or the whole new one, whatever is killed and when: a temporary file in the
 * same folder, flushed, renamed over the old one, and the folder flushed.
 * @param write gets the open temporary file; the file is given up when it throws
 * @throws KilnError `machine` when the disk refuses; what `write` throws
 */
export async function writeAtomically(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const { mkdir, open, rename, rm } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  const folder = dirname(path);
  const partial = `${path}.${process.pid}.partial`;
  try {
    await mkdir(folder, { recursive: true });
    await removeAbandoned(path);
    const file = await open(partial, "w");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (thrown) {
    await rm(partial, { force: true }).catch(() => undefined);
    if (thrown instanceof KilnError) throw thrown;
    throw new KilnError(
      "machine",
      `${path} could not be written: ${messageOf(thrown)}`,
      "the file there before is as it was",
    );
  }
  // The rename itself lies in the folder. Windows cannot open folders, and orders renames itself.
  const directory = await open(folder, "r").catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}

/** Removes the temporary files (or folders) of processes that were killed while they wrote this file (or folder). */
export async function removeAbandoned(path: string): Promise<void> {
  const { readdir, rm } = await import("node:fs/promises");
  const { basename, dirname, join } = await import("node:path");
  const start = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(start) || !name.endsWith(".partial")) continue;
    const pid = Number(name.slice(start.length, -".partial".length));
    if (Number.isSafeInteger(pid) && pid > 0 && !isAlive(pid))
      await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}
