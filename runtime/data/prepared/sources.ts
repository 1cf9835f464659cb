import { readdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { KilnError } from "../../errors.ts";
import { compareCodePoints } from "../../tokenizer/index.ts";
import type { Split } from "../corpus.ts";

/** A text file that a corpus is made from. */
export interface SourceFile {
  readonly path: string;
  /** Below the corpus's folder, with `/`; of a single file its own name. */
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** The split that all of it belongs to; absent: its paragraphs are dealt out. */
  readonly split?: Split;
}

export interface Sources {
  /** Sorted by name. */
  readonly files: readonly SourceFile[];
  /** Text files that belong to no split, of a folder whose others do: they are not read. */
  readonly leftOut: readonly string[];
  readonly bytes: number;
}

const textEndings: ReadonlySet<string> = new Set([".txt", ".text", ".tokens"]);

/**
 * The text files of a corpus: the file at `path`, or all `.txt`, `.text` and `.tokens` files below the folder there.
 *
 * Where a folder has files of a training split (below a folder `train`, or `train.txt`, `wiki.train.tokens`), its splits are those
 * of such names, and files of no split are left out.
 * @throws KilnError `user` where nothing is there, no file has text, or only held-out splits are there
 */
export async function findSources(path: string): Promise<Sources> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw new KilnError("user", `there is no corpus at ${path}`, "check the path");
  if (!info.isDirectory()) {
    const name = basename(path);
    if (info.size === 0) throw new KilnError("user", `${path} is empty`, "give a text file");
    return {
      files: [{ path, name, bytes: info.size, modifiedMs: info.mtimeMs }],
      leftOut: [],
      bytes: info.size,
    };
  }
  const all = await filesBelow(path, "");
  const files = all.some(({ split }) => split !== undefined)
    ? all.filter(({ split }) => split !== undefined)
    : all;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes === 0) {
    throw new KilnError(
      "user",
      `the folder ${path} has no text`,
      `text is read from files that end in ${[...textEndings].join(", ")}, in folders below it too`,
    );
  }
  if (files.every(({ split }) => split === "valid" || split === "test")) {
    throw new KilnError(
      "user",
      `the folder ${path} has no training split beside ${files.map(({ name }) => name).join(", ")}`,
      "add a folder `train` or a file `train.txt`",
    );
  }
  const leftOut = all.filter((file) => !files.includes(file)).map(({ name }) => name);
  return { files, leftOut, bytes };
}

async function filesBelow(folder: string, prefix: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = prefix + entry.name;
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      files.push(...(await filesBelow(path, `${name}/`)));
    } else if (textEndings.has(extname(entry.name))) {
      // `stat`, as a link to a file is as good as the file; a link to a folder could lead in a circle.
      const info = await stat(path);
      if (!info.isFile()) continue;
      const split = splitOf(name);
      files.push({
        path,
        name,
        bytes: info.size,
        modifiedMs: info.mtimeMs,
        ...(split !== undefined && { split }),
      });
    }
  }
  return files.sort((a, b) => compareCodePoints(a.name, b.name));
}

/** The split that a name says: of a folder on the way, else of the file. */
function splitOf(name: string): Split | undefined {
  const folders = name.split("/");
  const file = folders.pop() ?? "";
  const word = /^(?:wiki\.)?(train|valid|test)\.(?:txt|text|tokens)$/.exec(file)?.[1];
  const found = folders.find((folder) => splits.some((split) => split === folder)) ?? word;
  return splits.find((split) => split === found);
}

const splits = ["train", "valid", "test"] as const satisfies readonly Split[];
