import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { type Location, rememberParses, type SpecContext } from "../../compiler/service/index.ts";
import { diskLoader, shippedFolder } from "../spec.ts";

/** Texts that an editor has open, which go before those on the disk. */
export interface OpenDocuments {
  get(uri: string): TextDocument | undefined;
  all(): TextDocument[];
}

/** Files as the language service names them (paths with `/`, `lib/...` of the library) and as the editor does (URIs). */
export class SpecFiles {
  readonly #parse = rememberParses();
  readonly #documents: OpenDocuments;

  constructor(documents: OpenDocuments) {
    this.#documents = documents;
  }

  /** A document that has no file yet gets a path that no file has: it can import from the library alone. */
  pathOf(uri: string): string {
    try {
      if (uri.startsWith("file:")) return fileURLToPath(uri).replaceAll("\\", "/");
    } catch {
      // A file on another machine, say.
    }
    return `/unsaved/${encodeURIComponent(uri)}`;
  }

  /** The URI that the editor uses for an open document, which may be spelt in other ways. */
  uriOf({ file, shipped }: Pick<Location, "file" | "shipped">): string {
    const path = shipped ? resolve(shippedFolder, file) : file;
    return this.#openAt(path)?.uri ?? pathToFileURL(path).href;
  }

  /** How a spec names a file that it reads: the library's by `lib/...`. */
  nameIn(reader: string, uri: string): string {
    const path = this.pathOf(uri);
    const folder = `${shippedFolder.replaceAll("\\", "/")}/`;
    const isOwn = path.startsWith(this.pathOf(reader).replace(/[^/]*$/, ""));
    return !isOwn && path.startsWith(folder) ? path.slice(folder.length) : path;
  }

  textOf(spec: SpecContext, file: string, shipped: boolean): string {
    return (shipped ? spec.library(file) : spec.load(file)) ?? "";
  }

  contextOf(uri: string): SpecContext {
    return {
      root: this.pathOf(uri),
      load: (path) => this.#openAt(path)?.getText() ?? readOrNothing(() => diskLoader.load(path)),
      library: (path) =>
        this.#openAt(resolve(shippedFolder, path))?.getText() ??
        readOrNothing(() => diskLoader.library(path)),
      importable: importablePaths(),
      parse: this.#parse,
    };
  }

  #openAt(path: string): TextDocument | undefined {
    const wanted = path.replaceAll("\\", "/");
    return this.#documents.all().find(({ uri }) => this.pathOf(uri) === wanted);
  }
}

/** A file that cannot be read is none: the import of it says so. */
function readOrNothing(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

let importable: readonly string[] | undefined;

/** The shipped library as imports name it. */
function importablePaths(): readonly string[] {
  importable ??= readdirSync(join(shippedFolder, "lib"))
    .filter((name) => name.endsWith(".bert"))
    .sort()
    .map((name) => `lib/${name}`);
  return importable;
}
