import { scan } from "./scan.ts";
import * as t from "./tokens.ts";

export type TokenKind = "comment" | "keyword" | "number" | "string" | "operator" | "name";

/** A token as an editor colours it: UTF-16 offsets. */
export interface ColouredToken {
  readonly start: number;
  readonly end: number;
  readonly kind: TokenKind;
}

/** What every word, number, operator and comment of a text is, in order; punctuation and what is no token are left out. Linear in the text. */
export function tokenKinds(text: string): readonly ColouredToken[] {
  const { tokens, comments } = scan({ name: "", text });
  return [...tokens, ...comments]
    .flatMap((token) => {
      const kind = kindOf(token);
      return kind === undefined ? [] : [{ start: token.startOffset, end: t.endOf(token), kind }];
    })
    .sort((a, b) => a.start - b.start);
}

function kindOf(token: t.Token): TokenKind | undefined {
  if (t.isA(token, t.Comment)) return "comment";
  if (t.isA(token, t.Text, t.OpenText, t.SingleQuoted)) return "string";
  if (t.isA(token, t.Int, t.Float)) return "number";
  if (t.keywords.has(token.image)) return "keyword";
  if (t.isOf(token, t.Name)) return "name";
  if (t.isOf(token, t.BinaryOperator) || t.isA(token, t.Arrow, t.Equals)) return "operator";
  return undefined;
}
