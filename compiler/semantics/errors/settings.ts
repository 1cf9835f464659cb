import type { Diagnostic, Label, Span } from "../../diagnostics/index.ts";
import type {
  LetStatement,
  Name,
  NameExpression,
  Parameter,
  RequireItem,
  SettingItem,
  SettingTypeName,
  Type,
} from "../../syntax/index.ts";
import { describe, type Value } from "../value.ts";
import { error, listNames, plural, suggestion } from "./diagnostic.ts";

const typeNames: Readonly<Record<SettingTypeName, string>> = {
  dim: "a dimension, an int of 1 or more",
  int: "an int",
  float: "a float",
  bool: "true or false",
  string: "a string",
};

export function notSetting(
  span: Span,
  what: string,
  type: SettingTypeName,
  value: Value,
  declared: Span | undefined,
): Diagnostic {
  const related: readonly Label[] =
    declared === undefined ? [] : [{ span: declared, text: `declared here: ${type}` }];
  const quotient = value.kind === "float" && value.quotient === true;
  return error("wrong-setting", `${what} must be ${typeNames[type]}`, span, describe(value), {
    related,
    hint: quotient ? "the division must be exact; `floor(a / b)` rounds down" : undefined,
  });
}

export function unknownArgument(callee: string, name: Name, parameters: readonly Parameter[]): Diagnostic {
  const known = parameters.map((p) => p.name.text);
  return error(
    "unknown-argument",
    `\`${callee}\` has no parameter \`${name.text}\``,
    name.span,
    "given here",
    {
      hint: suggestion(name.text, known) ?? (known.length === 0 ? "it takes none" : undefined),
    },
  );
}

export function tooManyArguments(callee: string, parameters: readonly Parameter[], span: Span): Diagnostic {
  const known = parameters.map((p) => p.name.text);
  const takes = known.length === 0 ? "takes no arguments" : `takes ${plural(known.length, "argument")}`;
  return error("too-many-arguments", `\`${callee}\` ${takes}`, span, "one too many", {
    hint: known.length === 0 ? undefined : `in this order: ${known.map((n) => `\`${n}\``).join(", ")}`,
  });
}

export function missingArgument(callee: string, missing: readonly Parameter[], span: Span): Diagnostic {
  const names = missing.map((p) => p.name.text);
  const [first] = missing;
  return error(
    "missing-argument",
    `\`${callee}\` needs ${listNames(names)}`,
    span,
    `without ${listNames(names)}`,
    {
      related: first === undefined ? [] : [{ span: first.span, text: "has no default" }],
    },
  );
}

export function argumentTwice(callee: string, name: string, span: Span, first: Span): Diagnostic {
  return error("argument-twice", `\`${name}\` of \`${callee}\` is given twice`, span, "given again", {
    related: first === span ? [] : [{ span: first, text: "given first here" }],
  });
}

export function settingCycle(item: SettingItem): Diagnostic {
  return error(
    "setting-cycle",
    `\`${item.name.text}\` is computed from itself`,
    item.name.span,
    "needs its own value",
  );
}

export function unknownOverride(name: string, known: readonly string[], span: Span): Diagnostic {
  return error("unknown-setting", `the spec has no setting \`${name}\``, span, "", {
    hint: suggestion(name, known),
  });
}

export function settingOverride(item: SettingItem, text: string): Diagnostic {
  const type = item.type.name === "error" ? "a value" : typeNames[item.type.name];
  return error(
    "wrong-override",
    `\`${item.name.text}\` must be ${type}, not \`${text}\``,
    item.span,
    "declared here",
  );
}

export function requireFailed(item: RequireItem, message: string | undefined, path: string): Diagnostic {
  return error(
    "require-failed",
    message ?? "a requirement does not hold",
    item.condition.span,
    path === "" ? "required here" : `required here, for \`${path}\``,
  );
}

export function conditionNotSetting(span: Span, value: Value): Diagnostic {
  return error("condition", "a condition is decided at compile time, over settings", span, describe(value), {
    hint: value.kind === "tensor" ? "to choose per element, use `where(condition, a, b)`" : undefined,
  });
}

export function notANumber(span: Span, problem: string): Diagnostic {
  return error("no-number", `this cannot be computed: ${problem}`, span, "computed here");
}

export function letCount(statement: LetStatement, count: number): Diagnostic {
  const wanted = statement.names.length;
  return error(
    "let-count",
    `${plural(wanted, "name")} for ${plural(count, "value")}`,
    statement.span,
    `gives ${plural(count, "value")}`,
  );
}

export function resultCount(callee: string, results: readonly Type[], count: number, span: Span): Diagnostic {
  const [first] = results;
  return error(
    "result-count",
    `\`${callee}\` returns ${plural(count, "value")}, its type says ${results.length}`,
    span,
    plural(count, "value"),
    {
      related: first === undefined ? [] : [{ span: first.span, text: "the declared result" }],
    },
  );
}

export function notInitializer(span: Span): Diagnostic {
  return error("not-an-initializer", "a parameter starts from an initialiser", span, "not one", {
    hint: "for instance `zeros()`, `ones()`, `normal(0.02)` or `glorot_uniform()`",
  });
}

export function unknownInitializer(name: NameExpression, known: readonly string[]): Diagnostic {
  return error("unknown-initializer", `no initialiser named \`${name.text}\``, name.span, "used here", {
    hint: suggestion(name.text, known),
  });
}

export function initializerRange(span: Span, name: string, problem: string): Diagnostic {
  return error("initializer-range", `\`${name}\`: ${problem}`, span, "given here");
}

interface NamedSetting {
  readonly name: string;
}

export function tooManySettings(callee: string, specs: readonly NamedSetting[], span: Span): Diagnostic {
  const order = specs.map((s) => `\`${s.name}\``).join(", ");
  return error(
    "too-many-arguments",
    `\`${callee}\` takes ${specs.length === 0 ? "no arguments" : plural(specs.length, "argument")}`,
    span,
    "one too many",
    {
      hint: specs.length === 0 ? undefined : `in this order: ${order}`,
    },
  );
}

export function unknownSetting(callee: string, name: Name, specs: readonly NamedSetting[]): Diagnostic {
  const known = specs.map((s) => s.name);
  return error("unknown-argument", `\`${callee}\` has no setting \`${name.text}\``, name.span, "given here", {
    hint: suggestion(name.text, known) ?? (known.length === 0 ? "it takes none" : undefined),
  });
}

export function missingSettings(callee: string, missing: readonly NamedSetting[], span: Span): Diagnostic {
  const names = listNames(missing.map((s) => s.name));
  return error("missing-argument", `\`${callee}\` needs ${names}`, span, `without ${names}`);
}

export function wrongDataOverride(parameter: Parameter, text: string): Diagnostic {
  const type =
    parameter.type.kind === "settingType" && parameter.type.name !== "error"
      ? typeNames[parameter.type.name]
      : "a value";
  return error(
    "wrong-override",
    `\`${parameter.name.text}\` must be ${type}, not \`${text}\``,
    parameter.span,
    "declared here",
  );
}
