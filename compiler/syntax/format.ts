import type { Diagnostic, SourceFile } from "../diagnostics/index.ts";
import { flatLine, formatLine, type LineContext, lineWidth, spaceBefore } from "./format-line.ts";
import { layOut } from "./layout.ts";
import { parse } from "./parse.ts";
import { scan } from "./scan.ts";
import * as t from "./tokens.ts";

export type FormatResult =
  | { readonly kind: "formatted"; readonly text: string }
  /** The text has syntax errors and stays as it is. */
  | { readonly kind: "errors"; readonly diagnostics: readonly Diagnostic[] };

/**
 * Formats a file: two spaces a block, lines of at most 110 columns where they can be broken, comments kept, at most
 * one blank line in a row. Formatting again changes nothing; the AST stays the same but for its spans.
 */
export function format(file: SourceFile): FormatResult {
  const { diagnostics } = parse(file);
  if (diagnostics.length > 0) return { kind: "errors", diagnostics };
  const scanned = scan(file);
  const units = unitsOf(file, layOut(file, scanned.tokens).tokens, scanned.comments);
  const lines = alignComments(print(units));
  return { kind: "formatted", text: lines.map((line) => `${line.trimEnd()}\n`).join("") };
}

interface Comment {
  readonly text: string;
  /** A blank line stands before it. */
  readonly blank: boolean;
}

/** What begins on a line of its own: a statement, or its part up to `{`, or `}` and what follows it. */
interface Unit {
  readonly tokens: readonly t.Token[];
  readonly context: LineContext;
  /** How many blocks it stands in. */
  readonly depth: number;
  /** Comment lines before it, with their depth. */
  readonly before: readonly Comment[];
  /** A blank line stands before it (after the comments). */
  readonly blank: boolean;
  readonly trailing: string | undefined;
  /** The lines as written, where comments stand between them; each line's tokens and the comments after it. */
  readonly written: readonly WrittenLine[] | undefined;
  /** How many of the tokens make the first of the aligned columns. */
  readonly key: number | undefined;
}

interface WrittenLine {
  readonly tokens: readonly t.Token[];
  readonly comment: string | undefined;
}

type BlockKind = "data" | "train" | "other";

function unitsOf(file: SourceFile, tokens: readonly t.Token[], comments: readonly t.Token[]): Unit[] {
  const units: Unit[] = [];
  const blocks: BlockKind[] = [];
  let next = 0;
  let end = 0;
  const blankBetween = (from: number, to: number): boolean =>
    from > 0 && (file.text.slice(from, to).match(/\r\n|\n|\r/g)?.length ?? 0) > 1;
  /** The comments up to an offset. */
  const take = (to: number): Comment[] => {
    const found: Comment[] = [];
    for (let c = comments[next]; c !== undefined && c.startOffset < to; c = comments[++next]) {
      found.push({ text: c.image.trimEnd(), blank: blankBetween(end, c.startOffset) });
      end = t.endOf(c);
    }
    return found;
  };
  const onSameLine = (offset: number): t.Token | undefined => {
    const comment = comments[next];
    if (comment === undefined || comment.startOffset < offset) return undefined;
    return /[\r\n]/.test(file.text.slice(offset, comment.startOffset)) ? undefined : comment;
  };

  for (let i = 0; i < tokens.length; ) {
    const first = tokens[i];
    if (first === undefined) break;
    if (first.tokenType === t.End) {
      i++;
      continue;
    }
    const inline = unitTokens(file.text, tokens, i, true);
    const outer = (first.tokenType === t.CloseBrace ? blocks.length - 1 : blocks.length) * INDENT;
    const fits = outer + flatLine(inline, { isEntry: false }).length <= lineWidth;
    const line = fits ? inline : unitTokens(file.text, tokens, i, false);
    i += line.length;
    const last = line.at(-1) ?? first;
    const before = take(first.startOffset);
    const blank = blankBetween(end, first.startOffset);
    const inner = comments[next];
    const hasInner = inner !== undefined && inner.startOffset < last.startOffset;
    const kind = blocks.at(-1);
    if (first.tokenType === t.CloseBrace) blocks.pop();
    const depth = blocks.length;
    const context = { isEntry: kind === "train" && first.tokenType !== t.CloseBrace };
    const written = hasInner ? writtenLines(file, line, comments, next) : undefined;
    while ((comments[next]?.startOffset ?? Number.POSITIVE_INFINITY) < last.startOffset) next++;
    end = t.endOf(last);
    // A `;` between the statement and its comment is no part of either.
    const semicolon = tokens[i]?.tokenType === t.End && tokens[i]?.image === ";" ? tokens[i] : undefined;
    const comment = onSameLine(end) ?? (semicolon === undefined ? undefined : onSameLine(t.endOf(semicolon)));
    if (comment !== undefined && isBeforeNext(tokens, i, comment)) {
      next++;
      end = t.endOf(comment);
    }
    const trailing =
      comment !== undefined && comments[next] !== comment ? comment.image.trimEnd() : undefined;
    units.push({
      ...{ tokens: line, context, depth, before, blank, trailing, written },
      key: keyLength(line, kind),
    });
    if (last.tokenType === t.OpenBrace) blocks.push(blockKind(line[0]));
  }
  const rest = take(Number.POSITIVE_INFINITY);
  if (rest.length > 0) {
    const context = { isEntry: false };
    units.push({
      ...{ tokens: [], context, depth: 0, before: rest, blank: false },
      ...{ trailing: undefined, written: undefined, key: undefined },
    });
  }
  return units;
}

/** True if no token of the next statement stands before the comment. */
function isBeforeNext(tokens: readonly t.Token[], from: number, comment: t.Token): boolean {
  const next = tokens.slice(from, from + 2).find((x) => x.tokenType !== t.End);
  return next === undefined || comment.startOffset < next.startOffset;
}

/** @param inline keep a block of one statement on its line if it was written so */
function unitTokens(text: string, tokens: readonly t.Token[], from: number, inline: boolean): t.Token[] {
  const line: t.Token[] = [];
  for (let i = from; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined || token.tokenType === t.End) break;
    if (token.tokenType === t.CloseBrace && line.length > 0) break;
    line.push(token);
    if (token.tokenType === t.CloseBrace && tokens[i + 1]?.tokenType !== t.Else) break;
    if (token.tokenType === t.OpenBrace) {
      const close = inlineClose(text, tokens, i, inline && !t.isA(line[0], t.Data, t.Train));
      if (close === undefined) break;
      line.push(...tokens.slice(i + 1, close + 1));
      i = close;
      if (tokens[i + 1]?.tokenType !== t.Else) break;
    }
  }
  return line;
}

/** The index of the `}` that can stay on the line of the `{` at `open`. */
function inlineClose(
  text: string,
  tokens: readonly t.Token[],
  open: number,
  inline: boolean,
): number | undefined {
  const start = tokens[open];
  for (let i = open + 1; i < tokens.length; i++) {
    const token = tokens[i];
    if (start === undefined || token === undefined || t.isA(token, t.End, t.OpenBrace)) return undefined;
    if (token.tokenType !== t.CloseBrace) continue;
    const between = text.slice(t.endOf(start), token.startOffset);
    // No newline means no comment either.
    const stays = i === open + 1 ? between.trim() === "" : inline && !/[\r\n]/.test(between);
    return stays ? i : undefined;
  }
  return undefined;
}

function blockKind(first: t.Token | undefined): BlockKind {
  return t.isA(first, t.Data) ? "data" : t.isA(first, t.Train) ? "train" : "other";
}

function keyLength(line: readonly t.Token[], kind: BlockKind | undefined): number | undefined {
  const [first] = line;
  if (first === undefined || first.tokenType === t.CloseBrace) return undefined;
  // `init from` is one key.
  if (kind === "train") return t.isA(line[1], t.From) && line[0]?.image === "init" ? 2 : 1;
  if (kind === "data") return 2;
  if (first.tokenType === t.Use) return 2;
  return first.tokenType === t.Param ? 3 : undefined;
}

/** The statement's lines with their comments. Comment lines have no tokens. */
function writtenLines(
  file: SourceFile,
  tokens: readonly t.Token[],
  comments: readonly t.Token[],
  next: number,
): WrittenLine[] {
  const lines: { tokens: t.Token[]; comment: string | undefined }[] = [];
  const last = tokens.at(-1);
  const inside: t.Token[] = [];
  for (let i = next; i < comments.length; i++) {
    const comment = comments[i];
    if (comment === undefined || last === undefined || comment.startOffset > last.startOffset) break;
    inside.push(comment);
  }
  const all = [...tokens, ...inside].sort((a, b) => a.startOffset - b.startOffset);
  let end: number | undefined;
  for (const token of all) {
    const fresh = end === undefined || /[\r\n]/.test(file.text.slice(end, token.startOffset));
    if (fresh) lines.push({ tokens: [], comment: undefined });
    const line = lines.at(-1);
    if (token.tokenType === t.Comment) {
      if (line !== undefined) line.comment = token.image.trimEnd();
    } else {
      line?.tokens.push(token);
    }
    end = t.endOf(token);
  }
  return lines;
}

/** An output line before comments are aligned. */
interface Printed {
  readonly text: string;
  readonly comment: string | undefined;
  /** Comments of lines with the same number stand below one another. */
  readonly run: number;
}

const INDENT = 2;

function print(units: readonly Unit[]): Printed[] {
  const out: Printed[] = [];
  let run = 0;
  const add = (text: string, comment?: string): void => {
    out.push({ text, comment, run });
  };
  const addBlank = (): void => {
    if (out.length > 0) add("");
  };
  const columns = alignColumns(units);
  units.forEach((unit, i) => {
    const previous = units[i - 1];
    const opens = previous?.tokens.at(-1)?.tokenType === t.OpenBrace;
    const closes = unit.tokens[0]?.tokenType === t.CloseBrace;
    const indent = unit.depth * INDENT;
    if (opens || closes || unit.blank || unit.before.length > 0) run++;
    unit.before.forEach((comment, at) => {
      if (comment.blank && !(opens && at === 0)) addBlank();
      add(" ".repeat(closes ? indent + INDENT : indent) + comment.text);
    });
    if (unit.blank && !closes && !(opens && unit.before.length === 0)) addBlank();
    if (unit.tokens.length === 0) return;
    const lines =
      unit.written === undefined ? unitLines(unit, indent, columns.get(unit)) : writtenUnit(unit, indent);
    lines.forEach((line, at) => {
      add(line.text, at === lines.length - 1 ? (unit.trailing ?? line.comment) : line.comment);
    });
    if (lines.length > 1) run++;
  });
  return out;
}

interface Columns {
  /** Width of the key. */
  readonly key: number;
  /** Width of what stands between the key and `=`. */
  readonly middle: number | undefined;
}

/** Finds consecutive statements of a kind (params, fields, entries) and how wide their columns are. */
function alignColumns(units: readonly Unit[]): ReadonlyMap<Unit, Columns> {
  const columns = new Map<Unit, Columns>();
  for (let from = 0; from < units.length; ) {
    const first = units[from];
    let to = from + 1;
    if (first !== undefined && isAligned(first)) {
      for (let next = units[to]; next !== undefined && continuesRun(first, next); next = units[to]) to++;
      const run = units.slice(from, to);
      const key = Math.max(...run.map((u) => keyText(u).length));
      const middles = run.map((u) => middleText(u));
      const middle = Math.max(...middles.map((m) => m.length));
      const isParam = first.tokens[0]?.tokenType === t.Param && first.key === 3;
      const widest = Math.max(
        ...run.map(
          (u, i) => u.depth * INDENT + key + 1 + middle + restText(u).length + (middles[i] === "" ? 0 : 1),
        ),
      );
      for (const unit of run)
        columns.set(unit, { key, middle: isParam && widest <= lineWidth ? middle : undefined });
    }
    from = to;
  }
  return columns;
}

function isAligned(unit: Unit): boolean {
  return unit.key !== undefined && unit.written === undefined;
}

function continuesRun(first: Unit, next: Unit): boolean {
  return (
    isAligned(next) &&
    next.depth === first.depth &&
    next.key === first.key &&
    next.before.length === 0 &&
    !next.blank
  );
}

function keyText(unit: Unit): string {
  return flatLine(unit.tokens.slice(0, unit.key), unit.context);
}

/** Of a param: its type. */
function middleText(unit: Unit): string {
  const equals = unit.tokens.findIndex((x) => x.tokenType === t.Equals);
  return equals < 0 ? "" : flatLine(unit.tokens.slice(unit.key ?? 0, equals), { isEntry: false });
}

function restText(unit: Unit): string {
  const equals = unit.tokens.findIndex((x) => x.tokenType === t.Equals);
  return flatLine(unit.tokens.slice(Math.max(equals, unit.key ?? 0)), { isEntry: false });
}

function unitLines(unit: Unit, indent: number, columns: Columns | undefined): WrittenText[] {
  const lead = " ".repeat(indent);
  if (columns === undefined) {
    const lines = formatLine(unit.tokens, indent, indent, unit.context);
    return lines.map((text, i) => ({ text: i === 0 ? lead + text : text, comment: undefined }));
  }
  const key = lead + keyText(unit).padEnd(columns.key);
  if (columns.middle !== undefined) {
    const text = `${key} ${middleText(unit).padEnd(columns.middle)} ${restText(unit)}`;
    return [{ text, comment: undefined }];
  }
  const rest = formatLine(unit.tokens.slice(unit.key), key.length + 1, indent, { isEntry: false });
  return rest.map((text, i) => ({ text: i === 0 ? `${key} ${text}` : text, comment: undefined }));
}

interface WrittenText {
  readonly text: string;
  readonly comment: string | undefined;
}

/** A statement with comments inside keeps its line breaks; the lines are indented by the brackets they stand in. */
function writtenUnit(unit: Unit, indent: number): WrittenText[] {
  const brackets: string[] = [];
  let index = 0;
  return (unit.written ?? []).map((line, at) => {
    let text = "";
    const leading = t.isA(line.tokens[0], t.CloseParen, t.CloseSquare) ? 1 : 0;
    const depth = Math.max(0, brackets.length - leading);
    for (const [i, token] of line.tokens.entries()) {
      if (t.isA(token, t.CloseParen, t.CloseSquare)) brackets.pop();
      if (i > 0 && spaceBefore(unit.tokens, index, brackets, unit.context)) text += " ";
      if (t.isA(token, t.OpenParen, t.OpenSquare)) brackets.push(token.image);
      text += token.image;
      index++;
    }
    const isElse = t.isA(line.tokens[0], t.Else, t.OpenBrace);
    const column = at === 0 || isElse ? indent : indent + INDENT + depth * INDENT;
    if (line.tokens.length === 0)
      return { text: " ".repeat(column) + (line.comment ?? ""), comment: undefined };
    return { text: " ".repeat(column) + text, comment: line.comment };
  });
}

const COMMENT_GAP = 2;

/** Puts the comments behind consecutive lines below one another. */
function alignComments(lines: readonly Printed[]): string[] {
  const out: string[] = [];
  for (let from = 0; from < lines.length; ) {
    const first = lines[from];
    let to = from + 1;
    if (first?.comment !== undefined) {
      while (lines[to]?.comment !== undefined && lines[to]?.run === first.run) to++;
      const run = lines.slice(from, to);
      const column = Math.max(...run.map((line) => line.text.length)) + COMMENT_GAP;
      for (const line of run) out.push(line.text.padEnd(column) + (line.comment ?? ""));
    } else if (first !== undefined) {
      out.push(first.text);
    }
    from = to;
  }
  return out;
}
