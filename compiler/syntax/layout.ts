import type { TokenType } from "chevrotain";
import type { Diagnostic, SourceFile, Span } from "../diagnostics/index.ts";
import { trainKeys } from "./ast.ts";
import * as errors from "./errors.ts";
import * as t from "./tokens.ts";

/*
 * Between the tokens and the grammar: brackets are made to match and newlines become statement ends, so that
 * the grammar never meets an open bracket, and one missing `)` is one message instead of fifty.
 */

/** Brackets and `if`s inside one another. Bounds the recursion of the parser and of every later stage. */
export const maxNesting = 64;

export interface Layout {
  /** Brackets match; `End`s only between statements. */
  readonly tokens: readonly t.Token[];
  readonly diagnostics: readonly Diagnostic[];
  /** True if the nesting limit was passed: not to be parsed. */
  readonly tooDeep: boolean;
}

export function layOut(file: SourceFile, scanned: readonly t.Token[]): Layout {
  const plain = new BracketMatcher(file, scanned, false).run();
  // A `{` never closed swallows the rest of the file: then what begins at the margin shows where it should end.
  const matched = plain.bracesLeftOpen ? new BracketMatcher(file, scanned, true).run() : plain;
  const placed = placeEnds(file, matched.tokens);
  const nesting = checkNesting(file, placed.tokens);
  return {
    tokens: placed.tokens,
    diagnostics: [...matched.diagnostics, ...placed.diagnostics, ...nesting],
    tooDeep: matched.tooDeep || nesting.length > 0,
  };
}

const closers: ReadonlyMap<TokenType, TokenType> = new Map([
  [t.OpenParen, t.CloseParen],
  [t.OpenSquare, t.CloseSquare],
  [t.OpenBrace, t.CloseBrace],
]);
const closing: ReadonlySet<TokenType> = new Set(closers.values());

interface Matched {
  readonly tokens: readonly t.Token[];
  readonly diagnostics: readonly Diagnostic[];
  readonly bracesLeftOpen: boolean;
  readonly tooDeep: boolean;
}

/** Drops closers that close nothing and inserts (empty) closers where one is missing. Newlines stay. */
class BracketMatcher {
  private readonly out: t.Token[] = [];
  private readonly diagnostics: Diagnostic[] = [];
  private readonly open: t.Token[] = [];
  private bracesLeftOpen = false;
  /** Up to here `out` holds no declaration that lacks its `{`. */
  private searched = 0;
  /** After a repair on a line, a closer too many there belongs to the same mistake. */
  private repairedLine = false;

  constructor(
    private readonly file: SourceFile,
    private readonly tokens: readonly t.Token[],
    /** Take a declaration at the start of a line to begin outside of all braces. */
    private readonly trustMargin: boolean,
  ) {}

  run(): Matched {
    for (const [i, token] of this.tokens.entries()) {
      if (closing.has(token.tokenType)) {
        this.close(token);
        continue;
      }
      if (token.tokenType === t.Newline) {
        this.repairedLine = false;
        if (t.isA(this.out.at(-1), t.Newline)) continue;
      } else if (i === 0 || this.tokens[i - 1]?.tokenType === t.Newline) {
        this.beginLine(i);
      }
      // No `{` stands inside other brackets: those before it should have been closed.
      if (token.tokenType === t.OpenBrace) while (!isBrace(this.open.at(-1))) this.closeMissing(token);
      if (closers.has(token.tokenType)) this.open.push(token);
      this.out.push(token);
      if (this.open.length > maxNesting) {
        this.diagnostics.push(errors.tooDeep(this.spanOf(token), maxNesting));
        return { tokens: [], diagnostics: this.diagnostics, bracesLeftOpen: false, tooDeep: true };
      }
    }
    while (this.open.length > 0) this.closeMissing(undefined);
    const { out, diagnostics, bracesLeftOpen } = this;
    return { tokens: out, diagnostics, bracesLeftOpen, tooDeep: false };
  }

  private close(token: t.Token): void {
    const opener = this.openerOf(token.tokenType);
    if (opener !== undefined) {
      while (this.open.length - 1 > opener) this.closeMissing(token);
      this.open.pop();
      this.out.push(token);
    } else if (token.tokenType !== t.CloseBrace && !isBrace(this.open.at(-1))) {
      // `(a]`: the wrong closer, which stands for the right one.
      this.closeMissing(token);
    } else if (token.tokenType === t.CloseBrace && this.open.length === 0 && this.insertOpenBrace()) {
      this.out.push(token);
    } else if (!this.repairedLine) {
      this.diagnostics.push(errors.unopened(this.spanOf(token), token.image));
    }
  }

  /** For a `}` that closes nothing: opens the last declaration that has no body. False where there is none. */
  private insertOpenBrace(): boolean {
    let depth = 0;
    let lineEnd: number | undefined;
    const from = this.searched;
    this.searched = this.out.length;
    for (let i = this.out.length - 1; i >= from; i--) {
      const token = this.out[i];
      if (token === undefined || isBrace(token) || token.tokenType === t.CloseBrace) return false;
      if (closing.has(token.tokenType)) depth++;
      if (closers.has(token.tokenType)) depth--;
      if (depth === 0 && token.tokenType === t.Newline) lineEnd = i;
      if (lineEnd !== undefined && withBody.has(token.tokenType) && this.atMargin(token)) {
        const offset = endOfLast(this.out.slice(i, lineEnd));
        this.diagnostics.push(
          errors.blockMissing({ file: this.file.name, start: offset, end: offset }, `this ${token.image}`),
        );
        this.out.splice(lineEnd, 0, t.virtual(t.OpenBrace, offset));
        return true;
      }
    }
    return false;
  }

  private atMargin(token: t.Token): boolean {
    return token.startOffset === 0 || /[\r\n]/.test(this.file.text.charAt(token.startOffset - 1));
  }

  /** The index in `open` of what a closer closes. A `)` or `]` reaches over no brace. */
  private openerOf(close: TokenType): number | undefined {
    for (let i = this.open.length - 1; i >= 0; i--) {
      const open = this.open[i];
      if (open !== undefined && closers.get(open.tokenType) === close) return i;
      if (close !== t.CloseBrace && isBrace(open)) return undefined;
    }
    return undefined;
  }

  /** A line that begins a statement shows that brackets before it should have been closed. */
  private beginLine(index: number): void {
    const token = this.tokens[index];
    if (token === undefined || this.open.length === 0) return;
    if (this.trustMargin && this.atMargin(token) && startsStatement(this.tokens, index, this.out)) {
      while (this.open.length > 0) this.closeMissing(token);
    } else if (!isBrace(this.open.at(-1)) && startsStatement(this.tokens, index, this.out)) {
      while (this.open.length > 0 && !isBrace(this.open.at(-1))) this.closeMissing(token);
    }
  }

  /** Closes the innermost open bracket before `found` (undefined: the end of the file). */
  private closeMissing(found: t.Token | undefined): void {
    const open = this.open.pop();
    const close = open === undefined ? undefined : closers.get(open.tokenType);
    if (open === undefined || close === undefined) return;
    const newline = t.isA(this.out.at(-1), t.Newline) ? this.out.pop() : undefined;
    const offset = endOfLast(this.out);
    const atLineEnd = found === undefined || newline !== undefined;
    const span = atLineEnd ? { file: this.file.name, start: offset, end: offset } : this.spanOf(found);
    if (isBrace(open)) this.bracesLeftOpen = true;
    const where =
      found === undefined ? "the end of the file" : atLineEnd ? "the end of the line" : `\`${found.image}\``;
    this.diagnostics.push(errors.unclosed(this.file, this.spanOf(open), open.image, span, where));
    this.out.push(t.virtual(close, offset));
    if (newline !== undefined) this.out.push(newline);
    this.repairedLine = true;
  }

  private spanOf(token: t.Token): Span {
    return { file: this.file.name, start: token.startOffset, end: t.endOf(token) };
  }
}

function isBrace(token: t.Token | undefined): boolean {
  return token === undefined || token.tokenType === t.OpenBrace;
}

function endOfLast(tokens: readonly t.Token[]): number {
  const last = tokens.at(-1);
  return last === undefined ? 0 : t.endOf(last);
}

const statementWords: ReadonlySet<TokenType> = new Set([
  ...[t.Setting, t.Layer, t.Model, t.Fn, t.Loss, t.Data, t.Train],
  ...[t.Param, t.Use, t.Require, t.Const, t.Output, t.Head, t.Metric],
]);
const withBody: ReadonlySet<TokenType> = new Set([t.Layer, t.Model, t.Fn, t.Loss, t.Data, t.Train]);
const trainWords: ReadonlySet<string> = new Set(trainKeys);

/** True if the line that begins at `index` cannot go on an expression: `let`, or a keyword and a name side by side. */
function startsStatement(tokens: readonly t.Token[], index: number, before: readonly t.Token[]): boolean {
  const token = tokens[index];
  const next = tokens[index + 1];
  if (t.isA(token, t.Let, t.Return)) return true;
  if (token === undefined || next === undefined) return false;
  if (token.tokenType === t.Import) return next.tokenType === t.Text;
  if (token.tokenType === t.Forward) {
    const last = before.findLast((x) => x.tokenType !== t.Newline);
    return next.tokenType === t.OpenParen && !leavesOpen(last) && !closers.has(last?.tokenType ?? t.End);
  }
  if (statementWords.has(token.tokenType)) return t.isOf(next, t.Name);
  return trainWords.has(token.image) && (t.isOf(next, t.Name) || t.isA(next, t.Int, t.Float));
}

/** What a line may not end with: its statement goes on in the next line. */
function leavesOpen(token: t.Token | undefined): boolean {
  return (
    t.isOf(token, t.BinaryOperator) ||
    t.isA(token, t.Equals, t.Arrow, t.Comma, t.Dot, t.Colon, t.Not, t.If, t.Then, t.Else)
  );
}

/** What no statement begins with: the line goes on the one before. */
function continues(token: t.Token | undefined): boolean {
  return (
    t.isOf(token, t.BinaryOperator) ||
    t.isA(token, t.Equals, t.Arrow, t.Comma, t.Dot, t.Colon, t.Then, t.Else, t.OpenBrace)
  );
}

/** Turns newlines and semicolons into `End`s, at most one in a row, and leaves out those that do not count. */
function placeEnds(
  file: SourceFile,
  tokens: readonly t.Token[],
): { readonly tokens: readonly t.Token[]; readonly diagnostics: readonly Diagnostic[] } {
  const out: t.Token[] = [];
  const diagnostics: Diagnostic[] = [];
  const open: t.Token[] = [];
  tokens.forEach((token, i) => {
    if (closers.has(token.tokenType)) open.push(token);
    if (closing.has(token.tokenType)) open.pop();
    const bracket = open.at(-1);
    const last = out.at(-1);
    const first = last === undefined || t.isA(last, t.End, t.OpenBrace);
    if (token.tokenType === t.Semicolon) {
      const span = { file: file.name, start: token.startOffset, end: t.endOf(token) };
      if (bracket !== undefined && !isBrace(bracket)) {
        diagnostics.push(errors.semicolonInBrackets(span, bracket.image));
        out.push({ ...t.retype(token, t.Comma), payload: "," });
      } else if (!first) {
        out.push(t.retype(token, t.End));
      }
    } else if (token.tokenType === t.Newline) {
      if (!isBrace(bracket) || first) return;
      const next = tokens[i + 1];
      if (next === undefined || next.tokenType === t.Newline || continues(next)) return;
      if (leavesOpen(last) && !startsStatement(tokens, i + 1, out)) return;
      out.push(t.retype(token, t.End));
    } else {
      out.push(token);
    }
  });
  return { tokens: out, diagnostics };
}

/** At most one diagnostic: where the limit is first passed. */
function checkNesting(file: SourceFile, tokens: readonly t.Token[]): readonly Diagnostic[] {
  const outer: { readonly base: number; readonly ifs: number }[] = [];
  let base = 0;
  let ifs = 0;
  for (const token of tokens) {
    if (closers.has(token.tokenType)) {
      // The `if`s before a `{` are done with; those before a `(` go on behind its `)`.
      if (token.tokenType === t.OpenBrace) ifs = 0;
      outer.push({ base, ifs });
      base += ifs + 1;
      ifs = 0;
    } else if (closing.has(token.tokenType)) {
      ({ base, ifs } = outer.pop() ?? { base: 0, ifs: 0 });
    } else if (t.isA(token, t.End, t.Comma)) {
      ifs = 0;
    } else if (token.tokenType === t.If) {
      ifs++;
    }
    if (base + ifs > maxNesting) {
      return [errors.tooDeep({ file: file.name, start: token.startOffset, end: t.endOf(token) }, maxNesting)];
    }
  }
  return [];
}
