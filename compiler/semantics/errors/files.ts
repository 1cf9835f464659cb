import type { Diagnostic, Span } from "../../diagnostics/index.ts";
import { limits } from "../limits.ts";
import { error, listNames } from "./diagnostic.ts";

export function importNotFound(span: Span, path: string, tried: readonly string[]): Diagnostic {
  const hint = tried.length > 0 ? `looked for ${listNames(tried)}` : undefined;
  return error("import-not-found", `no file \`${path}\``, span, "not found", { hint });
}

export function importOutside(span: Span, path: string, folder: string): Diagnostic {
  return error("import-outside", `\`${path}\` is outside the folder of the spec`, span, "leaves the folder", {
    hint: `imports stay in \`${folder === "" ? "." : folder}\` or name a file of the shipped library, as \`lib/bert.bert\``,
  });
}

export function importTooDeep(span: Span): Diagnostic {
  return error("import-limit", `imports go deeper than ${limits.importDepth} files`, span, "not followed");
}

export function tooManyFiles(span: Span): Diagnostic {
  return error("import-limit", `a spec may have ${limits.files} files`, span, "one too many");
}
