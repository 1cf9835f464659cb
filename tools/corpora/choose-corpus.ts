import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import envPaths from "env-paths";
import type { DataRequest } from "../../compiler/program/index.ts";
import type { GivenTokenizer, PreparePlan, Sources } from "../../runtime/data/index.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { formatBytes } from "../terminal/units.ts";
import { type Interrupted, runPrepare } from "./run-prepare.ts";
import { sayNotes } from "./say-notes.ts";

/** A corpus as a person named it. */
export interface NamedCorpus {
  /** undefined: the generated one. */
  readonly path: string | undefined;
  /** Where it is prepared; undefined: only if it is large, in the cache. */
  readonly prepared: string | undefined;
  /** What it will be read for, and with. */
  readonly request: DataRequest;
  readonly given: GivenTokenizer;
}

/** What `openBatches` takes; nothing for the generated corpus. */
export interface ChosenCorpus {
  readonly path?: string;
}

/** Text that is read whole: as words and ids it takes some ten times as much memory. */
const mostWholeBytes = 64 * 2 ** 20;

/**
 * Small text is read as it is. Larger text, and folders of files without a training file, are prepared first, in the person's cache or
 * where `--prepared` says, once for the same text and tokenizer.
 * @throws Failure for `--prepared` without text to prepare; what `prepareCorpus` throws
 */
export async function chooseCorpus(
  named: NamedCorpus,
  console: Console,
): Promise<ChosenCorpus | Interrupted> {
  const { path, prepared, request, given } = named;
  const data = await import("../../runtime/data/index.ts");
  const isText = request.kind === "PretrainingPairs" || request.kind === "CausalText";
  const isReady = path !== undefined && (await data.isPrepared(path));
  if (prepared !== undefined && (path === undefined || !isText || isReady)) {
    throw new Failure(2, {
      message: "--prepared says where text is prepared, and there is none to prepare",
      hint: isReady ? `${path} is prepared already: leave --prepared out` : "name a text with --corpus",
    });
  }
  if (path === undefined) return {};
  if (!isText || isReady) return { path };
  const info = await stat(path).catch(() => undefined);
  // Whoever opens it says so.
  if (info === undefined) return { path };
  const readsWhole = !info.isDirectory() || (await data.hasSplitFiles(path));
  if (prepared === undefined && readsWhole && !info.isDirectory() && info.size <= mostWholeBytes)
    return { path };
  const sources = await data.findSources(path);
  if (prepared === undefined && readsWhole && sources.bytes <= mostWholeBytes) return { path };

  const plan = { tokenizer: data.planOf(request, given), shares: data.usualShares };
  const found = await findPrepared(path, prepared, sources, plan);
  if (found !== undefined) {
    console.note(`${path} is prepared already: ${found}`);
    return { path: found };
  }
  const folder = prepared ?? cachedFolder(path, sources, plan);
  console.note(
    `${path} has ${formatBytes(sources.bytes)} of text: it is prepared first, once, into ${folder} (\`prepare\` does this by itself)`,
  );
  const outcome = await runPrepare(path, folder, { ...plan, force: prepared === undefined }, console);
  if ("interruptedBy" in outcome) {
    console.note("stopped while the corpus was prepared: nothing was written");
    return outcome;
  }
  sayNotes(outcome, console);
  return { path: folder };
}

/** A folder that holds what would be prepared. */
async function findPrepared(
  path: string,
  prepared: string | undefined,
  sources: Sources,
  plan: PreparePlan,
): Promise<string | undefined> {
  const data = await import("../../runtime/data/index.ts");
  const { KilnError } = await import("../../runtime/errors.ts");
  for (const folder of prepared === undefined ? await cachedFolders(path, sources) : [prepared]) {
    try {
      if (data.isPreparedFrom(await data.readManifest(folder), sources, plan)) return folder;
    } catch (thrown) {
      // One that is damaged or not there is no find; it is written anew, or its place is refused with a reason.
      if (!(thrown instanceof KilnError)) throw thrown;
    }
  }
  return undefined;
}

/** `KILN_CORPORA`, else a folder in the person's cache. */
function cacheFolder(): string {
  const { KILN_CORPORA } = process.env;
  if (KILN_CORPORA !== undefined && KILN_CORPORA !== "") return KILN_CORPORA;
  return join(envPaths("kiln", { suffix: "" }).cache, "corpora");
}

/** What all folders begin with that were prepared from this text as it is. */
function textName(path: string, { files }: Sources): string {
  const facts = files.map(({ name, bytes, modifiedMs }) => [name, bytes, modifiedMs]);
  return digest([resolve(path), facts]);
}

function cachedFolder(path: string, sources: Sources, plan: PreparePlan): string {
  return join(cacheFolder(), `${textName(path, sources)}-${digest(plan)}`);
}

/** Also those of other tokenizers: a resumed run brings the vocabulary that the first one made. */
async function cachedFolders(path: string, sources: Sources): Promise<string[]> {
  const names = await readdir(cacheFolder()).catch((): string[] => []);
  const start = `${textName(path, sources)}-`;
  return names
    .filter((name) => name.startsWith(start) && !name.endsWith(".partial"))
    .sort()
    .map((name) => join(cacheFolder(), name));
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
}
