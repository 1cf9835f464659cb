import type { CallExpression, Expression, SettingTypeName } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { argumentTwice, missingSettings, tooManySettings, unknownSetting } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { toSetting } from "./setting-types.ts";
import type { Value } from "./value.ts";

/** A setting of a built-in recipe: an initialiser, an optimizer, a learning rate. */
export interface SettingSpec {
  readonly name: string;
  /** For messages of `read` as well. */
  readonly type: SettingTypeName | "list of strings" | "learning rate";
  /** Reads what is no plain setting; gives the error value where it reports. */
  readonly read?: (expression: Expression) => Value;
  readonly fallback?: Value;
}

/** The settings of such a call by name; undefined where something was wrong, which is reported. */
export function readSettings(
  a: Analysis,
  callee: string,
  specs: readonly SettingSpec[],
  call: CallExpression,
  env: Env,
): ReadonlyMap<string, Value> | undefined {
  const values = new Map<string, Value>();
  let ok = true;
  call.args.forEach((argument, i) => {
    const spec = argument.name === undefined ? specs[i] : specs.find((s) => s.name === argument.name?.text);
    if (spec === undefined) {
      ok = false;
      if (argument.name === undefined) a.report(tooManySettings(callee, specs, argument.span));
      else a.report(unknownSetting(callee, argument.name, specs));
      return;
    }
    if (values.has(spec.name)) {
      ok = false;
      a.report(argumentTwice(callee, spec.name, argument.span, argument.span));
      return;
    }
    const setting = read(a, callee, spec, argument.value, env);
    if (setting.kind === "error") ok = false;
    values.set(spec.name, setting);
  });
  const missing: SettingSpec[] = [];
  for (const spec of specs) {
    if (values.has(spec.name)) continue;
    if (spec.fallback !== undefined) values.set(spec.name, spec.fallback);
    else missing.push(spec);
  }
  if (missing.length > 0 && ok) a.report(missingSettings(callee, missing, call.span));
  return ok && missing.length === 0 ? values : undefined;
}

function read(a: Analysis, callee: string, spec: SettingSpec, expression: Expression, env: Env): Value {
  if (spec.read !== undefined) return spec.read(expression);
  const value = evaluate(a, expression, env);
  if (spec.type === "list of strings" || spec.type === "learning rate") return value;
  return toSetting(a, value, spec.type, expression.span, `\`${spec.name}\` of \`${callee}\``, undefined);
}
