import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { unzipSync } from "fflate";
import { KilnError, messageOf } from "../errors.ts";

/** A data set in a zip archive, at one or more places, with the files wanted out of it. */
export interface ArchiveSource {
  readonly name: string;
  /** Tried in order. */
  readonly urls: readonly string[];
  /** Names without their folder, and what they must hash to: the archive itself may be packed in any way. */
  readonly files: readonly { readonly name: string; readonly sha1: string }[];
  /** Most bytes of the archive and of each file in it: more is not what was asked for. */
  readonly maxBytes: number;
  readonly licence: string;
}

export interface FetchResult {
  readonly folder: string;
  readonly files: readonly string[];
  /** The files were there already, with the right hashes. */
  readonly alreadyThere: boolean;
}

/**
 * Downloads an archive, checks every file wanted, and writes them with the licence. Nothing is written before all is
 * checked, and each file appears under its name only when it is whole.
 * @throws KilnError (`machine`) when no address answers, says no, or sends something else; or when the folder cannot be written
 */
export async function fetchArchive(
  source: ArchiveSource,
  targetFolder: string,
  report: (line: string) => void = () => {},
): Promise<FetchResult> {
  const done = { folder: targetFolder, files: source.files.map(({ name }) => join(targetFolder, name)) };
  if (await allThere(source, targetFolder)) return { ...done, alreadyThere: true };

  const failures: string[] = [];
  for (const url of source.urls) {
    report(`downloading ${url}`);
    let contents: ReadonlyMap<string, Uint8Array>;
    try {
      contents = unpack(source, await download(url, source.maxBytes));
    } catch (error) {
      failures.push(`${url}: ${reasonOf(error)}`);
      continue;
    }
    await writeAll(targetFolder, new Map([...contents, ["LICENCE.txt", Buffer.from(source.licence)]]));
    return { ...done, alreadyThere: false };
  }
  throw new KilnError(
    "machine",
    `${source.name} could not be downloaded:\n  ${failures.join("\n  ")}`,
    `without a network, copy ${source.files.map(({ name }) => name).join(", ")} from elsewhere into ${targetFolder}, ` +
      "or train on the generated corpus, which needs no file",
  );
}

async function allThere(source: ArchiveSource, folder: string): Promise<boolean> {
  for (const { name, sha1 } of source.files) {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (bytes === undefined || hashOf(bytes) !== sha1) return false;
  }
  return true;
}

/** Milliseconds without an answer, or without a byte more, after which a download is given up. */
const silenceMs = 30_000;

async function download(url: string, maxBytes: number): Promise<Uint8Array> {
  const stop = new AbortController();
  const giveUp = () => stop.abort(new Error(`no answer within ${silenceMs / 1000} s`));
  let timer = setTimeout(giveUp, silenceMs);
  try {
    const response = await fetch(url, { signal: stop.signal });
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
    if (response.body === null) throw new Error("the server sent nothing");
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, silenceMs);
      size += chunk.byteLength;
      if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function unpack(source: ArchiveSource, archive: Uint8Array): Map<string, Uint8Array> {
  const wanted = new Set(source.files.map(({ name }) => name));
  const entries = unzipSync(archive, {
    // Names are compared without their folder, so that no entry decides where it is written.
    filter: ({ name, originalSize }) => wanted.has(basename(name)) && originalSize <= source.maxBytes,
  });
  const contents = new Map<string, Uint8Array>();
  for (const [path, bytes] of Object.entries(entries)) contents.set(basename(path), bytes);
  for (const { name, sha1 } of source.files) {
    const bytes = contents.get(name);
    if (bytes === undefined) throw new Error(`the archive has no ${name}`);
    if (hashOf(bytes) !== sha1) throw new Error(`${name} has another checksum than the published one`);
  }
  return contents;
}

async function writeAll(folder: string, contents: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const temporary = join(folder, `.download-${randomUUID()}`);
  try {
    await mkdir(temporary, { recursive: true });
    for (const [name, bytes] of contents) await writeFile(join(temporary, name), bytes);
    for (const name of contents.keys()) await rename(join(temporary, name), join(folder, name));
  } catch (error) {
    throw new KilnError("machine", `cannot write to ${folder}: ${messageOf(error)}`, undefined, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** `fetch` says only "fetch failed"; the cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error)) return messageOf(error);
  // Of several addresses tried, Node collects the failures under one without a text.
  const code = "code" in cause ? String(cause.code) : "";
  const reason = cause.message || code;
  if (["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH"].includes(code)) return `no network (${reason})`;
  return code === "ECONNREFUSED" ? `no connection (${reason})` : reason;
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}
