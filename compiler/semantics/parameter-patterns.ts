import type { Span } from "../diagnostics/index.ts";
import type { Expression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { allFrozen, recipeRange, unmatchedPattern } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import type { RateScale } from "./model.ts";
import { readSettings } from "./recipe-calls.ts";

/**
 * A list of patterns, each of which matches a parameter; a mistake is reported.
 * @param what the setting or entry that takes it
 */
export function readPatterns(
  a: Analysis,
  expression: Expression,
  what: string,
  env: Env,
): readonly string[] | undefined {
  const value = evaluate(a, expression, env);
  if (value.kind === "error") return undefined;
  const elements = value.kind === "list" ? value.elements : [];
  const patterns = elements.flatMap((e) => (e.kind === "string" ? [e.value] : []));
  if (value.kind !== "list" || patterns.length !== elements.length) {
    if (!elements.some((e) => e.kind === "error"))
      a.report(recipeRange(expression, `\`${what}\` is a list of strings`));
    return undefined;
  }
  patterns.forEach((pattern, i) => {
    const span =
      expression.kind === "list" ? (expression.elements[i]?.span ?? expression.span) : expression.span;
    checkPattern(a, pattern, span);
  });
  return patterns;
}

/** `*` matches any text, all else itself; the whole name must match. */
export function matchesPattern(name: string, pattern: string): boolean {
  const [first = "", ...pieces] = pattern.split("*");
  const last = pieces.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last))
    return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const piece of pieces) {
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return at <= end;
}

function checkPattern(a: Analysis, pattern: string, span: Span): void {
  const names = a.parameters.map((p) => p.name);
  // Without parameters there is a mistake elsewhere, which is told already.
  if (names.length > 0 && !names.some((name) => matchesPattern(name, pattern)))
    a.report(unmatchedPattern(span, pattern, names));
}

/** `freeze ["encoder.*"]`. Undefined where something is wrong, which is reported. */
export function readFrozen(
  a: Analysis,
  expression: Expression | undefined,
  env: Env,
): readonly string[] | undefined {
  if (expression === undefined) return [];
  const patterns = readPatterns(a, expression, "freeze", env);
  const isFrozen = (name: string): boolean => patterns?.some((p) => matchesPattern(name, p)) === true;
  if (a.parameters.length > 0 && a.parameters.every(({ name }) => isFrozen(name))) {
    a.report(allFrozen(expression.span));
    return undefined;
  }
  return patterns;
}

/** `rates [scale("encoder.*", 0.1), ...]`. Undefined where something is wrong, which is reported. */
export function readRates(
  a: Analysis,
  expression: Expression | undefined,
  env: Env,
): readonly RateScale[] | undefined {
  if (expression === undefined) return [];
  if (expression.kind === "error") return undefined;
  if (expression.kind !== "list") {
    a.report(recipeRange(expression, '`rates` is a list: `[scale("encoder.*", 0.1)]`'));
    return undefined;
  }
  const rates = expression.elements.map((element) => readRate(a, element, env));
  return rates.every((rate) => rate !== undefined) ? rates : undefined;
}

function readRate(a: Analysis, element: Expression, env: Env): RateScale | undefined {
  if (element.kind === "error") return undefined;
  if (element.kind !== "call" || element.callee.kind !== "name" || element.callee.text !== "scale") {
    a.report(recipeRange(element, 'an entry of `rates` is written `scale("pattern", factor)`'));
    return undefined;
  }
  const specs = [
    { name: "pattern", type: "string" },
    { name: "factor", type: "float" },
  ] as const;
  const settings = readSettings(a, "scale", specs, element, env);
  const [pattern, factor] = [settings?.get("pattern"), settings?.get("factor")];
  if (pattern?.kind !== "string" || factor?.kind !== "float") return undefined;
  checkPattern(a, pattern.value, element.args[0]?.value.span ?? element.span);
  if (factor.value > 0) return { pattern: pattern.value, scale: factor.value };
  a.report(recipeRange(element, "the factor must be above 0; `freeze` keeps parameters as they are"));
  return undefined;
}
