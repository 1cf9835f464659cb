import { readFileSync } from "node:fs";
import { uncasedWordPiece, type WordPieceDescription } from "../../runtime/tokenizer/index.ts";

/** Settings that the reference's ids were taken in. */
export const modes = {
  uncased: uncasedWordPiece,
  cased: { ...uncasedWordPiece, lowercase: false },
  accents: { ...uncasedWordPiece, stripAccents: false },
  plain: {
    ...uncasedWordPiece,
    lowercase: false,
    stripAccents: true,
    cleanText: false,
    handleChineseChars: false,
  },
} as const satisfies Record<string, WordPieceDescription>;

export type Mode = keyof typeof modes;
export const modeNames: readonly Mode[] = ["uncased", "cased", "accents", "plain"];

/** `test/oracle/fixtures/tokens.json`, which `test/oracle/generate_tokens.py` writes. */
export interface TokensFixture {
  readonly vocabulary: readonly string[];
  readonly strings: readonly ({ readonly text: string } & Readonly<Record<Mode, readonly number[]>>)[];
  readonly characters: {
    /** Code points that the fixture knows, in hexadecimal: `41-5a 61-7a`. */
    readonly assigned: string;
    /** For each 4,096 code points the start of a SHA-256. */
    readonly blocks: Readonly<Record<Mode, Readonly<Record<string, string>>>>;
  };
  readonly counts: readonly (readonly [string, number])[];
  readonly trainings: readonly {
    readonly size: number;
    readonly min_frequency: number;
    readonly vocabulary: readonly string[];
  }[];
}

export function readFixture(): TokensFixture {
  return JSON.parse(readFileSync(new URL("../oracle/fixtures/tokens.json", import.meta.url), "utf8"));
}
