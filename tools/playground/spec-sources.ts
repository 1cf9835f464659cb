import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { type CheckOptions, type CheckResult, check } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import type { Checked, Problem, SpecText } from "./messages.ts";
import { shippedText } from "./specs.ts";

/** How the compiler gets at a spec that is in the editor: its own text, and the shipped library. */
export function editorSources({ path, text, settings }: SpecText): CheckOptions {
  return {
    load: (wanted) => (wanted === path ? text : undefined),
    library: shippedText,
    settings,
  };
}

/** The same of a spec that a checkpoint carries, with the library it was trained with. */
export function carriedSources(
  sources: Program["sources"],
  settings: Readonly<Record<string, string>>,
): CheckOptions {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const load = (path: string): string | undefined => texts.get(path);
  return { load, library: load, settings };
}

export function checkSpec(spec: SpecText): Checked {
  const result = check(spec.path, editorSources(spec));
  const { summary } = result;
  return {
    problems: problemsOf(spec.path, result),
    ...(summary !== undefined && {
      summary: {
        name: summary.name,
        parameters: summary.parameters,
        losses: summary.losses,
        settings: summary.settings,
      },
    }),
  };
}

/** Diagnostics with their places in the spec's own text. */
export function problemsOf(
  path: string,
  { diagnostics, sources }: Pick<CheckResult, "diagnostics" | "sources">,
): readonly Problem[] {
  return diagnostics.map((diagnostic) => {
    const { span, text } = diagnostic.primary;
    const isOwn = span.file === path;
    return {
      from: isOwn ? span.start : 0,
      to: isOwn ? span.end : 0,
      severity: diagnostic.severity,
      message: diagnostic.message,
      label: text,
      ...(diagnostic.hint !== undefined && { hint: diagnostic.hint }),
      rendered: renderDiagnostics([diagnostic], sources),
    };
  });
}
