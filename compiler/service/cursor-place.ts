import { type Cursor, elementTypeNames, type LexedToken } from "../syntax/index.ts";
import type { Occurrences, Region } from "./names.ts";

/*
 * What may be written where a cursor is, from the tokens before it alone: the statement there is rarely whole.
 */

export type BlockKind = "file" | "layer" | "body" | "data" | "train";

/** What the grammar wants at a cursor. */
export type Wanted =
  /** A new name, an operator: nothing to offer. */
  | { readonly kind: "nothing" }
  /** The first word of a statement. */
  | { readonly kind: "statement"; readonly block: BlockKind }
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "type"; readonly of: "setting" | "tensor" | "any" }
  | { readonly kind: "dimension" }
  | { readonly kind: "layer" | "model" | "instance" | "data" | "import" | "objective" }
  /** `optimizer`, `clip` and a parameter's initial values; in `lr` a number may stand too. */
  | { readonly kind: "recipe"; readonly recipe: "optimizer" | "clip" | "initializer" | "learning rate" }
  /** `a.b.` */
  | { readonly kind: "member"; readonly path: readonly string[] }
  | { readonly kind: "expression" };

export interface CursorPlace {
  readonly wanted: Wanted;
  /** The call in whose parentheses an argument begins here, with the names given so far. */
  readonly call?: {
    readonly callee: readonly string[];
    readonly given: ReadonlySet<string>;
    readonly position: number;
  };
  /** First word of the statement, "" at its start: `use`, `optimizer`. */
  readonly statement: string;
  readonly block: BlockKind;
  /** Where the statement begins. */
  readonly anchor: number;
  /** How many blocks are open. */
  readonly depth: number;
}

export function cursorPlace(cursor: Cursor): CursorPlace {
  const { frames } = cursor;
  const braceAt = frames.findLastIndex(({ bracket }) => bracket === "{" || bracket === "");
  const statementTokens = frames[braceAt]?.tokens ?? [];
  const first = statementTokens[0];
  const place = {
    statement: first?.text ?? "",
    block: blockKind(cursor, braceAt),
    anchor: first?.start ?? cursor.word.start,
    depth: frames.filter(({ bracket }) => bracket === "{").length,
  };
  const inner = frames.at(-1);
  const nothing: CursorPlace = { ...place, wanted: { kind: "nothing" } };
  if (inner === undefined || cursor.inside === "comment") return nothing;
  if (cursor.inside === "string") {
    const isPath = place.statement === "import" && statementTokens.length === 2;
    return isPath ? { ...place, wanted: { kind: "import" } } : nothing;
  }
  const last = inner.tokens.at(-1);
  if (last?.text === ".") return { ...place, wanted: { kind: "member", path: pathBefore(inner.tokens) } };
  if (inner.bracket === "(") {
    const head = frames.at(-2)?.tokens ?? [];
    return { ...place, ...inParentheses(place, head, inner.tokens, frames.length - 2 === braceAt) };
  }
  if (inner.bracket === "[") {
    const head = frames.at(-2)?.tokens.at(-1)?.text;
    const isType = elementTypeNames.some((name) => name === head);
    if (endsOperand(last)) return nothing;
    return { ...place, wanted: { kind: isType ? "dimension" : "expression" } };
  }
  return { ...place, wanted: inStatement(place, statementTokens) };
}

/** The declaration or forward around a cursor; what is broken there may lie beyond its span. */
export function regionAt({ regions }: Occurrences, place: CursorPlace): Region | undefined {
  const { anchor, depth } = place;
  const around = (outer: Region | undefined, minDepth: number): Region | undefined => {
    const region = regions.findLast((r) => r.outer === outer && r.span.start <= anchor);
    return region !== undefined && (anchor < region.span.end || depth >= minDepth) ? region : undefined;
  };
  const declaration = around(undefined, 1);
  if (declaration === undefined) return undefined;
  return around(declaration, place.block === "body" ? 1 : Number.POSITIVE_INFINITY) ?? declaration;
}

/** What a block's own statement makes of it; `if` and `else` are as what is around them. */
function blockKind({ frames }: Cursor, braceAt: number): BlockKind {
  for (let at = braceAt; at > 0; at--) {
    if (frames[at]?.bracket !== "{") continue;
    switch (frames[at - 1]?.tokens[0]?.text) {
      case "layer":
      case "model":
        return "layer";
      case "forward":
      case "fn":
      case "loss":
        return "body";
      case "data":
        return "data";
      case "train":
        return "train";
      default:
    }
  }
  return "file";
}

/** True where a whole operand stands before the cursor: an operator comes next, not a name. */
function endsOperand(token: LexedToken | undefined): boolean {
  if (token === undefined) return false;
  if (token.kind === "bracket") return token.text !== "{}";
  if (token.kind === "reserved") return token.text === "true" || token.text === "false";
  return token.kind === "word" || token.kind === "number" || token.kind === "string";
}

/** `a.b[0].` -> a, b; empty where it is no path. */
function pathBefore(tokens: readonly LexedToken[]): readonly string[] {
  const path: string[] = [];
  let at = tokens.length - 1;
  while (tokens[at]?.text === ".") {
    at--;
    while (tokens[at]?.text === "[]") at--;
    const name = tokens[at];
    if (name?.kind !== "word") return [];
    path.unshift(name.text);
    at--;
  }
  return path;
}

/** The tokens since the last comma. */
function segmentOf(tokens: readonly LexedToken[]): readonly LexedToken[] {
  return tokens.slice(tokens.findLastIndex(({ text }) => text === ",") + 1);
}

function inParentheses(
  place: Pick<CursorPlace, "statement" | "block">,
  head: readonly LexedToken[],
  tokens: readonly LexedToken[],
  isOutermost: boolean,
): Pick<CursorPlace, "wanted" | "call"> {
  const before = head.at(-1);
  const segment = segmentOf(tokens);
  const last = segment.at(-1);
  if (before?.text === "->") return { wanted: { kind: "type", of: "tensor" } };
  const declares =
    place.block === "file" &&
    ["layer", "model", "fn", "loss", "data"].includes(place.statement) &&
    head.length === 2;
  const isForward = place.statement === "forward" && head.length === 1;
  if (isOutermost && (declares || isForward)) {
    if (last?.text === ":") {
      const tensors = isForward || place.statement === "fn" || place.statement === "loss";
      return { wanted: { kind: "type", of: tensors ? "any" : "setting" } };
    }
    const isDefault = segment.some(({ text }) => text === "=") && !endsOperand(last);
    return { wanted: { kind: isDefault ? "expression" : "nothing" } };
  }
  const callee = before?.kind === "word" ? calleeOf(head) : [];
  if (endsOperand(last)) return { wanted: { kind: "nothing" } };
  if (callee.length === 0) return { wanted: { kind: "expression" } };
  const isRate = segment.length === 2 && segment[0]?.text === "lr" && last?.text === ":";
  const wanted: Wanted = isRate ? { kind: "recipe", recipe: "learning rate" } : { kind: "expression" };
  if (segment.length > 0) return { wanted };
  const given = new Set<string>();
  tokens.forEach(({ text, kind }, i) => {
    if (kind === "word" && tokens[i + 1]?.text === ":") given.add(text);
  });
  const position = tokens.filter(({ text }) => text === ",").length;
  return { wanted, call: { callee, given, position } };
}

/** The names of what is called: `blocks[0].norm(` -> blocks, norm. */
function calleeOf(head: readonly LexedToken[]): readonly string[] {
  const name = head.at(-1);
  return name === undefined ? [] : [...pathBefore(head.slice(0, -1)), name.text];
}

function inStatement(
  { block, statement }: Pick<CursorPlace, "block" | "statement">,
  tokens: readonly LexedToken[],
): Wanted {
  const last = tokens.at(-1);
  const segment = segmentOf(tokens);
  const nothing: Wanted = { kind: "nothing" };
  if (last === undefined) return { kind: "statement", block };
  if (block === "train") return inEntry(statement, tokens);
  if (block === "data") return last.text === ":" ? { kind: "type", of: "tensor" } : nothing;
  if (last.text === "->") return { kind: "type", of: "tensor" };
  const assigned = tokens.some(({ text }) => text === "=");
  const value: Wanted = endsOperand(last) ? continuation(tokens) : { kind: "expression" };
  switch (statement) {
    case "import":
      return tokens.length === 1 ? { kind: "import" } : nothing;
    case "setting":
      return last.text === ":" ? { kind: "type", of: "setting" } : assigned ? value : nothing;
    case "model":
      return last.text === "=" ? { kind: "model" } : nothing;
    case "train":
      return tokens.length === 1 ? { kind: "instance" } : nothing;
    case "param":
      if (last.text === ":") return { kind: "type", of: "tensor" };
      if (last.text === "=") return { kind: "recipe", recipe: "initializer" };
      return assigned ? value : nothing;
    case "use":
      if (last.text === "=" || last.text === "of") return { kind: "layer" };
      if (!segment.some(({ text }) => text === "repeat")) return nothing;
      return endsOperand(last) && last.text !== "repeat"
        ? { kind: "words", words: ["of"] }
        : { kind: "expression" };
    case "require":
    case "return":
    case "if":
      return value;
    case "loss":
    case "fn":
    case "const":
    case "let":
    case "output":
    case "head":
    case "metric":
    case "forward":
      return assigned ? value : nothing;
    default:
      return nothing;
  }
}

/** After an operand: what joins it to the next. */
function continuation(tokens: readonly LexedToken[]): Wanted {
  const words = ["and", "or"];
  const last = tokens.findLast(({ text }) => text === "if" || text === "then" || text === "else")?.text;
  if (last === "if") words.push("then");
  if (last === "then") words.push("else");
  return { kind: "words", words };
}

function inEntry(key: string, tokens: readonly LexedToken[]): Wanted {
  const last = tokens.at(-1);
  const isKey = tokens.length === 1;
  switch (key) {
    case "data":
      return isKey ? { kind: "data" } : { kind: "nothing" };
    case "init":
      return isKey
        ? { kind: "words", words: ["from"] }
        : { kind: last?.text === "from" ? "expression" : "nothing" };
    case "optimizer":
    case "clip":
      return isKey ? { kind: "recipe", recipe: key } : { kind: "nothing" };
    case "minimize":
      return isKey || !endsOperand(last) ? { kind: "objective" } : { kind: "nothing" };
    case "steps":
    case "accumulate":
      return isKey || !endsOperand(last) ? { kind: "expression" } : { kind: "nothing" };
    default:
      return { kind: "nothing" };
  }
}
