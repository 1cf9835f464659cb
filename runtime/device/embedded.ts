import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { extract } from "tar-stream";
import { KilnError, messageOf } from "../errors.ts";

/** Where the unpacked software device lies. */
export interface EmbeddedDevice {
  readonly loaderPath: string;
  readonly icdPath: string;
}

const loaderName = "libvulkan.so.1";
const icdName = "vk_swiftshader_icd.json";
const neededFiles = [loaderName, icdName, "libvk_swiftshader.so"] as const;

/** Whether `@sparticuz/chromium`'s libraries run here: it is built for x86-64 Linux only. */
export function hasEmbeddedDevice(): boolean {
  return process.platform === "linux" && process.arch === "x64";
}

/**
 * Unpacks SwiftShader and its Vulkan loader into a cache folder, once per version of the archive.
 *
 * The folder appears by one rename, so a folder of that name is complete whatever was killed, and processes that
 * start together do no harm to each other.
 * @throws KilnError `machine` when no cache folder can be written
 */
export async function unpackEmbeddedDevice(): Promise<EmbeddedDevice> {
  const archivePath = join(
    createRequire(import.meta.url).resolve("@sparticuz/chromium"),
    "../../../bin/swiftshader.tar.br",
  );
  const archive = await readFile(archivePath);
  const digest = createHash("sha256").update(archive).digest("hex").slice(0, 16);
  const failures: string[] = [];
  for (const root of cacheRoots()) {
    const folder = join(root, `swiftshader-${digest}`);
    try {
      if (!(await isOwnFolder(folder))) await unpackAtomically(archive, root, folder);
      return { loaderPath: join(folder, loaderName), icdPath: join(folder, icdName) };
    } catch (thrown) {
      failures.push(`${root}: ${messageOf(thrown)}`);
    }
  }
  throw new KilnError(
    "machine",
    `the software device could not be unpacked (${failures.join("; ")})`,
    "set XDG_CACHE_HOME to a folder that can be written",
  );
}

/** The user's cache, else a private folder among the temporary files. */
function cacheRoots(): readonly string[] {
  const user = process.getuid?.() ?? 0;
  return [
    join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "kiln"),
    join(tmpdir(), `kiln-${user}`),
  ];
}

/**
 * Whether the folder is there.
 * @throws Error when others can write to it: libraries loaded from it would run their code
 */
async function isOwnFolder(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return false;
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
    throw new Error(`others can write to ${folder}`);
  }
  return true;
}

async function unpackAtomically(archive: Uint8Array, root: string, folder: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  await isOwnFolder(root);
  const partial = await mkdtemp(join(root, "unpacking-"));
  try {
    const unpacked = extract();
    Readable.from([await promisify(brotliDecompress)(archive)]).pipe(unpacked);
    for await (const entry of unpacked) {
      const name = basename(entry.header.name);
      const content = await buffer(entry);
      if (neededFiles.some((needed) => needed === name)) {
        await writeFile(join(partial, name), content);
        await chmod(join(partial, name), name.endsWith(".json") ? 0o600 : 0o700);
      }
    }
    for (const needed of neededFiles) await stat(join(partial, needed));
    await rename(partial, folder);
  } catch (thrown) {
    await rm(partial, { recursive: true, force: true });
    // Another process may have been quicker: its folder is as good as ours.
    if (!(await isOwnFolder(folder))) throw thrown;
  }
}
