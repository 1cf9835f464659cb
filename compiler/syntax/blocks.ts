import type { SourceFile, Span } from "../diagnostics/index.ts";
import * as t from "./tokens.ts";

/** What stands between braces, or the whole file. */
export interface Block {
  readonly statements: readonly Statement[];
  /** With the braces. */
  readonly span: Span;
}

/** A statement as its pieces: `if c {...} else {...}` has two. At least one; only the last may lack a block. */
export type Statement = readonly Piece[];

export interface Piece {
  /** Without braces and ends; brackets match. */
  readonly tokens: readonly t.Token[];
  readonly block?: Block;
  /** The piece up to its block's end. */
  readonly span: Span;
}

/** Cuts a laid-out token list into statements and blocks. */
export function cutBlocks(file: SourceFile, tokens: readonly t.Token[]): Block {
  const [statements] = cut(file, tokens, 0);
  return { statements, span: { file: file.name, start: 0, end: file.text.length } };
}

/** Reads statements from `from` to the `}` that ends their block, and returns that one's index. */
function cut(file: SourceFile, tokens: readonly t.Token[], from: number): readonly [Statement[], number] {
  const statements: Statement[] = [];
  let pieces: Piece[] = [];
  let run: t.Token[] = [];
  const endPiece = (block?: Block): void => {
    const start = run[0]?.startOffset ?? block?.span.start ?? 0;
    const last = run.at(-1);
    const end = block?.span.end ?? (last === undefined ? start : t.endOf(last));
    pieces.push({
      tokens: run,
      span: { file: file.name, start, end },
      ...(block !== undefined && { block }),
    });
    run = [];
  };
  const endStatement = (): void => {
    if (run.length > 0) endPiece();
    if (pieces.length > 0) statements.push(pieces);
    pieces = [];
  };
  let i = from;
  for (; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined || token.tokenType === t.CloseBrace) break;
    if (token.tokenType === t.End) {
      endStatement();
    } else if (token.tokenType === t.OpenBrace) {
      const [inner, close] = cut(file, tokens, i + 1);
      const closing = tokens[close];
      const end = closing === undefined ? file.text.length : t.endOf(closing);
      endPiece({ statements: inner, span: { file: file.name, start: token.startOffset, end } });
      i = close;
      if (!t.isA(tokens[i + 1], t.Else)) endStatement();
    } else {
      run.push(token);
    }
  }
  endStatement();
  return [statements, i];
}
