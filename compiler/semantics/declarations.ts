import type { Diagnostic, Span } from "../diagnostics/index.ts";
import type {
  DataDeclaration,
  FnDeclaration,
  LayerDeclaration,
  ModelInstance,
  SettingItem,
} from "../syntax/index.ts";
import { ambiguousName, duplicateName } from "./errors.ts";
import type { LoadedFile } from "./files.ts";

export type Declaration = SettingItem | LayerDeclaration | FnDeclaration | DataDeclaration | ModelInstance;

/** Which names of a file stand for what: its own declarations first, then those of its imports, nearest first. */
export interface FileScope {
  readonly file: LoadedFile;
  /** @param span where it is used; an ambiguity is reported there */
  find(name: string, span: Span): FoundDeclaration | undefined;
  /** All names of the given kinds that `find` finds. */
  namesOf(...kinds: readonly Declaration["kind"][]): readonly string[];
}

export interface FoundDeclaration {
  readonly declaration: Declaration;
  /** The scope it was written in: where its own names are looked up. */
  readonly scope: FileScope;
}

/** Scopes of a file and, through `find`, of all it imports. Duplicate declarations are reported once. */
export function buildFileScopes(
  root: LoadedFile,
  report: (d: Diagnostic) => void,
): ReadonlyMap<LoadedFile, FileScope> {
  const scopes = new Map<LoadedFile, FileScope>();
  const own = new Map<LoadedFile, ReadonlyMap<string, Declaration>>();
  const pending = [root];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (own.has(file)) continue;
    own.set(file, ownDeclarations(file, report));
    pending.push(...file.imports);
  }
  for (const file of own.keys()) {
    const levels = importLevels(file);
    const scope: FileScope = {
      file,
      find: (name, span) => {
        for (const level of levels) {
          const matches = level.flatMap((f) => {
            const declaration = own.get(f)?.get(name);
            const declared = scopes.get(f);
            return declaration === undefined || declared === undefined
              ? []
              : [{ declaration, scope: declared }];
          });
          const [first, second] = matches;
          if (first === undefined) continue;
          if (second !== undefined) {
            report(ambiguousName(name, span, first.declaration.name.span, second.declaration.name.span));
          }
          return first;
        }
        return undefined;
      },
      namesOf: (...kinds) =>
        levels
          .flat()
          .flatMap((f) =>
            [...(own.get(f)?.values() ?? [])].filter((d) => kinds.includes(d.kind)).map((d) => d.name.text),
          ),
    };
    scopes.set(file, scope);
  }
  return scopes;
}

function ownDeclarations(
  file: LoadedFile,
  report: (d: Diagnostic) => void,
): ReadonlyMap<string, Declaration> {
  const declarations = new Map<string, Declaration>();
  for (const item of file.ast.items) {
    if (item.kind === "import" || item.kind === "train") continue;
    const known = declarations.get(item.name.text);
    if (known !== undefined) report(duplicateName(item.name.text, item.name.span, known.name.span));
    else declarations.set(item.name.text, item);
  }
  return declarations;
}

/** The file itself, then the files it imports, then those they import, ... each file once. */
function importLevels(file: LoadedFile): readonly (readonly LoadedFile[])[] {
  const seen = new Set([file]);
  const levels: LoadedFile[][] = [];
  for (let level = [file]; level.length > 0; ) {
    levels.push(level);
    const next: LoadedFile[] = [];
    for (const imported of level.flatMap((f) => f.imports)) {
      if (seen.has(imported)) continue;
      seen.add(imported);
      next.push(imported);
    }
    level = next;
  }
  return levels;
}
