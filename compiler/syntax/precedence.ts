import type { Diagnostic, Span } from "../diagnostics/index.ts";
import type * as ast from "./ast.ts";
import * as errors from "./errors.ts";
import { meaningOf } from "./scan.ts";
import type { Token } from "./tokens.ts";

/** Loosest 1. All associate to the left but `**`. */
const binaryPrecedence: Readonly<Record<ast.BinaryOperator, number>> = {
  or: 1,
  and: 2,
  "==": 4,
  "!=": 4,
  "<": 4,
  "<=": 4,
  ">": 4,
  ">=": 4,
  "+": 5,
  "-": 5,
  "*": 6,
  "/": 6,
  "%": 6,
  "@": 6,
  "**": 8,
};
const prefixPrecedence: Readonly<Record<ast.UnaryOperator, number>> = { not: 3, "-": 7 };
const COMPARISON = 4;

export function precedenceOf(operator: string): number | undefined {
  return isBinaryOperator(operator) ? binaryPrecedence[operator] : undefined;
}

function isBinaryOperator(text: string): text is ast.BinaryOperator {
  return Object.hasOwn(binaryPrecedence, text);
}

export interface Operand {
  readonly prefixes: readonly Token[];
  readonly value: ast.Expression;
}

export interface ChainContext {
  readonly spanOf: (token: Token) => Span;
  readonly made: (expression: ast.Expression, parts: readonly ast.Expression[]) => ast.Expression;
  readonly report: (diagnostic: Diagnostic) => void;
  /** Stands for a chain that an error has torn apart. */
  readonly missing: ast.Expression;
}

type Pending =
  | {
      readonly kind: "prefix";
      readonly operator: ast.UnaryOperator;
      readonly precedence: number;
      readonly token: Token;
    }
  | {
      readonly kind: "binary";
      readonly operator: ast.BinaryOperator;
      readonly precedence: number;
      readonly token: Token;
    };

/** Makes a tree of operands and operators in a row (Dijkstra's shunting yard, so that no chain is too long). */
export function joinChain(
  operands: readonly Operand[],
  operators: readonly Token[],
  context: ChainContext,
): ast.Expression {
  // After an error an operand may be gone altogether: then nothing says which operators were whose.
  const isWhole = operators.length === operands.length - 1;
  const inOrder = operands.every(
    (o, i) => i === 0 || o.value.span.start >= (operators[i - 1]?.startOffset ?? 0),
  );
  if (!isWhole || !inOrder) return context.missing;
  const values: ast.Expression[] = [];
  const pending: Pending[] = [];

  const reduce = (): void => {
    const top = pending.pop();
    const right = values.pop() ?? context.missing;
    if (top === undefined) return;
    const { file, end } = right.span;
    if (top.kind === "prefix") {
      const span = { file, start: top.token.startOffset, end };
      values.push(context.made({ kind: "unary", operator: top.operator, operand: right, span }, [right]));
      return;
    }
    const left = values.pop() ?? context.missing;
    const operatorSpan = context.spanOf(top.token);
    const span = { file, start: left.span.start, end };
    const binary: ast.Expression = {
      kind: "binary",
      operator: top.operator,
      operatorSpan,
      left,
      right,
      span,
    };
    values.push(context.made(binary, [left, right]));
  };

  operands.forEach((operand, i) => {
    for (const token of operand.prefixes) {
      const operator = meaningOf(token) === "not" ? "not" : "-";
      const precedence = prefixPrecedence[operator];
      if ((pending.at(-1)?.precedence ?? 0) > precedence)
        context.report(errors.notNeedsParentheses(context.spanOf(token)));
      pending.push({ kind: "prefix", operator, precedence, token });
    }
    values.push(operand.value);
    const token = operators[i];
    const operator = token === undefined ? undefined : meaningOf(token);
    if (token === undefined || operator === undefined || !isBinaryOperator(operator)) return;
    const precedence = binaryPrecedence[operator];
    for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
      if (top.precedence < precedence || (top.precedence === precedence && operator === "**")) break;
      if (top.precedence === precedence && precedence === COMPARISON) {
        context.report(errors.chainedComparison(context.spanOf(token), context.spanOf(top.token)));
      }
      reduce();
    }
    pending.push({ kind: "binary", operator, precedence, token });
  });
  while (pending.length > 0) reduce();
  return values[0] ?? context.missing;
}
