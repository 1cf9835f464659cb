import { primitiveNames } from "../semantics/index.ts";
import { contextualWords, type LexedToken, lex, parse } from "../syntax/index.ts";
import type { Occurrence } from "./names.ts";
import { occurrencesOf } from "./occurrences.ts";
import type { HighlightKind, HighlightToken } from "./types.ts";

/** Keywords inside a statement; the others begin one. */
const innerWords: ReadonlySet<string> = new Set(["repeat", "of", "from"]);

/** Every token of a text with what it is; in order, and no two overlap. Linear in the text. */
export function highlight(text: string): readonly HighlightToken[] {
  const { ast } = parse({ name: "", text });
  const occurrences = occurrencesOf(ast);
  const names = new Map(occurrences.all.map((occurrence) => [occurrence.span.start, occurrence]));
  const templates = new Set(occurrences.templates.map((span) => span.start));
  const own = new Set(ast.items.flatMap((item) => ("name" in item ? [item.name.text] : [])));
  const { tokens, statementStarts } = lex(text);
  const found: HighlightToken[] = [];

  const add = (token: LexedToken): void => {
    const { start, end } = token;
    const occurrence = token.kind === "word" ? names.get(start) : undefined;
    if (occurrence !== undefined) {
      found.push({ start, end, kind: kindOfName(occurrence, own), declares: occurrence.declares });
      return;
    }
    const kind = kindOfToken(token, statementStarts.has(start));
    found.push({ start, end, kind, declares: false });
  };
  for (const token of tokens) {
    if (token.kind !== "string" || !templates.has(token.start)) {
      add(token);
      continue;
    }
    for (const part of partsOf(token)) {
      if (part.kind === "hole") for (const inner of lex(text, part.start, part.end).tokens) add(inner);
      else found.push({ start: part.start, end: part.end, kind: part.kind, declares: false });
    }
  }
  return found;
}

function kindOfToken(token: LexedToken, beginsStatement: boolean): HighlightKind {
  switch (token.kind) {
    case "reserved":
      return "keyword";
    case "word":
      // In a statement that could not be read no name is known; what begins it is still a keyword.
      if (!contextualWords.has(token.text)) return "variable";
      return beginsStatement || innerWords.has(token.text) ? "keyword" : "variable";
    case "bracket":
    case "punctuation":
      return "punctuation";
    default:
      return token.kind;
  }
}

function kindOfName({ target, text }: Occurrence, own: ReadonlySet<string>): HighlightKind {
  switch (target.kind) {
    case "local":
      return target.locals[0]?.kind ?? "variable";
    case "declaration": {
      const { kind } = target.item;
      return kind === "fn" || kind === "loss" ? "function" : kind === "modelInstance" ? "model" : kind;
    }
    case "global":
      if (target.wanted === "function") {
        return primitiveNames.includes(text) && !own.has(text) ? "primitive" : "function";
      }
      return target.wanted === "instance" ? "model" : target.wanted;
    case "member":
      return "weight";
    case "argument":
      return "argument";
    case "recipe":
      return "primitive";
    case "objective":
      return "result";
    case "import":
      return "string";
    case "type":
      return "type";
    case "trainKey":
      return "keyword";
    default:
      return target satisfies never;
  }
}

type Part = {
  readonly kind: "string" | "punctuation" | "hole";
  readonly start: number;
  readonly end: number;
};

/** A string with its holes apart: `"a {`, what stands inside, `} b"`. */
function partsOf({ text, start }: LexedToken): readonly Part[] {
  const parts: Part[] = [];
  let from = 0;
  const push = (kind: Part["kind"], to: number): void => {
    if (to > from) parts.push({ kind, start: start + from, end: start + to });
    from = to;
  };
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === "\\") i++;
    else if (character === "{") {
      const close = text.indexOf("}", i);
      if (close < 0) break;
      push("string", i);
      push("punctuation", i + 1);
      push("hole", close);
      push("punctuation", close + 1);
      i = close;
    }
  }
  push("string", text.length);
  return parts;
}
