import type { Span } from "../diagnostics/index.ts";

/*
 * The patterns of `einsum` and `rearrange`: axes as names, `1`, groups in parentheses, `...`, `->` between the sides
 * and `,` between operands (Rogozhnikov 2022, einops).
 */

export type PatternItem =
  | { readonly kind: "axis"; readonly name: string; readonly span: Span }
  | { readonly kind: "one"; readonly span: Span }
  | { readonly kind: "ellipsis"; readonly span: Span }
  | { readonly kind: "group"; readonly items: readonly PatternItem[]; readonly span: Span };

export interface Pattern {
  /** One list of items an operand. */
  readonly left: readonly (readonly PatternItem[])[];
  readonly right: readonly PatternItem[];
  readonly arrow: Span;
}

export interface PatternProblem {
  readonly span: Span;
  readonly text: string;
  readonly hint?: string;
}

interface Token {
  readonly kind: "name" | "one" | "ellipsis" | "(" | ")" | "," | "->";
  readonly text: string;
  readonly span: Span;
}

/** @param span of the string literal, with its quotes */
export function parsePattern(text: string, span: Span): Pattern | PatternProblem {
  // With escapes in the literal, offsets in the value are none in the text: the whole literal is underlined then.
  const plain = span.end - span.start === text.length + 2;
  const spanOf = (start: number, end: number): Span =>
    plain ? { file: span.file, start: span.start + 1 + start, end: span.start + 1 + end } : span;
  const tokens = tokenize(text, spanOf);
  if (!Array.isArray(tokens)) return tokens;
  const arrows = tokens.filter((t) => t.kind === "->");
  const [arrow, second] = arrows;
  if (arrow === undefined) {
    return { span, text: "no `->`", hint: "write what goes in, `->`, and what comes out" };
  }
  if (second !== undefined) return { span: second.span, text: "a second `->`" };
  const at = tokens.indexOf(arrow);
  const operands: Token[][] = [[]];
  for (const token of tokens.slice(0, at)) {
    if (token.kind === ",") operands.push([]);
    else operands.at(-1)?.push(token);
  }
  const left: (readonly PatternItem[])[] = [];
  for (const operand of operands) {
    const items = parseItems(operand);
    if (!Array.isArray(items)) return items;
    left.push(items);
  }
  const comma = tokens.slice(at).find((t) => t.kind === ",");
  if (comma !== undefined) return { span: comma.span, text: "only the left side has several operands" };
  const right = parseItems(tokens.slice(at + 1));
  if (!Array.isArray(right)) return right;
  return { left, right, arrow: arrow.span };
}

function tokenize(text: string, spanOf: (start: number, end: number) => Span): Token[] | PatternProblem {
  const tokens: Token[] = [];
  const matcher = /\s+|([A-Za-z_][A-Za-z0-9_]*)|(\.\.\.)|(->)|([(),])|([0-9]+)|./gsu;
  for (const match of text.matchAll(matcher)) {
    const [whole, name, ellipsis, arrow, sign, digits] = match;
    const span = spanOf(match.index, match.index + whole.length);
    if (name !== undefined) tokens.push({ kind: "name", text: name, span });
    else if (ellipsis !== undefined) tokens.push({ kind: "ellipsis", text: whole, span });
    else if (arrow !== undefined) tokens.push({ kind: "->", text: whole, span });
    else if (sign === "(" || sign === ")" || sign === ",") tokens.push({ kind: sign, text: whole, span });
    else if (digits === "1") tokens.push({ kind: "one", text: whole, span });
    else if (digits !== undefined) {
      return {
        span,
        text: "`1` alone may stand for an axis without a name",
        hint: "name the axis and give its size: `h: 2`",
      };
    } else if (whole.trim() !== "") return { span, text: `\`${whole}\` has no meaning in a pattern` };
  }
  return tokens;
}

function parseItems(tokens: readonly Token[]): PatternItem[] | PatternProblem {
  const items: PatternItem[] = [];
  let group: { readonly items: PatternItem[]; readonly open: Span } | undefined;
  for (const token of tokens) {
    const target = group?.items ?? items;
    switch (token.kind) {
      case "name":
        target.push({ kind: "axis", name: token.text, span: token.span });
        break;
      case "one":
        target.push({ kind: "one", span: token.span });
        break;
      case "ellipsis":
        if (group !== undefined) return { span: token.span, text: "`...` cannot stand in a group" };
        target.push({ kind: "ellipsis", span: token.span });
        break;
      case "(":
        if (group !== undefined) return { span: token.span, text: "a group inside a group" };
        group = { items: [], open: token.span };
        break;
      case ")":
        if (group === undefined) return { span: token.span, text: "`)` closes nothing" };
        items.push({ kind: "group", items: group.items, span: { ...group.open, end: token.span.end } });
        group = undefined;
        break;
      default:
        return { span: token.span, text: `\`${token.text}\` is out of place` };
    }
  }
  if (group !== undefined) return { span: group.open, text: "this `(` is never closed" };
  const ellipses = items.filter((i) => i.kind === "ellipsis");
  const [, second] = ellipses;
  if (second !== undefined) return { span: second.span, text: "a second `...` on one side" };
  return items;
}
