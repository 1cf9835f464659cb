import type { Span } from "../diagnostics/index.ts";
import type { Body, LetStatement, RequireItem, Statement } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { duplicateName, letCount, missingReturn, outputOutsideModel, requireFailed } from "./errors.ts";
import { evaluate, evaluateCondition } from "./evaluate.ts";
import type { Given } from "./signature.ts";
import { display, errorValue } from "./value.ts";

/**
 * Runs a body in `env.scope`.
 * @param label for the value it returns
 * @param keyword where to point when it returns nothing
 * @returns the values of its `return`, or undefined where there is none: reported, but in a model
 */
export function runBody(
  a: Analysis,
  callee: string,
  body: Body,
  env: Env,
  label: string,
  keyword: Span,
): readonly Given[] | undefined {
  if (body.kind === "expressionBody") {
    return [{ value: evaluate(a, body.value, env, label), span: body.value.span }];
  }
  const returned = runStatements(a, body.statements, env, label);
  if (returned === undefined && env.results === undefined && !a.stopped)
    a.report(missingReturn(callee, keyword));
  return returned;
}

function runStatements(
  a: Analysis,
  statements: readonly Statement[],
  env: Env,
  label: string,
): readonly Given[] | undefined {
  for (const statement of statements) {
    if (a.stopped) return undefined;
    const returned = runStatement(a, statement, env, label);
    if (returned !== undefined) return returned;
  }
  return undefined;
}

function runStatement(
  a: Analysis,
  statement: Statement,
  env: Env,
  label: string,
): readonly Given[] | undefined {
  switch (statement.kind) {
    case "let":
      runLet(a, statement, env);
      return undefined;
    case "return":
      return statement.values.map((value) => ({ value: evaluate(a, value, env, label), span: value.span }));
    case "output":
    case "head":
    case "loss":
    case "metric": {
      const value = evaluate(a, statement.value, env, statement.name.text);
      a.observe?.(statement.name.span, env.path, value);
      if (env.results === undefined) a.report(outputOutsideModel(statement));
      else
        env.results.add(
          statement.kind,
          statement.name.text,
          statement.name.span,
          value,
          statement.value.span,
        );
      return undefined;
    }
    case "require":
      checkRequire(a, statement, env);
      return undefined;
    case "if": {
      const condition = evaluateCondition(a, statement.condition, env);
      if (condition === undefined) return undefined;
      // No scope of its own: it is decided at compile time, so its names are as good as those around it.
      return a.nested(statement.span, undefined, () =>
        runStatements(a, condition ? statement.then : statement.otherwise, env, label),
      );
    }
    default:
      return statement satisfies never;
  }
}

function runLet(a: Analysis, statement: LetStatement, env: Env): void {
  const [first] = statement.names;
  const label = statement.names.length === 1 ? first?.text : undefined;
  const value = evaluate(a, statement.value, env, label);
  const parts = value.kind === "tuple" ? value.elements : [value];
  if (value.kind !== "error" && parts.length !== statement.names.length)
    a.report(letCount(statement, parts.length));
  statement.names.forEach((name, i) => {
    const part = parts.length === statement.names.length ? (parts[i] ?? errorValue) : errorValue;
    a.observe?.(name.span, env.path, part);
    const known = env.scope.define(name.text, part, name.span);
    if (known !== undefined) a.report(duplicateName(name.text, name.span, known.span));
  });
}

export function checkRequire(a: Analysis, item: RequireItem, env: Env): void {
  const holds = evaluateCondition(a, item.condition, env);
  if (holds !== false) return;
  const parts = item.message?.parts.map((part) => {
    return part.kind === "text" ? part.text : display(evaluate(a, part.value, env));
  });
  a.report(requireFailed(item, parts?.join(""), env.path));
}
