import { readFileSync } from "node:fs";
import { type CompileOptions, type CompileResult, compile, renderDiagnostics } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import { libraryText } from "../../models/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Compiles a shipped spec for the software device. @throws Error with the diagnostics */
export function compileSpec(
  path: string,
  options: Partial<CompileOptions> = {},
): CompileResult & { readonly program: Program } {
  const result = compile(path, {
    load: readText,
    library: libraryText,
    profile: softwareProfile,
    ...options,
  });
  const { program } = result;
  if (program === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return { ...result, program };
}
