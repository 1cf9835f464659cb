import type { Diagnostic } from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { diagnose } from "../../compiler/service/index.ts";
import type { OpenDocuments, SpecFiles } from "./files.ts";
import { toDiagnostic } from "./translate.ts";

/** How long nobody must have typed before a spec is checked. */
const quietMs = 120;

/** Checks open specs some time after they, or what they import, have changed, and tells what changed in what is wrong. */
export class Checker {
  /** By the spec that was checked: what is wrong in which of its files, the right ones included. */
  readonly #found = new Map<string, ReadonlyMap<string, readonly Diagnostic[]>>();
  readonly #due = new Map<string, NodeJS.Timeout>();
  readonly #published = new Set<string>();

  constructor(
    private readonly documents: OpenDocuments,
    private readonly files: SpecFiles,
    private readonly publish: (uri: string, diagnostics: Diagnostic[]) => void,
    private readonly guard: (what: string, work: () => void) => void,
  ) {}

  /** A document was opened, changed or closed. */
  changed(uri: string): void {
    for (const [root, files] of this.#found) if (root !== uri && files.has(uri)) this.#schedule(root);
    this.#schedule(uri);
  }

  /** Something changed on the disk. */
  changedAll(): void {
    for (const { uri } of this.documents.all()) this.#schedule(uri);
  }

  /** An open spec that reads the file, for what only a whole spec knows of it: the sizes of its layers. */
  readerOf(uri: string): string | undefined {
    for (const [root, files] of this.#found) if (root !== uri && files.has(uri)) return root;
    return undefined;
  }

  dispose(): void {
    for (const timer of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
  }

  #schedule(uri: string): void {
    clearTimeout(this.#due.get(uri));
    const timer = setTimeout(() => {
      this.#due.delete(uri);
      this.guard(`checking ${uri}`, () => this.#check(uri));
    }, quietMs);
    this.#due.set(uri, timer);
  }

  #check(uri: string): void {
    const before = this.#found.get(uri)?.keys() ?? [];
    const touched = new Set([uri, ...before]);
    if (this.documents.get(uri) === undefined) this.#found.delete(uri);
    else {
      const found = this.#diagnose(uri);
      this.#found.set(uri, found);
      for (const file of found.keys()) touched.add(file);
    }
    for (const file of touched) this.#publish(file);
  }

  #diagnose(uri: string): ReadonlyMap<string, readonly Diagnostic[]> {
    const { byFile, sources, shipped } = diagnose(this.files.contextOf(uri));
    const documents = new Map<string, TextDocument>();
    for (const { name, text } of sources) {
      const fileUri =
        name === sources[0]?.name ? uri : this.files.uriOf({ file: name, shipped: shipped.has(name) });
      documents.set(name, this.documents.get(fileUri) ?? TextDocument.create(fileUri, "bert", 0, text));
    }
    const found = new Map<string, Diagnostic[]>();
    for (const [name, diagnostics] of byFile) {
      const translated = diagnostics.flatMap((d) => toDiagnostic(d, (file) => documents.get(file)) ?? []);
      found.set(documents.get(name)?.uri ?? uri, translated);
    }
    return found;
  }

  /** All that any open spec finds in a file, each once. */
  #publish(uri: string): void {
    const all = new Map<string, Diagnostic>();
    for (const files of this.#found.values()) {
      for (const diagnostic of files.get(uri) ?? []) all.set(JSON.stringify(diagnostic), diagnostic);
    }
    // Nothing to say of a file of which nothing was said, unless somebody looks at it.
    if (all.size === 0 && !this.#published.has(uri) && this.documents.get(uri) === undefined) return;
    if (all.size === 0) this.#published.delete(uri);
    else this.#published.add(uri);
    this.publish(uri, [...all.values()]);
  }
}
