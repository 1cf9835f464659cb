import type { Manifest } from "./manifest.ts";
import type { Prepared, PrepareOptions } from "./plan.ts";
import type { Sources } from "./sources.ts";

/*
 * What reads and writes folders, as other rooms call it. Node's modules are loaded when one of these is called: what imports this
 * room without doing so runs in a browser.
 */

/** @see prepare.ts */
export async function prepareCorpus(
  path: string,
  folder: string,
  options: PrepareOptions,
): Promise<Prepared> {
  return (await import("./prepare.ts")).prepareCorpus(path, folder, options);
}

/** @see sources.ts */
export async function findSources(path: string): Promise<Sources> {
  return (await import("./sources.ts")).findSources(path);
}

/** @see prepared-folder.ts */
export async function isPrepared(path: string): Promise<boolean> {
  return (await import("./prepared-folder.ts")).isPrepared(path);
}

/** @see prepared-folder.ts */
export async function readManifest(folder: string): Promise<Manifest> {
  return (await import("./prepared-folder.ts")).readManifest(folder);
}

/** Whether `openBatches` takes a folder of text as it is, without `prepareCorpus`. */
export async function hasSplitFiles(folder: string): Promise<boolean> {
  return (await import("../files.ts")).hasSplitFiles(folder);
}
