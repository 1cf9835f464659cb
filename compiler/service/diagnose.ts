import type { Diagnostic } from "../diagnostics/index.ts";
import { analyze } from "../semantics/index.ts";
import { openSpec } from "./open-spec.ts";
import type { Diagnosis, SpecContext } from "./types.ts";

/**
 * What `check` says of a spec. A file of layers, which other specs import, is no mistake: that nothing trains there is said
 * only of a file that makes a model or declares nothing.
 */
export function diagnose(spec: SpecContext): Diagnosis {
  const shipped = new Set<string>();
  const { diagnostics: all, sources } = analyze(spec.root, {
    loadFile: spec.load,
    library: (path) => {
      const text = spec.library(path);
      if (text !== undefined) shipped.add(path);
      return text;
    },
    settings: spec.settings ?? {},
    ...(spec.parse !== undefined && { parse: spec.parse }),
  });
  const items = openSpec(spec)?.root.ast.items ?? [];
  const declares = items.some((item) => item.kind !== "import");
  const declaresOnly = declares && !items.some((item) => item.kind === "modelInstance");
  const byFile = new Map<string, Diagnostic[]>(sources.map((source) => [source.name, []]));
  const diagnostics = all.filter(({ code }) => code !== "no-train" || !declaresOnly);
  for (const diagnostic of diagnostics) {
    const { file } = diagnostic.primary.span;
    const known = byFile.get(file);
    if (known === undefined) byFile.set(file, [diagnostic]);
    else known.push(diagnostic);
  }
  return { diagnostics, byFile, sources, shipped };
}
