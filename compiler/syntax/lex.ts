import type { SourceFile } from "../diagnostics/index.ts";
import { layOut } from "./layout.ts";
import { maxFileLength } from "./parse.ts";
import { scan } from "./scan.ts";
import * as t from "./tokens.ts";

/*
 * The lexer for editors: what the parser sees, as plain data, for texts that need not parse.
 */

/**
 * `reserved`: never a name (`let`, `if`, `true`); `word`: a name, or a word that is a keyword only where the grammar wants one
 * (`layer`, `of`); `invalid`: no part of the language.
 */
export type LexedKind =
  | "reserved"
  | "word"
  | "number"
  | "string"
  | "operator"
  | "punctuation"
  | "bracket"
  | "comment"
  | "invalid";

export interface LexedToken {
  readonly kind: LexedKind;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface Lexed {
  /** In the order of the text, comments among them. Empty where the file is too large to be parsed. */
  readonly tokens: readonly LexedToken[];
  /** Offsets of the tokens that begin a statement. */
  readonly statementStarts: ReadonlySet<number>;
}

/** Words that are keywords where the grammar wants one, and names elsewhere. */
export const contextualWords: ReadonlySet<string> = new Set(
  [...t.keywords.keys()].filter((word) => !t.reservedWords.has(word)),
);

/** Splits a text, or its part from `start` to `end`, into tokens. Linear in the text; never throws. */
export function lex(text: string, start = 0, end = text.length): Lexed {
  if (text.length > maxFileLength) return { tokens: [], statementStarts: new Set() };
  const file: SourceFile = { name: "", text };
  const scanned = scan(file, start, end);
  const all = [...scanned.tokens.filter((x) => x.tokenType !== t.Newline), ...scanned.comments].map(lexed);
  for (const { code, primary } of scanned.diagnostics) {
    if (code !== "stray-character" && code !== "block-comment") continue;
    const from = primary.span.start;
    const closed = code === "block-comment" ? text.indexOf("*/", from + 2) : -1;
    const to = code !== "block-comment" ? primary.span.end : closed < 0 ? end : Math.min(end, closed + 2);
    all.push({ kind: "invalid", text: text.slice(from, to), start: from, end: to });
  }
  const statementStarts = new Set<number>();
  let first = true;
  for (const token of layOut(file, scanned.tokens).tokens) {
    const ends = t.isA(token, t.End, t.OpenBrace, t.CloseBrace);
    if (first && !ends) statementStarts.add(token.startOffset);
    first = ends;
  }
  return { tokens: all.sort((a, b) => a.start - b.start), statementStarts };
}

const brackets = [t.OpenParen, t.CloseParen, t.OpenSquare, t.CloseSquare, t.OpenBrace, t.CloseBrace];

function kindOf(token: t.Token): LexedKind {
  const type = token.tokenType;
  if (t.isA(token, t.Comment)) return "comment";
  if (t.isA(token, ...brackets)) return "bracket";
  if (t.reservedWords.has(token.image)) return "reserved";
  if (type === t.Word || t.isOf(token, t.Name)) return "word";
  if (t.isA(token, t.Text, t.OpenText, t.SingleQuoted)) return "string";
  if (t.isOf(token, t.Literal)) return "number";
  if (t.isOf(token, t.BinaryOperator) || t.isOf(token, t.PrefixOperator)) return "operator";
  if (t.isA(token, t.Equals, t.Arrow, t.Ellipsis)) return "operator";
  if (t.isA(token, t.ForeignOperator, t.Stray)) return "invalid";
  return "punctuation";
}

function lexed(token: t.Token): LexedToken {
  return { kind: kindOf(token), text: token.image, start: token.startOffset, end: t.endOf(token) };
}

// --- where a cursor is ----------------------------------------------------------------------------------

/** What is open around a cursor at one level: the file, or one bracket. */
export interface CursorFrame {
  /** "" for the file. */
  readonly bracket: "" | "(" | "[" | "{";
  /** Tokens of the statement so far (file and braces), or since the bracket; what is closed is one token, `()`. */
  readonly tokens: readonly LexedToken[];
}

export interface Cursor {
  readonly inside: "code" | "comment" | "string";
  /** The word that ends at the cursor; empty where there is none. In a string, what follows its opening quote. */
  readonly word: { readonly start: number; readonly end: number };
  /** Outermost first; at least the file. The last is the innermost. The word is in none. */
  readonly frames: readonly CursorFrame[];
}

/** Where an offset is in a text that may end, or be broken, anywhere. Reads the text before it only; linear in it. */
export function cursorAt(text: string, offset: number): Cursor {
  const at = Math.max(0, Math.min(offset, text.length, maxFileLength));
  let wordStart = at;
  while (wordStart > 0 && /\w/.test(text.charAt(wordStart - 1))) wordStart--;
  const file: SourceFile = { name: "", text: text.slice(0, wordStart) };
  const scanned = scan(file);
  const tokens = [...layOut(file, scanned.tokens).tokens];
  // Closers that the text lacks come after all that it has: the cursor stands before them.
  while (isVirtualCloser(tokens.at(-1))) tokens.pop();
  const frames = framesOf(tokens);
  const last = tokens.findLast((x) => x.image !== "");
  const lastComment = scanned.comments.at(-1);
  const end = file.text.length;
  const word = { start: wordStart, end: at };
  if (lastComment !== undefined && t.endOf(lastComment) === end) return { inside: "comment", word, frames };
  if (last !== undefined && /^"/.test(last.image) && t.endOf(last) === end && !isClosedText(last)) {
    return { inside: "string", word: { start: last.startOffset + 1, end: at }, frames };
  }
  const innermost = frames.at(-1);
  const gap = file.text.slice(last === undefined ? 0 : t.endOf(last));
  const isStatementPlace = innermost !== undefined && "{".includes(innermost.bracket);
  if (isStatementPlace && /[\r\n;]/.test(gap) && !leavesStatementOpen(last)) {
    frames[frames.length - 1] = { ...innermost, tokens: [] };
  }
  return { inside: "code", word, frames };
}

function leavesStatementOpen(token: t.Token | undefined): boolean {
  return t.isOf(token, t.BinaryOperator) || t.isA(token, t.Equals, t.Arrow, t.Comma, t.Dot, t.Colon);
}

function isVirtualCloser(token: t.Token | undefined): boolean {
  return token?.image === "" && t.isA(token, t.CloseParen, t.CloseSquare, t.CloseBrace);
}

function isClosedText(token: t.Token): boolean {
  return /^"(?:[^"\\]|\\.)*"$/.test(token.image);
}

function framesOf(tokens: readonly t.Token[]): CursorFrame[] {
  interface Open {
    readonly bracket: CursorFrame["bracket"];
    readonly start: number;
    tokens: LexedToken[];
  }
  const frames: Open[] = [{ bracket: "", start: 0, tokens: [] }];
  tokens.forEach((token, i) => {
    const frame = frames.at(-1);
    if (frame === undefined) return;
    const opened = t.isA(token, t.OpenParen)
      ? "("
      : t.isA(token, t.OpenSquare)
        ? "["
        : t.isA(token, t.OpenBrace)
          ? "{"
          : undefined;
    if (opened !== undefined) {
      frames.push({ bracket: opened, start: token.startOffset, tokens: [] });
    } else if (t.isA(token, t.CloseParen, t.CloseSquare, t.CloseBrace) && frames.length > 1) {
      frames.pop();
      const outer = frames.at(-1);
      const isBlock = token.tokenType === t.CloseBrace;
      if (isBlock && !t.isA(tokens[i + 1], t.Else) && outer !== undefined) outer.tokens = [];
      else {
        const text = frame.bracket === "(" ? "()" : frame.bracket === "[" ? "[]" : "{}";
        outer?.tokens.push({ kind: "bracket", text, start: frame.start, end: t.endOf(token) });
      }
    } else if (t.isA(token, t.End)) {
      frame.tokens = [];
    } else {
      frame.tokens.push(lexed(token));
    }
  });
  return frames.map(({ bracket, tokens: inner }) => ({ bracket, tokens: inner }));
}
