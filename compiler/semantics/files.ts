import type { Diagnostic, SourceFile, Span } from "../diagnostics/index.ts";
import type { ImportItem, ParseResult, SpecFile } from "../syntax/index.ts";
import { importNotFound, importOutside, importTooDeep, tooManyFiles } from "./errors.ts";
import { limits } from "./limits.ts";

/** Texts by path; undefined where there is no such file. Paths use `/`. */
export type LoadFile = (path: string) => string | undefined;

export type ParseFile = (source: SourceFile) => ParseResult;

export interface LoadedFile {
  readonly source: SourceFile;
  readonly ast: SpecFile;
  /** From the shipped library. */
  readonly shipped: boolean;
  /** In the order of the text; what could not be loaded is left out. */
  readonly imports: readonly LoadedFile[];
  /** The same by the line that names it. */
  readonly importOf: ReadonlyMap<ImportItem, LoadedFile>;
}

interface Place {
  readonly path: string;
  readonly shipped: boolean;
}

/**
 * Loads and parses a spec with all that it imports, each file once. An import is looked up beside the importing file,
 * then in the shipped library; it cannot leave the root's folder. Files may import each other.
 * @param library texts of the shipped library by path (`lib/bert.bert`)
 */
export function loadFiles(
  rootPath: string,
  loadFile: LoadFile,
  library: LoadFile,
  parse: ParseFile,
  report: (d: Diagnostic) => void,
): { readonly root: LoadedFile | undefined; readonly sources: readonly SourceFile[] } {
  const files = new Map<string, LoadedFile>();
  const sources: SourceFile[] = [];
  const rootFolder = folderOf(rootPath);

  const load = (place: Place, text: string, depth: number): LoadedFile => {
    const source = { name: place.path, text };
    sources.push(source);
    const { ast, diagnostics } = parse(source);
    for (const d of diagnostics) report(d);
    const imports: LoadedFile[] = [];
    const importOf = new Map<ImportItem, LoadedFile>();
    const file: LoadedFile = { source, ast, shipped: place.shipped, imports, importOf };
    files.set(keyOf(place), file);
    for (const item of ast.items) {
      if (item.kind !== "import") continue;
      const imported = resolve(place, item, depth + 1);
      if (imported === undefined) continue;
      imports.push(imported);
      importOf.set(item, imported);
    }
    return file;
  };

  const resolve = (from: Place, item: ImportItem, depth: number): LoadedFile | undefined => {
    const wanted = item.path.value;
    const span = item.path.span;
    // A backslash, a drive or a scheme is no part of a path in a spec.
    const plain = !/[\\:\0]/.test(wanted) && wanted !== "";
    const relative = plain ? normalize(joinPath(folderOf(from.path), wanted)) : undefined;
    const inside = relative !== undefined && isInside(relative, from.shipped ? "lib" : rootFolder);
    const candidates: Place[] = [];
    if (inside) candidates.push({ path: relative, shipped: from.shipped });
    const shipped = plain ? normalize(wanted) : undefined;
    if (shipped !== undefined && isInside(shipped, "lib")) candidates.push({ path: shipped, shipped: true });
    for (const place of candidates) {
      const known = files.get(keyOf(place));
      if (known !== undefined) return known;
      const text = place.shipped ? library(place.path) : loadFile(place.path);
      if (text === undefined) continue;
      return limited(place, text, span, depth);
    }
    report(
      inside
        ? importNotFound(span, wanted, [...new Set(candidates.map((c) => c.path))])
        : importOutside(span, wanted, rootFolder),
    );
    return undefined;
  };

  const limited = (place: Place, text: string, span: Span, depth: number): LoadedFile | undefined => {
    if (files.size >= limits.files) report(tooManyFiles(span));
    else if (depth > limits.importDepth) report(importTooDeep(span));
    else return load(place, text, depth);
    return undefined;
  };

  const text = loadFile(rootPath);
  if (text === undefined) {
    report(importNotFound({ file: rootPath, start: 0, end: 0 }, rootPath, [rootPath]));
    return { root: undefined, sources };
  }
  return { root: load({ path: normalize(rootPath), shipped: false }, text, 0), sources };
}

function keyOf(place: Place): string {
  return `${place.shipped ? "shipped" : "own"}:${place.path}`;
}

function folderOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "" : at === 0 ? "/" : path.slice(0, at);
}

function joinPath(folder: string, path: string): string {
  if (path.startsWith("/")) return path;
  return folder === "" ? path : folder.endsWith("/") ? folder + path : `${folder}/${path}`;
}

/** Without `.` and `..`, which may stay at the start. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else parts.push(part);
  }
  return (path.startsWith("/") ? "/" : "") + parts.join("/");
}

function isInside(path: string, folder: string): boolean {
  const base = normalize(folder);
  if (base === "" || base === "/") return !path.startsWith("..") && (base === "/" || !path.startsWith("/"));
  return path.startsWith(`${base}/`);
}
