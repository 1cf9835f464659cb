import type { ByteSink, ByteSource, Checkpoint, CheckpointContents } from "../../runtime/checkpoint/index.ts";
import { blobSource, readCheckpoint, writeCheckpoint } from "../../runtime/checkpoint/index.ts";
import { KilnError, messageOf } from "../../runtime/errors.ts";
import type { LossPoint, OwnText, SavedRun } from "./messages.ts";

/*
 * Runs in the page's own storage (OPFS), a folder each:
 *   checkpoint.safetensors   the file that `train` writes in Node
 *   run.json                 what the page knows beside it (RunNotes)
 *   text                     the person's own text, where the run has one
 * A file is replaced as a whole when its writer is closed (File System standard, `createWritable`), so a page that is closed in the
 * middle of a save leaves the files before.
 */

const checkpointName = "checkpoint.safetensors";
const notesName = "run.json";
const textName = "text";

/** What is kept of a run beside its checkpoint. */
export interface RunNotes {
  readonly specPath: string;
  readonly totalSteps?: number;
  /** Step of the checkpoint that was saved with it. */
  readonly step: number;
  readonly history: readonly LossPoint[];
  /** Name of the person's own text. */
  readonly text?: string;
}

async function runsFolder(): Promise<FileSystemDirectoryHandle> {
  const storage = await navigator.storage.getDirectory();
  return storage.getDirectoryHandle("runs", { create: true });
}

async function folderOf(run: string, create: boolean): Promise<FileSystemDirectoryHandle> {
  try {
    return await (await runsFolder()).getDirectoryHandle(run, { create });
  } catch (thrown) {
    throw new KilnError("user", `there is no saved run \`${run}\`: ${messageOf(thrown)}`);
  }
}

async function writeWhole(
  folder: FileSystemDirectoryHandle,
  name: string,
  write: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  try {
    const handle = await folder.getFileHandle(name, { create: true });
    const file = await handle.createWritable();
    try {
      let end = 0;
      await write({
        async write(bytes, position) {
          await file.write({ type: "write", position: position ?? end, data: bytes });
          if (position === undefined) end += bytes.length;
        },
      });
    } catch (thrown) {
      await file.abort();
      throw thrown;
    }
    await file.close();
  } catch (thrown) {
    if (thrown instanceof KilnError) throw thrown;
    throw new KilnError(
      "machine",
      `the run could not be saved in this browser: ${messageOf(thrown)}`,
      "export and delete runs that you no longer need, and make sure that the page may keep data",
    );
  }
}

async function fileIn(folder: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch {
    return undefined;
  }
}

function textSink(text: string): (sink: ByteSink) => Promise<void> {
  return (sink) => sink.write(new TextEncoder().encode(text));
}

/** Keeps a person's own text for a run that will go on with it. */
export async function saveText(run: string, text: OwnText): Promise<void> {
  await writeWhole(await folderOf(run, true), textName, (sink) => sink.write(text.bytes));
}

/** Notes first: those of a save that did not come to its end tell too much, and what is told too much is cut off when they are read. */
export async function saveRun(run: string, notes: RunNotes, state: CheckpointContents): Promise<void> {
  const folder = await folderOf(run, true);
  await writeWhole(folder, notesName, textSink(JSON.stringify(notes)));
  await writeWhole(folder, checkpointName, (sink) => writeCheckpoint(sink, state));
}

/** Keeps a file that is a checkpoint, as it is. */
export async function saveImported(run: string, notes: RunNotes, source: ByteSource): Promise<void> {
  const folder = await folderOf(run, true);
  const piece = 16 * 1024 * 1024;
  await writeWhole(folder, notesName, textSink(JSON.stringify(notes)));
  await writeWhole(folder, checkpointName, async (sink) => {
    for (let at = 0; at < source.sizeBytes; at += piece)
      await sink.write(await source.read(at, Math.min(piece, source.sizeBytes - at)));
  });
}

/** @throws KilnError `user` where there is no such run or its checkpoint is damaged */
export async function openRun(
  run: string,
): Promise<{ readonly checkpoint: Checkpoint; readonly notes: RunNotes; readonly text?: OwnText }> {
  const folder = await folderOf(run, false);
  const file = await fileIn(folder, checkpointName);
  if (file === undefined) throw new KilnError("user", `the run \`${run}\` has no checkpoint yet`);
  const checkpoint = await readCheckpoint(blobSource(file, `the checkpoint of ${run}`));
  const notes = await readNotes(folder);
  const text = notes?.text === undefined ? undefined : await fileIn(folder, textName);
  return {
    checkpoint,
    notes: {
      specPath: notes?.specPath ?? checkpoint.sources[0]?.path ?? "spec.bert",
      step: checkpoint.step,
      history: (notes?.history ?? []).filter(({ step }) => step <= checkpoint.step),
      ...(notes?.text !== undefined && { text: notes.text }),
    },
    ...(notes?.text !== undefined &&
      text !== undefined && {
        text: { name: notes.text, bytes: new Uint8Array(await text.arrayBuffer()) },
      }),
  };
}

async function readNotes(folder: FileSystemDirectoryHandle): Promise<RunNotes | undefined> {
  const text = await (await fileIn(folder, notesName))?.text();
  if (text === undefined) return undefined;
  try {
    const notes: unknown = JSON.parse(text);
    return isNotes(notes) ? notes : undefined;
  } catch {
    return undefined;
  }
}

function isNotes(value: unknown): value is RunNotes {
  if (typeof value !== "object" || value === null) return false;
  const has = (name: string, type: string) => typeof Reflect.get(value, name) === type;
  const history: unknown = Reflect.get(value, "history");
  return (
    has("specPath", "string") &&
    (has("totalSteps", "number") || has("totalSteps", "undefined")) &&
    has("step", "number") &&
    Array.isArray(history)
  );
}

/** All runs with a checkpoint, the latest first. */
export async function savedRuns(): Promise<readonly SavedRun[]> {
  const runs: SavedRun[] = [];
  for await (const [run, handle] of (await runsFolder()).entries()) {
    if (!(handle instanceof FileSystemDirectoryHandle)) continue;
    const file = await fileIn(handle, checkpointName);
    const notes = await readNotes(handle);
    if (file === undefined || notes === undefined) continue;
    const { specPath, step, totalSteps } = notes;
    const saved = { run, specPath, step, sizeBytes: file.size, savedAt: file.lastModified };
    runs.push({ ...saved, ...(totalSteps !== undefined && { totalSteps }) });
  }
  return runs.sort((a, b) => b.savedAt - a.savedAt);
}

/** A name for a new run of a spec: its own, or with a number behind it. */
export async function freeName(specPath: string): Promise<string> {
  const base = specPath.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]+/g, "-") || "run";
  const taken = new Set<string>();
  for await (const name of (await runsFolder()).keys()) taken.add(name);
  if (!taken.has(base)) return base;
  let number = 2;
  while (taken.has(`${base}-${number}`)) number++;
  return `${base}-${number}`;
}

/** The checkpoint as a file to keep elsewhere: `train --resume` and `encode` in Node take it. */
export async function exportRun(run: string): Promise<File> {
  const file = await fileIn(await folderOf(run, false), checkpointName);
  if (file === undefined) throw new KilnError("user", `the run \`${run}\` has no checkpoint yet`);
  return file;
}

export async function removeRun(run: string): Promise<void> {
  await (await runsFolder()).removeEntry(run, { recursive: true });
}
