// In. The text of one `.bert` file.
// Out. Its AST (ast.ts, a language this room owns) with spans, and every syntax error found in it; or the text formatted.
// Assumes. Nothing of the text: any string at all is read in time proportional to its length.
// Guarantees. Never throws; the AST's depth is limited, so later stages may recurse; names are not resolved here.
// Start reading at. ast.ts, then grammar.ts and build.ts; models/LANGUAGE.md is the language for people.
export * from "./ast.ts";
export { type FormatResult, format } from "./format.ts";
export {
  type Cursor,
  type CursorFrame,
  contextualWords,
  cursorAt,
  type Lexed,
  type LexedKind,
  type LexedToken,
  lex,
} from "./lex.ts";
export { type ParseResult, parse } from "./parse.ts";
export { type ColouredToken, type TokenKind, tokenKinds } from "./token-kinds.ts";
