import type { Span } from "../diagnostics/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import type { Value } from "./value.ts";

/** What a name means as a value: of the scope, else a setting of the file. */
export function lookupName(a: Analysis, name: string, span: Span, env: Env): Value | undefined {
  const binding = env.scope.lookup(name);
  if (binding !== undefined) return binding.value;
  const found = env.file.find(name, span);
  return found?.declaration.kind === "setting"
    ? a.settings.valueOf(found.declaration, found.scope)
    : undefined;
}

/** Every name that stands for a value here, for suggestions. */
export function namesInScope(env: Env): readonly string[] {
  return [...env.scope.names(), ...env.file.namesOf("setting")];
}
