import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { KilnError, messageOf } from "../../errors.ts";
import { type Manifest, manifestName, parseManifest, type ShardEntry } from "./manifest.ts";
import { pairLengths, readShard, type ShardText } from "./shard-format.ts";

/** Whether a folder holds what `prepareCorpus` wrote, whole or damaged. */
export async function isPrepared(path: string): Promise<boolean> {
  return (await stat(join(path, manifestName)).catch(() => undefined))?.isFile() === true;
}

/** A vocabulary of millions of words and a corpus of terabytes stay well below. */
const mostManifestBytes = 2 ** 28;

/** @throws KilnError `user` when there is none or it is damaged */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName);
  try {
    const { size } = await stat(path);
    if (size > mostManifestBytes) {
      throw new KilnError("user", `${path} is damaged: it has ${size} bytes`, "prepare the corpus again");
    }
    return parseManifest(await readFile(path, "utf8"), path);
  } catch (error) {
    if (error instanceof KilnError) throw error;
    throw new KilnError("user", `cannot read ${path}: ${messageOf(error)}`, undefined, error);
  }
}

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest)}\n`;
}

/**
 * Reads a shard and holds it against what the manifest says of it. Blocks: it is meant for a thread of its own.
 * @throws KilnError `user` for a shard that is not the one that was written
 */
export function loadShard(folder: string, entry: ShardEntry, vocabularySize: number): ShardText {
  const path = join(folder, entry.file);
  const damaged = (why: string): KilnError =>
    new KilnError("user", `${path} is damaged: ${why}`, "prepare the corpus again");
  const bytes = readWhole(path, entry.bytes, damaged);
  if (createHash("sha256").update(bytes).digest("hex") !== entry.sha256) {
    throw damaged("its contents are not those that were written (SHA-256)");
  }
  const text = readShard(bytes, path, vocabularySize);
  const { paragraphs, sentences, tokens, pairs } = entry;
  if (
    text.paragraphStarts.length !== paragraphs + 1 ||
    text.sentenceStarts.length !== sentences + 1 ||
    text.tokens.length !== tokens ||
    JSON.stringify(pairLengths(text)) !== JSON.stringify(pairs)
  ) {
    throw damaged(`its counts are not those of ${manifestName}`);
  }
  return text;
}

/** All of a file, in a buffer of its own. */
function readWhole(path: string, size: number, damaged: (why: string) => KilnError): Uint8Array<ArrayBuffer> {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const found = fstatSync(file).size;
    if (found !== size) throw damaged(`it has ${found} bytes, and ${size} were written`);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const read = readSync(file, bytes, at, size - at, at);
      if (read === 0) throw damaged(`it ends after ${at} bytes`);
      at += read;
    }
    return bytes;
  } catch (error) {
    if (error instanceof KilnError) throw error;
    throw new KilnError(
      "user",
      `cannot read ${path}: ${messageOf(error)}`,
      "prepare the corpus again",
      error,
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Writes a folder that is whole or not there, whatever is killed and when: it is filled beside its place, its manifest comes last,
 * and it is renamed.
 * @param fill writes all files but the manifest into the folder it is given
 * @throws KilnError `user` for a folder that is there already, and with `force` for one that holds anything but a prepared corpus;
 *   `machine` when the disk refuses; what `fill` throws
 */
export async function writeFolderAtomically<T>(
  folder: string,
  force: boolean,
  fill: (partial: string) => Promise<{ readonly content: T; readonly manifest: string }>,
): Promise<T> {
  const place = resolve(folder);
  const isThere = await expectFree(place, folder, force);
  const partial = `${place}.${process.pid}.partial`;
  const replaced = `${place}.${process.pid}.replaced.partial`;
  try {
    await mkdir(dirname(place), { recursive: true });
    await removeAbandoned(place);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    const { content, manifest } = await fill(partial);
    await writeFile(join(partial, manifestName), manifest, { flush: true });
    await flushFolder(partial);
    if (isThere) await rename(place, replaced);
    try {
      await rename(partial, place);
    } catch (error) {
      if (isThere) await rename(replaced, place);
      throw error;
    }
    await flushFolder(dirname(place));
    return content;
  } catch (error) {
    // What a person or a caller did wrong says so itself; all else is the disk's.
    if (error instanceof KilnError || !isSystemError(error)) throw error;
    throw new KilnError(
      "machine",
      `${folder} could not be written: ${messageOf(error)}`,
      "nothing of it was kept",
      error,
    );
  } finally {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    await rm(replaced, { recursive: true, force: true }).catch(() => undefined);
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

/** @returns whether there is a folder that must make room */
async function expectFree(place: string, folder: string, force: boolean): Promise<boolean> {
  const info = await stat(place).catch(() => undefined);
  if (info === undefined) return false;
  if (!info.isDirectory()) throw new KilnError("user", `${folder} is a file`, "name another folder");
  const names = await readdir(place);
  if (names.length === 0) return true;
  if (!(await isPrepared(place))) {
    throw new KilnError("user", `${folder} is there already and holds other files`, "name another folder");
  }
  if (!force) throw new KilnError("user", `${folder} is there already`, "--force writes it anew");
  // Never to remove what somebody put beside the shards.
  const stranger = names.find((name) => name !== manifestName && !name.endsWith(".shard"));
  if (stranger !== undefined) {
    throw new KilnError(
      "user",
      `${folder} holds ${stranger}, which is no part of a prepared corpus`,
      "move it away",
    );
  }
  return true;
}

/** Removes what processes that were killed left beside the folder. */
async function removeAbandoned(place: string): Promise<void> {
  const start = `${basename(place)}.`;
  for (const name of await readdir(dirname(place))) {
    const pid = /^(\d+)\.(?:replaced\.)?partial$/.exec(
      name.startsWith(start) ? name.slice(start.length) : "",
    )?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(dirname(place), name), { recursive: true, force: true });
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

/** A folder's entries lie in the folder. Windows cannot open folders, and orders renames itself. */
async function flushFolder(folder: string): Promise<void> {
  const directory = await open(folder, "r").catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}
