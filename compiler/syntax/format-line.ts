import { precedenceOf } from "./precedence.ts";
import * as t from "./tokens.ts";

/* One statement's tokens as text: spaces between them, and line breaks where it is too long. */

export const lineWidth = 110;
/** How far a statement's further lines stand in from its first. */
const CONTINUATION = 4;
/** Arguments are aligned behind a bracket that opens no further right than this. */
const DEEPEST_HANG = 60;

/** A token with the space before it, or brackets with all that is inside them. */
type Item =
  | {
      readonly kind: "token";
      readonly text: string;
      readonly space: boolean;
      readonly class: BreakClass | undefined;
    }
  | {
      readonly kind: "group";
      readonly open: string;
      readonly space: boolean;
      readonly inside: readonly Item[];
      readonly close: string;
    };

/** Where a line may be broken, before (or after a comma) which tokens; the first class found is used throughout. */
const breakClasses = ["comma", "body", "arrow", "else", "1", "2", "4", "5", "6"] as const;
type BreakClass = (typeof breakClasses)[number];

/** What the words around a statement say about it. */
export interface LineContext {
  /** The first word is a key and a value follows: in a `train` block. */
  readonly isEntry: boolean;
}

/** True if the token at `index` has a space before it. Not asked for the first. */
export function spaceBefore(
  tokens: readonly t.Token[],
  index: number,
  brackets: readonly string[],
  context: LineContext,
): boolean {
  const previous = tokens[index - 1];
  const token = tokens[index];
  if (previous === undefined || token === undefined) return false;
  const afterKey = context.isEntry && index === 1;
  if (t.isA(previous, t.OpenParen, t.OpenSquare, t.Dot)) return false;
  // A slice without a start, behind another: `x[:, :, 0]`.
  if (t.isA(token, t.Colon)) return t.isA(previous, t.Comma);
  if (t.isA(token, t.CloseParen, t.CloseSquare, t.Comma, t.Dot)) return false;
  if (t.isA(previous, t.OpenBrace) && t.isA(token, t.CloseBrace)) return false;
  if (t.isA(previous, t.Colon)) return brackets.at(-1) !== "[";
  if (afterKey) return true;
  if (t.isA(previous, t.Minus) && isPrefix(tokens, index - 1, context)) return false;
  if (t.isA(token, t.OpenParen, t.OpenSquare)) {
    if (begins(tokens, index - 1) && previous.tokenType !== t.Forward && isStatementWord(previous))
      return true;
    if (previous.tokenType === t.Repeat && t.isA(tokens[index - 2], t.Equals))
      return tokens[0]?.tokenType === t.Use;
    return !(
      t.isOf(previous, t.Name) ||
      t.isOf(previous, t.Literal) ||
      t.isA(previous, t.CloseParen, t.CloseSquare)
    );
  }
  return true;
}

/** True of the first token of a statement, also of one in braces on the same line. */
function begins(tokens: readonly t.Token[], index: number): boolean {
  return index === 0 || t.isA(tokens[index - 1], t.OpenBrace);
}

function isStatementWord(token: t.Token): boolean {
  return token.tokenType !== t.Word;
}

function isPrefix(tokens: readonly t.Token[], index: number, context: LineContext): boolean {
  const previous = tokens[index - 1];
  if (previous === undefined || (context.isEntry && index === 1)) return true;
  if (begins(tokens, index - 1) && t.isA(previous, t.Require)) return true;
  const endsOperand =
    t.isOf(previous, t.Name) || t.isOf(previous, t.Literal) || t.isA(previous, t.CloseParen, t.CloseSquare);
  return !endsOperand;
}

/**
 * The lines of a statement.
 * @param tokens of one statement; brackets match
 * @param column where its first line begins
 * @param indent of the block it stands in; further lines begin to the right of it
 */
export function formatLine(
  tokens: readonly t.Token[],
  column: number,
  indent: number,
  context: LineContext,
): string[] {
  const printer = new LinePrinter(column, indent);
  printer.sequence(itemsOf(tokens, context), indent + CONTINUATION, 0);
  return printer.lines;
}

/** The tokens on one line. */
export function flatLine(tokens: readonly t.Token[], context: LineContext): string {
  return itemsOf(tokens, context).map(flat).join("");
}

function itemsOf(tokens: readonly t.Token[], context: LineContext): Item[] {
  const stack: { readonly token: t.Token; readonly space: boolean; readonly outer: Item[] }[] = [];
  const brackets: string[] = [];
  let items: Item[] = [];
  tokens.forEach((token, i) => {
    const space = spaceBefore(tokens, i, brackets, context);
    if (t.isA(token, t.OpenParen, t.OpenSquare)) {
      stack.push({ token, space, outer: items });
      brackets.push(token.image);
      items = [];
    } else if (t.isA(token, t.CloseParen, t.CloseSquare)) {
      const open = stack.pop();
      brackets.pop();
      if (open === undefined) return;
      open.outer.push({
        kind: "group",
        open: open.token.image,
        space: open.space,
        inside: items,
        close: token.image,
      });
      items = open.outer;
    } else {
      const inBrackets = stack.length > 0;
      items.push({ kind: "token", text: token.image, space, class: classOf(tokens, i, inBrackets, context) });
    }
  });
  return items;
}

const commaStatements = [t.Use, t.Require, t.Return];
const heads = [t.Fn, t.Loss, t.Forward];

function classOf(
  tokens: readonly t.Token[],
  index: number,
  inBrackets: boolean,
  context: LineContext,
): BreakClass | undefined {
  const token = tokens[index];
  const first = tokens[0];
  if (token === undefined || index === 0) return undefined;
  if (token.tokenType === t.Comma)
    return inBrackets || t.isA(first, ...commaStatements) ? "comma" : undefined;
  if (token.tokenType === t.Arrow) return "arrow";
  if (token.tokenType === t.Equals)
    return !inBrackets && t.isA(first, ...heads) && tokens.some((x) => x.tokenType === t.Arrow)
      ? "body"
      : undefined;
  if (t.isA(token, t.Then, t.Else)) return first?.tokenType === t.CloseBrace ? undefined : "else";
  if (token.tokenType === t.Minus && isPrefix(tokens, index, context)) return undefined;
  if (!t.isOf(token, t.BinaryOperator)) return undefined;
  const precedence = String(precedenceOf(token.image));
  return breakClasses.find((c) => c === precedence);
}

function flat(item: Item): string {
  const space = item.space ? " " : "";
  return item.kind === "token"
    ? space + item.text
    : space + item.open + item.inside.map(flat).join("") + item.close;
}

function width(items: readonly Item[]): number {
  let sum = 0;
  for (const item of items) {
    sum += item.space ? 1 : 0;
    sum += item.kind === "token" ? item.text.length : width(item.inside) + 2;
  }
  return sum;
}

class LinePrinter {
  readonly lines: string[] = [];
  private text = "";

  constructor(
    private base: number,
    private readonly indent: number,
  ) {
    this.lines.push("");
  }

  private get column(): number {
    return this.base + this.text.length;
  }

  private put(text: string): void {
    this.text += this.text === "" && this.lines.length > 1 ? text.trimStart() : text;
    this.lines[this.lines.length - 1] = (this.lines.length > 1 ? " ".repeat(this.base) : "") + this.text;
  }

  private newline(column: number): void {
    this.lines.push("");
    this.base = column;
    this.text = "";
  }

  /** @param reserve columns that what follows needs on the last line */
  sequence(items: readonly Item[], hang: number, reserve: number): void {
    if (this.column + width(items) + reserve <= lineWidth) {
      this.put(items.map(flat).join(""));
      return;
    }
    const used = breakClasses.find((c) => items.some((item) => item.kind === "token" && item.class === c));
    if (used === undefined) this.groups(items, hang, reserve);
    else
      this.fill(
        splitAt(items, used),
        used === "arrow" || used === "body" ? this.indent + 2 : hang,
        hang,
        reserve,
      );
  }

  /** Segments side by side as far as they fit. */
  private fill(segments: readonly (readonly Item[])[], column: number, hang: number, reserve: number): void {
    segments.forEach((segment, i) => {
      const after = i === segments.length - 1 ? reserve : 0;
      const fits = this.column + width(segment) + after <= lineWidth;
      if (!fits && i > 0) this.newline(column);
      this.sequence(segment, hang, after);
    });
  }

  /** Breaks inside those brackets that do not fit, arguments aligned behind the bracket. */
  private groups(items: readonly Item[], hang: number, reserve: number): void {
    items.forEach((item, i) => {
      if (item.kind === "token") {
        this.put(flat(item));
        return;
      }
      const rest = items.slice(i + 1);
      const nextGroup = rest.findIndex((x) => x.kind === "group");
      // What must stay on the line of the closing bracket.
      const after = nextGroup < 0 ? width(rest) + reserve : width(rest.slice(0, nextGroup)) + 2;
      if (this.column + width([item]) + after <= lineWidth || item.inside.length === 0) {
        this.put(flat(item));
        return;
      }
      this.put((item.space ? " " : "") + item.open);
      const inner = this.column <= DEEPEST_HANG ? this.column : hang;
      if (this.column > DEEPEST_HANG) this.newline(inner);
      this.sequence(item.inside, inner, after + 1);
      this.put(item.close);
    });
  }
}

/** Segments that begin at the tokens of a class; a comma ends its segment instead. */
function splitAt(items: readonly Item[], at: BreakClass): Item[][] {
  const segments: Item[][] = [[]];
  for (const item of items) {
    const hit = item.kind === "token" && item.class === at;
    // A break is used once: within its segment the token is like any other.
    const used: Item = hit ? { ...item, class: undefined } : item;
    if (hit && at !== "comma" && segments.at(-1)?.length !== 0) segments.push([]);
    segments.at(-1)?.push(used);
    if (hit && at === "comma") segments.push([]);
  }
  return segments.filter((segment) => segment.length > 0);
}
