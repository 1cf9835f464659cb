import { createToken, type IToken, Lexer, type TokenType } from "chevrotain";

/*
 * The kinds of token. The lexer knows shapes only (a word, a number); `scan.ts` turns words into keywords.
 * Words of the language that only ever stand where a statement begins (`layer`, `output`, ...) are names
 * anywhere else: they belong to the category `Name`.
 */

/** Everything but braces and statement ends: what unreadable text is made of. */
export const Inner = createToken({ name: "Inner", pattern: Lexer.NA });
export const Name = createToken({ name: "Name", pattern: Lexer.NA, categories: [Inner] });
export const BinaryOperator = createToken({ name: "BinaryOperator", pattern: Lexer.NA, categories: [Inner] });
export const PrefixOperator = createToken({ name: "PrefixOperator", pattern: Lexer.NA, categories: [Inner] });
export const Literal = createToken({ name: "Literal", pattern: Lexer.NA, categories: [Inner] });

/** A pattern with the `u` flag, which Chevrotain cannot look into. */
function unicodePattern(pattern: RegExp): (text: string, offset: number) => RegExpExecArray | null {
  const sticky = new RegExp(pattern.source, "uy");
  return (text, offset) => {
    sticky.lastIndex = offset;
    return sticky.exec(text);
  };
}

export const Newline = createToken({ name: "Newline", pattern: /\r\n|\n|\r/, line_breaks: true });
const Space = createToken({ name: "Space", pattern: /[ \t\ufeff]+/, group: Lexer.SKIPPED });
export const Comment = createToken({ name: "Comment", pattern: /\/\/[^\r\n]*/ });
export const BlockComment = createToken({
  name: "BlockComment",
  pattern: (text, offset) => {
    if (!text.startsWith("/*", offset)) return null;
    const end = text.indexOf("*/", offset + 2);
    return [text.slice(offset, end < 0 ? text.length : end + 2)];
  },
  line_breaks: true,
});
/** A word of letters of any script; `scan.ts` reports those that are not ASCII. */
export const Word = createToken({
  name: "Word",
  pattern: unicodePattern(/[\p{L}_][\p{L}\p{M}\p{N}_]*/u),
  line_breaks: false,
  categories: [Name],
});
/** `scan.ts` makes an `Int` or a `Float` of it. */
export const Digits = createToken({ name: "Digits", pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/ });
export const Float = createToken({ name: "Float", pattern: Lexer.NA, categories: [Literal] });
export const Int = createToken({ name: "Int", pattern: Lexer.NA, categories: [Literal] });
export const Text = createToken({
  name: "Text",
  pattern: /"(?:[^"\\\r\n]|\\[^\r\n])*"/,
  categories: [Literal],
});
export const OpenText = createToken({
  name: "OpenText",
  pattern: /"(?:[^"\\\r\n]|\\[^\r\n])*\\?/,
  categories: [Literal],
});
export const SingleQuoted = createToken({
  name: "SingleQuoted",
  pattern: /'[^'\r\n]*'/,
  categories: [Literal],
});
/** Any one character that begins no token. */
export const Stray = createToken({
  name: "Stray",
  pattern: unicodePattern(/[\s\S]/u),
  line_breaks: false,
  categories: [Inner],
});

export const Ellipsis = createToken({ name: "Ellipsis", pattern: "...", categories: [Inner] });
export const Dot = createToken({ name: "Dot", pattern: ".", categories: [Inner] });
export const Comma = createToken({ name: "Comma", pattern: ",", categories: [Inner] });
export const Colon = createToken({ name: "Colon", pattern: ":", categories: [Inner] });
export const Semicolon = createToken({ name: "Semicolon", pattern: ";" });
export const Arrow = createToken({ name: "Arrow", pattern: "->", categories: [Inner] });
export const Equals = createToken({ name: "Equals", pattern: "=", categories: [Inner] });
export const OpenParen = createToken({ name: "OpenParen", pattern: "(", categories: [Inner] });
export const CloseParen = createToken({ name: "CloseParen", pattern: ")", categories: [Inner] });
export const OpenSquare = createToken({ name: "OpenSquare", pattern: "[", categories: [Inner] });
export const CloseSquare = createToken({ name: "CloseSquare", pattern: "]", categories: [Inner] });
export const OpenBrace = createToken({ name: "OpenBrace", pattern: "{" });
export const CloseBrace = createToken({ name: "CloseBrace", pattern: "}" });
export const Minus = createToken({
  name: "Minus",
  pattern: "-",
  categories: [BinaryOperator, PrefixOperator],
});
/** The binary operators spelt with signs, `-` apart. */
export const Operator = createToken({
  name: "Operator",
  pattern: /\*\*|[=!<>]=|[+*/%@<>]/,
  categories: [BinaryOperator],
});
/** Operators of other languages, longest first. `scan.ts` reports and replaces them. */
export const ForeignOperator = createToken({
  name: "ForeignOperator",
  pattern: /&&|\|\||=>|:=|!(?!=)|\^/,
  categories: [Inner],
});

/** Where a statement ends: made by `layout.ts` of the newlines and semicolons that count. */
export const End = createToken({ name: "End", pattern: Lexer.NA });

function keyword(word: string, categories: TokenType[]): TokenType {
  // Chevrotain wants names of tokens and rules apart: `Let` is the token, `let` the rule.
  return createToken({ name: word.charAt(0).toUpperCase() + word.slice(1), pattern: Lexer.NA, categories });
}

export const Let = keyword("let", [Inner]);
export const Return = keyword("return", [Inner]);
export const If = keyword("if", [Inner]);
export const Then = keyword("then", [Inner]);
export const Else = keyword("else", [Inner]);
export const True = keyword("true", [Literal]);
export const False = keyword("false", [Literal]);
export const And = keyword("and", [BinaryOperator]);
export const Or = keyword("or", [BinaryOperator]);
export const Not = keyword("not", [PrefixOperator]);

export const Import = keyword("import", [Name]);
export const Setting = keyword("setting", [Name]);
export const Layer = keyword("layer", [Name]);
export const Model = keyword("model", [Name]);
export const Fn = keyword("fn", [Name]);
export const Loss = keyword("loss", [Name]);
export const Data = keyword("data", [Name]);
export const Train = keyword("train", [Name]);
export const Param = keyword("param", [Name]);
export const Use = keyword("use", [Name]);
export const Repeat = keyword("repeat", [Name]);
export const Of = keyword("of", [Name]);
export const Require = keyword("require", [Name]);
export const Const = keyword("const", [Name]);
export const Forward = keyword("forward", [Name]);
export const Output = keyword("output", [Name]);
export const Head = keyword("head", [Name]);
export const Metric = keyword("metric", [Name]);
export const From = keyword("from", [Name]);

/** How a keyword is written. */
export function wordOf(type: TokenType): string {
  return type.name.toLowerCase();
}

const reserved = [Let, Return, If, Then, Else, True, False, And, Or, Not];
const contextual = [
  ...[Import, Setting, Layer, Model, Fn, Loss, Data, Train],
  ...[Param, Use, Repeat, Of, Require, Const, Forward, Output, Head, Metric, From],
];

export const keywords: ReadonlyMap<string, TokenType> = new Map(
  [...reserved, ...contextual].map((type) => [wordOf(type), type]),
);
export const reservedWords: ReadonlySet<string> = new Set(reserved.map(wordOf));

const lexed = [
  ...[Newline, Space, Comment, BlockComment, Word, Digits, Text, OpenText, SingleQuoted],
  ...[Ellipsis, Dot, Comma, ForeignOperator, Colon, Semicolon, Arrow, Operator, Equals, Minus],
  ...[OpenParen, CloseParen, OpenSquare, CloseSquare, OpenBrace, CloseBrace, Stray],
];

/** What the grammar is made of. */
export const vocabulary: TokenType[] = [
  ...[Inner, Name, BinaryOperator, PrefixOperator, Literal, End],
  ...lexed,
  ...[Int, Float],
  ...reserved,
  ...contextual,
];

export const lexer = new Lexer(lexed, { positionTracking: "onlyOffset" });

export type Token = IToken;

/** One past the last character. */
export function endOf(token: Token): number {
  return token.startOffset + token.image.length;
}

export function isA(token: Token | undefined, ...types: readonly TokenType[]): boolean {
  return token !== undefined && types.includes(token.tokenType);
}

/** True if the token's type is of the category. */
export function isOf(token: Token | undefined, category: TokenType): boolean {
  if (token === undefined) return false;
  const categories = token.tokenType.CATEGORIES ?? [];
  return categories.includes(category) || categories.some((c) => c.CATEGORIES?.includes(category) ?? false);
}

/** The same text read as another type of token; `image` only where the text itself is replaced. */
export function retype(token: Token, type: TokenType, image = token.image): Token {
  return { ...token, tokenType: type, tokenTypeIdx: type.tokenTypeIdx ?? 0, image };
}

/** A token that no text stands for. */
export function virtual(type: TokenType, offset: number): Token {
  return {
    image: "",
    startOffset: offset,
    endOffset: offset - 1,
    tokenType: type,
    tokenTypeIdx: type.tokenTypeIdx ?? 0,
  };
}
