import { KilnError, messageOf } from "../errors.ts";
import { removeAbandoned } from "./atomic-write.ts";

export interface FolderTarget {
  readonly path: string;
  /** Replace what is there, if it is a folder that has `marker`: what was written here before, and nothing else. */
  readonly replace: boolean;
  /** A file that every folder of this kind has. */
  readonly marker: string;
}

/**
 * Makes a folder that is there whole or not at all, whatever is killed and when: written beside its place, then renamed.
 * @param write gets the folder to write into, which is empty; it is given up when it throws
 * @throws KilnError `user` where something is there already; `machine` when the disk refuses; what `write` throws
 */
export async function writeFolderAtomically(
  target: FolderTarget,
  write: (folder: string) => Promise<void>,
): Promise<void> {
  const { mkdir, rename, rm } = await import("node:fs/promises");
  const { dirname, resolve } = await import("node:path");
  const path = resolve(target.path);
  await checkPlace(path, target);
  const partial = `${path}.${process.pid}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await removeAbandoned(path);
    await mkdir(partial);
    await write(partial);
    await flush(partial);
    // Again: writing may have taken minutes.
    const isThere = await checkPlace(path, target);
    const before = `${path}.${process.pid}.replaced`;
    if (isThere) await rename(path, before);
    try {
      await rename(partial, path);
    } catch (thrown) {
      if (isThere) await rename(before, path);
      throw thrown;
    }
    await rm(before, { recursive: true, force: true });
  } catch (thrown) {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    if (thrown instanceof KilnError) throw thrown;
    throw new KilnError("machine", `${target.path} could not be written: ${messageOf(thrown)}`);
  }
}

/** Files must lie on the disk before their folder is called what it is to be called. */
async function flush(folder: string): Promise<void> {
  const { open, readdir } = await import("node:fs/promises");
  const { join } = await import("node:path");
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = await open(join(folder, entry.name), "r+");
    await file.sync();
    await file.close();
  }
}

/** @returns whether a folder is there that may be replaced */
async function checkPlace(path: string, { path: named, replace, marker }: FolderTarget): Promise<boolean> {
  const { lstat, stat } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (!replace) {
    throw new KilnError(
      "user",
      `${named} exists already`,
      "give another folder with -o, or replace it with --force",
    );
  }
  const isOfKind =
    found.isDirectory() && (await stat(join(path, marker)).catch(() => undefined)) !== undefined;
  if (isOfKind) return true;
  throw new KilnError(
    "user",
    `${named} is no folder that has ${marker}: it is not replaced`,
    "give another folder with -o, or remove it yourself",
  );
}
