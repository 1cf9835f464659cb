import type { Diagnostic, SourceFile } from "../diagnostics/index.ts";
import * as errors from "./errors.ts";
import * as t from "./tokens.ts";

export interface Scanned {
  /** Words as keywords, numbers as `Int` or `Float`, other languages' spellings replaced; with newlines, no comments. */
  readonly tokens: readonly t.Token[];
  readonly comments: readonly t.Token[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Spellings of other languages and typographic signs, and what is meant. */
const replacements: ReadonlyMap<string, { readonly type: typeof t.Minus; readonly image: string }> = new Map([
  ["&&", { type: t.And, image: "and" }],
  ["||", { type: t.Or, image: "or" }],
  ["!", { type: t.Not, image: "not" }],
  ["=>", { type: t.Arrow, image: "->" }],
  [":=", { type: t.Equals, image: "=" }],
  ["^", { type: t.Operator, image: "**" }],
  ["\u2212", { type: t.Minus, image: "-" }],
  ["\u2013", { type: t.Minus, image: "-" }],
  ["\u00d7", { type: t.Operator, image: "*" }],
  ["\u00b7", { type: t.Operator, image: "*" }],
  ["\u00f7", { type: t.Operator, image: "/" }],
  ["\u2264", { type: t.Operator, image: "<=" }],
  ["\u2265", { type: t.Operator, image: ">=" }],
  ["\u2260", { type: t.Operator, image: "!=" }],
  ["\u2192", { type: t.Arrow, image: "->" }],
  ["\u2026", { type: t.Ellipsis, image: "..." }],
]);

/** Splits a text, or its part from `start` to `end`, into tokens and reports what is none. Offsets are the file's. */
export function scan(file: SourceFile, start = 0, end = file.text.length): Scanned {
  const tokens: t.Token[] = [];
  const comments: t.Token[] = [];
  const diagnostics: Diagnostic[] = [];
  const at = (token: t.Token) => ({ file: file.name, start: token.startOffset, end: t.endOf(token) });
  const raw = t.lexer.tokenize(file.text.slice(start, end)).tokens;
  for (const token of raw) token.startOffset += start;
  for (let i = 0; i < raw.length; i++) {
    const token = raw[i];
    if (token === undefined) break;
    switch (token.tokenType) {
      case t.Comment:
        comments.push(token);
        break;
      case t.BlockComment:
        diagnostics.push(errors.blockComment(at(token)));
        break;
      case t.Word: {
        if (!/^\w+$/.test(token.image)) diagnostics.push(errors.foreignLetters(at(token), token.image));
        const keyword = t.keywords.get(token.image);
        tokens.push(keyword === undefined ? token : t.retype(token, keyword));
        break;
      }
      case t.Digits: {
        const next = raw[i + 1];
        if (next?.tokenType === t.Word && next.startOffset === t.endOf(token)) {
          const whole = t.retype(token, t.Int, token.image + next.image);
          diagnostics.push(errors.badNumber(at(whole), whole.image));
          tokens.push(whole);
          i++;
        } else {
          tokens.push(t.retype(token, /^\d+$/.test(token.image) ? t.Int : t.Float));
        }
        break;
      }
      case t.OpenText:
        diagnostics.push(errors.unterminatedString(at(token)));
        tokens.push(t.retype(token, t.Text));
        break;
      case t.SingleQuoted:
        diagnostics.push(errors.singleQuotes(at(token), token.image));
        tokens.push(t.retype(token, t.Text));
        break;
      case t.ForeignOperator:
      case t.Stray: {
        const meant = replacements.get(token.image);
        if (meant !== undefined) {
          diagnostics.push(errors.foreignOperator(at(token), token.image, meant.image));
          // The parser reads the operator meant; positions stay those of the text.
          tokens.push({ ...t.retype(token, meant.type), payload: meant.image });
          break;
        }
        // A run of them is one mistake.
        let last = token;
        for (let next = raw[i + 1]; isNextStray(last, next); next = raw[i + 1]) {
          last = next;
          i++;
        }
        diagnostics.push(
          errors.strayCharacters(
            { file: file.name, start: token.startOffset, end: t.endOf(last) },
            token.image,
          ),
        );
        break;
      }
      default:
        tokens.push(token);
    }
  }
  return { tokens, comments, diagnostics };
}

function isNextStray(token: t.Token, next: t.Token | undefined): next is t.Token {
  return next?.tokenType === t.Stray && next.startOffset === t.endOf(token) && !replacements.has(next.image);
}

/** The operator a token stands for, also where another spelling was replaced. */
export function meaningOf(token: t.Token): string {
  return typeof token.payload === "string" ? token.payload : token.image;
}
