import { buildFileScopes, type FileScope, type LoadedFile, loadFiles } from "../semantics/index.ts";
import { parse } from "../syntax/index.ts";
import type { Occurrences } from "./names.ts";
import { occurrencesOf } from "./occurrences.ts";
import type { SpecContext } from "./types.ts";

/** A spec with all its files read, and no value computed: enough for names. */
export interface OpenedSpec {
  readonly root: LoadedFile;
  /** By the names that spans have; the root also by the path it was asked for. */
  file(name: string): LoadedFile | undefined;
  scope(file: LoadedFile): FileScope;
  occurrences(file: LoadedFile): Occurrences;
}

/** @returns undefined where the root has no text */
export function openSpec(spec: SpecContext): OpenedSpec | undefined {
  const ignore = (): void => {};
  const { root } = loadFiles(spec.root, spec.load, spec.library, spec.parse ?? parse, ignore);
  if (root === undefined) return undefined;
  const scopes = buildFileScopes(root, ignore);
  const known = new Map<LoadedFile, Occurrences>();
  const byName = new Map<string, LoadedFile>();
  for (const file of scopes.keys()) if (!byName.has(file.source.name)) byName.set(file.source.name, file);
  byName.set(spec.root, root);
  const rootScope = scopes.get(root);
  return {
    root,
    file: (name) => byName.get(name),
    scope: (file) => {
      const scope = scopes.get(file) ?? rootScope;
      if (scope === undefined) throw new Error("a spec without a scope for its root");
      return scope;
    },
    occurrences: (file) => {
      const found = known.get(file) ?? occurrencesOf(file.ast);
      known.set(file, found);
      return found;
    },
  };
}
