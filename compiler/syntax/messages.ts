import type { IRecognitionException } from "chevrotain";
import { type Diagnostic, positionOf, type SourceFile, type Span } from "../diagnostics/index.ts";
import * as errors from "./errors.ts";
import type { RuleName } from "./grammar.ts";
import * as t from "./tokens.ts";

/** What follows the tokens of a piece, for errors at its end. */
export interface Following {
  readonly span: Span;
  readonly words: string;
}

/** Chevrotain's exceptions as sentences: the first of each line, the others follow from it. */
export function describeErrors(
  file: SourceFile,
  what: string,
  rule: RuleName,
  exceptions: readonly IRecognitionException[],
  following: Following,
): Diagnostic[] {
  const lines = new Set<number>();
  const found: Diagnostic[] = [];
  for (const exception of exceptions) {
    const diagnostic = describe(file, what, rule, exception, following);
    if (diagnostic === undefined) continue;
    const { line } = positionOf(file, diagnostic.primary.span.start);
    if (!lines.has(line)) found.push(diagnostic);
    lines.add(line);
  }
  return found;
}

function describe(
  file: SourceFile,
  what: string,
  start: RuleName,
  exception: IRecognitionException,
  following: Following,
): Diagnostic | undefined {
  const { token } = exception;
  const atEnd = Number.isNaN(token.startOffset);
  // A closer that was inserted: that it was missing is already reported.
  if (!atEnd && token.image === "") return undefined;
  const span = atEnd ? following.span : { file: file.name, start: token.startOffset, end: t.endOf(token) };
  const found = atEnd ? following.words : `\`${token.image}\``;
  const rule = exception.context.ruleStack.at(-1) ?? "";
  if (exception.name === "NotAllInputParsedException") {
    if (token.tokenType === t.Else) return errors.elseWithoutIf(span);
    const wanted = following.words === "`{`" ? "`{`" : (bodyExpected[start] ?? `the end of ${what}`);
    return errors.trailing(span, wanted, found, trailingHint(token, wanted));
  }
  const expectsName =
    rule === "let"
      ? exception.name === "EarlyExitException"
      : exception.name === "MismatchedTokenException" && exception.message === "Name";
  if (expectsName && t.reservedWords.has(token.image)) return errors.reservedWord(span, token.image);
  const [expected, hint] =
    exception.name === "MismatchedTokenException"
      ? expectedToken(rule, exception.message, token)
      : [alternatives[rule] ?? "an expression", expressionHint(token)];
  return errors.unexpected(span, expected, found, hint);
}

/** What must follow a head that is read to its end. */
const bodyExpected: Readonly<Partial<Record<RuleName, string>>> = {
  layer: "`{`",
  data: "`{`",
  train: "`{`",
  fn: "`=` or `{`",
  forward: "`=` or `{`",
  require: "`,` and a message",
};

const alternatives: Readonly<Record<string, string>> = {
  let: "a name",
  model: "`(` and the model's settings, or `=`",
  results: "a type",
  element: "an index or a slice",
};

/** What a rule expects where Chevrotain names a token, and how to mend it. */
function expectedToken(rule: string, name: string, found: t.Token): readonly [string, (string | undefined)?] {
  switch (name) {
    case "Name":
      return nameExpected[rule] ?? ["a name"];
    case "Text":
      return rule === "import"
        ? ["a path in double quotes", 'for instance `import "lib/bert.bert"`']
        : ["a message in double quotes"];
    case "Colon":
      return ["`:` and a type", colonHint[rule]];
    case "Equals":
      return equalsExpected[rule] ?? ["`=`"];
    case "Arrow":
      return ["`->` and the type of the result", "for instance `-> f32[..., n]`"];
    case "OpenParen":
      return [openExpected[rule] ?? "`(`"];
    case "CloseParen":
      if (t.isA(found, t.Comma)) return [entryExpected[rule] ?? "an expression"];
      return [rule === "primary" ? "`)`" : "`,` or `)`", listHint(found)];
    case "CloseSquare":
      return ["`,` or `]`", listHint(found)];
    case "Of":
      return ["`of` and a layer", "for instance `repeat 12 of Block(hidden)`"];
    case "Then":
      return ["`then`", "an `if` expression is written `if c then a else b`"];
    case "Else":
      return ["`else`", "an `if` expression is written `if c then a else b`"];
    default:
      return [`\`${name.toLowerCase()}\``];
  }
}

const nameExpected: Readonly<Record<string, readonly [string, (string | undefined)?]>> = {
  type: ["a type", "settings are `dim`, `int`, `float`, `bool`, `string`; tensors are written `f32[B, T]`"],
  parameter: ["a name", "parameters are written `name: type`"],
  train: ["the name of a model"],
  suffix: ["a name after `.`"],
};

const entryExpected: Readonly<Record<string, string>> = {
  parameters: "a parameter",
  args: "an argument",
};

const colonHint: Readonly<Record<string, string>> = {
  param: "for instance `param weight: f32[in, out] = zeros()`",
  setting: "for instance `setting vocab: int = 20256`",
  parameter: "parameters are written `name: type`",
  field: "for instance `tokens: i32[batch, max_len]`",
};

const equalsExpected: Readonly<Record<string, readonly [string, (string | undefined)?]>> = {
  param: ["`=` and an initialiser", "for instance `= zeros()` or `= normal(0.02)`"],
  binding: ["`=` and a layer", "for instance `use norm = LayerNorm(hidden)`"],
  setting: ["`=` and a value"],
  let: ["`=` and an expression"],
};

const openExpected: Readonly<Record<string, string>> = {
  parameters: "`(` and a list of parameters",
  args: "`(` and arguments",
};

function expressionHint(found: t.Token): string | undefined {
  if (t.isA(found, t.If)) return "put an `if` expression inside another in parentheses";
  if (t.reservedWords.has(found.image)) return `\`${found.image}\` is a word of the language`;
  return undefined;
}

function listHint(found: t.Token): string | undefined {
  if (t.isA(found, t.Equals)) return "compare with `==`; named arguments are written `name: value`";
  return t.isOf(found, t.Name) || t.isOf(found, t.Literal) ? "is a `,` or an operator missing?" : undefined;
}

function trailingHint(found: t.Token, wanted: string): string | undefined {
  if (t.isA(found, t.Equals)) return "compare with `==`";
  if (wanted.startsWith("`")) return undefined;
  if (t.isOf(found, t.Name) || t.isOf(found, t.Literal)) return "is an operator missing, or a new line?";
  return "statements end at the end of a line or with `;`";
}
