import type { Diagnostic, SourceFile, Span } from "../diagnostics/index.ts";
import * as ast from "./ast.ts";
import * as cst from "./cst.ts";
import * as errors from "./errors.ts";
import { layOut } from "./layout.ts";
import { describeErrors, type Following } from "./messages.ts";
import { joinChain } from "./precedence.ts";
import { scan } from "./scan.ts";
import * as t from "./tokens.ts";

/** Longest path from an expression to its leaves: later stages recurse over it. */
export const maxExpressionDepth = 256;

/** What a type may be where it stands. */
export type TypePlace = "setting" | "tensor" | "any";

/** Makes expressions and types of the concrete tree of one file. Collects diagnostics. */
export class ExpressionBuilder {
  readonly diagnostics: Diagnostic[] = [];
  private readonly extents = new WeakMap<cst.Node, Span | undefined>();
  private readonly depths = new WeakMap<ast.Expression, number>();

  constructor(readonly file: SourceFile) {}

  spanOf(token: t.Token): Span {
    return { file: this.file.name, start: token.startOffset, end: t.endOf(token) };
  }

  nameOf(token: t.Token): ast.Name {
    return { text: token.image, span: this.spanOf(token) };
  }

  /** The text that a tree covers; of an empty one, nothing at `fallback`. */
  extent(node: cst.Node | undefined, fallback: number): Span {
    const known = node === undefined ? undefined : this.measure(node);
    return known ?? { file: this.file.name, start: fallback, end: fallback };
  }

  private measure(node: cst.Node): Span | undefined {
    if (this.extents.has(node)) return this.extents.get(node);
    let span: Span | undefined;
    for (const elements of Object.values(node.children)) {
      for (const element of elements) {
        const part =
          "children" in element
            ? this.measure(element)
            : element.isInsertedInRecovery === true
              ? undefined
              : this.spanOf(element);
        if (part === undefined) continue;
        const { file, start, end } = span ?? part;
        span = { file, start: Math.min(start, part.start), end: Math.max(end, part.end) };
      }
    }
    this.extents.set(node, span);
    return span;
  }

  /** Gives a new expression the depth that its parts imply, or puts an error in its place where that is too much. */
  private made(expression: ast.Expression, parts: readonly ast.Expression[]): ast.Expression {
    const depth = 1 + parts.reduce((deepest, part) => Math.max(deepest, this.depths.get(part) ?? 1), 0);
    if (depth > maxExpressionDepth) {
      this.diagnostics.push(errors.tooDeep(expression.span, maxExpressionDepth));
      return { kind: "error", span: expression.span };
    }
    this.depths.set(expression, depth);
    return expression;
  }

  // --- expressions --------------------------------------------------------------------------------------

  /** The `expression` under a node; an error expression at `fallback` where it is missing. */
  expressionIn(node: cst.Node | undefined, fallback: number, index = 0): ast.Expression {
    return this.expression(cst.children(node, "expression")[index], fallback);
  }

  expression(node: cst.Node | undefined, fallback: number): ast.Expression {
    const conditional = cst.child(node, "conditional");
    if (conditional !== undefined) return this.conditional(conditional, fallback);
    const chain = cst.child(node, "chain");
    if (chain === undefined) return { kind: "error", span: this.extent(node, fallback) };
    return this.chain(chain, fallback);
  }

  private conditional(node: cst.Node, fallback: number): ast.Expression {
    const span = this.extent(node, fallback);
    const condition = this.expressionIn(node, span.end, 0);
    const then = this.expressionIn(node, span.end, 1);
    const otherwise = this.expressionIn(node, span.end, 2);
    return this.made({ kind: "conditional", condition, then, otherwise, span }, [condition, then, otherwise]);
  }

  private chain(node: cst.Node, fallback: number): ast.Expression {
    const operators = cst.tokens(node, "BinaryOperator");
    let end = this.extent(node, fallback).start;
    const operands = cst.children(node, "operand").map((operand, i) => {
      const prefixes = cst.tokens(operand, "PrefixOperator");
      // Where an operand is missing, it is missing behind what stands before it.
      for (const token of [operators[i - 1], ...prefixes])
        if (token !== undefined) end = Math.max(end, t.endOf(token));
      const value = this.operand(operand, end);
      end = Math.max(end, value.span.end);
      return { prefixes, value };
    });
    return joinChain(operands, operators, {
      spanOf: (token) => this.spanOf(token),
      made: (expression, parts) => this.made(expression, parts),
      report: (diagnostic) => this.diagnostics.push(diagnostic),
      missing: { kind: "error", span: this.extent(node, fallback) },
    });
  }

  /** Without its prefixes. */
  private operand(node: cst.Node, fallback: number): ast.Expression {
    let value = this.primary(cst.child(node, "primary"), fallback);
    for (const suffix of cst.children(node, "suffix")) value = this.suffixed(value, suffix);
    return value;
  }

  private suffixed(target: ast.Expression, node: cst.Node): ast.Expression {
    const end = Math.max(this.extent(node, target.span.end).end, target.span.end);
    const span = { file: this.file.name, start: target.span.start, end };
    const args = cst.child(node, "args");
    if (args !== undefined) {
      const list = this.args(args);
      return this.made({ kind: "call", callee: target, args: list, span }, [
        target,
        ...list.map((a) => a.value),
      ]);
    }
    const elements = cst.children(node, "element");
    if (elements.length > 0) {
      const items = elements.map((element) => this.element(element, span.end));
      this.checkEllipses(items);
      return this.made({ kind: "index", target, items, span }, [target, ...items.flatMap(partsOf)]);
    }
    const member = cst.token(node, "Name");
    if (member === undefined) return { kind: "error", span };
    return this.made({ kind: "member", target, member: this.nameOf(member), span }, [target]);
  }

  private element(node: cst.Node, fallback: number): ast.IndexElement {
    const span = this.extent(node, fallback);
    if (cst.token(node, "Ellipsis") !== undefined) return { kind: "ellipsis", span };
    const colon = cst.token(node, "Colon");
    const [first, second] = cst.children(node, "expression");
    if (colon === undefined) return { kind: "at", value: this.expression(first, span.start), span };
    const values = [first, second].map((x) => (x === undefined ? undefined : this.expression(x, span.end)));
    const start = values.find((v) => v !== undefined && v.span.start < colon.startOffset);
    const stop = values.find((v) => v !== undefined && v.span.start > colon.startOffset);
    return {
      kind: "slice",
      ...(start !== undefined && { start }),
      ...(stop !== undefined && { stop }),
      span,
    };
  }

  private checkEllipses(items: readonly (ast.Expression | ast.IndexElement)[]): void {
    const [first, ...others] = items.filter((item) => item.kind === "ellipsis");
    for (const other of others) {
      if (first !== undefined) this.diagnostics.push(errors.ellipsisTwice(other.span, first.span));
    }
  }

  private primary(node: cst.Node | undefined, fallback: number): ast.Expression {
    const span = this.extent(node, fallback);
    const name = cst.token(node, "Name");
    if (name !== undefined) return this.made({ kind: "name", text: name.image, span }, []);
    const literal = cst.token(node, "Literal");
    if (literal !== undefined) return this.made(this.literal(literal), []);
    if (cst.token(node, "OpenSquare") !== undefined) {
      const elements = cst.children(node, "expression").map((e) => this.expression(e, span.end));
      return this.made({ kind: "list", elements, span }, elements);
    }
    if (cst.token(node, "OpenParen") === undefined) return { kind: "error", span };
    const inner = this.expressionIn(node, span.start);
    // The parentheses are part of the span, so that `(a + b) * c` is underlined from its `(`.
    const whole = { ...inner, span };
    this.depths.set(whole, this.depths.get(inner) ?? 1);
    return whole;
  }

  private literal(token: t.Token): ast.Expression {
    const span = this.spanOf(token);
    switch (token.tokenType) {
      case t.True:
        return { kind: "bool", value: true, span };
      case t.False:
        return { kind: "bool", value: false, span };
      case t.Int: {
        if (!/^\d+$/.test(token.image)) return { kind: "error", span };
        const value = Number(token.image);
        if (Number.isSafeInteger(value)) return { kind: "int", value, span };
        this.diagnostics.push(errors.numberTooLarge(span));
        return { kind: "error", span };
      }
      case t.Float: {
        const value = Number(token.image);
        if (Number.isFinite(value)) return { kind: "float", value, span };
        this.diagnostics.push(errors.numberTooLarge(span));
        return { kind: "error", span };
      }
      default:
        return this.string(token);
    }
  }

  string(token: t.Token): ast.StringLiteral {
    const span = this.spanOf(token);
    const value = this.pieces(token)
      .map((piece) => piece.text)
      .join("");
    return { kind: "string", value, span };
  }

  /** The characters of a string's inside, escapes resolved, with their offsets in the file. */
  private pieces(
    token: t.Token,
  ): { readonly text: string; readonly escaped: boolean; readonly offset: number }[] {
    const closed = token.image.length > 1 && token.image.endsWith(token.image.charAt(0));
    const inside = token.image.slice(1, closed ? -1 : undefined);
    const pieces = [];
    for (const match of inside.matchAll(/\\(.?)|[^\\]+/gsu)) {
      const offset = token.startOffset + 1 + match.index;
      const [text, letter] = match;
      const meant = letter === undefined ? text : escapes.get(letter);
      if (meant === undefined) {
        const span = { file: this.file.name, start: offset, end: offset + text.length };
        this.diagnostics.push(errors.badEscape(span, text));
      }
      pieces.push({ text: meant ?? text, escaped: letter !== undefined, offset });
    }
    return pieces;
  }

  /** A string whose `{...}` are expressions. */
  template(token: t.Token): ast.Template {
    const parts: ast.TemplatePart[] = [];
    let text = "";
    /** Where the open brace stands, if one is open. */
    let open: number | undefined;
    const span = this.spanOf(token);
    /** After one wrong brace the others say nothing. */
    const failed = (offset: number, message: string): ast.Template => {
      const brace = { file: this.file.name, start: offset, end: offset + 1 };
      this.diagnostics.push(errors.bracesInTemplate(brace, message));
      return { parts, span };
    };
    for (const piece of this.pieces(token)) {
      if (piece.escaped) {
        if (open === undefined) text += piece.text;
        continue;
      }
      for (const match of piece.text.matchAll(/[{}]|[^{}]+/g)) {
        const offset = piece.offset + match.index;
        if (match[0] === "{") {
          if (open !== undefined) return failed(offset, "a `{` inside `{...}`");
          if (text !== "") parts.push({ kind: "text", text });
          text = "";
          open = offset;
        } else if (match[0] === "}") {
          if (open === undefined) return failed(offset, "a `}` without a `{` before it");
          parts.push({ kind: "value", value: this.embedded(open + 1, offset) });
          open = undefined;
        } else if (open === undefined) {
          text += match[0];
        }
      }
    }
    if (open !== undefined) return failed(open, "this `{` is not closed");
    if (text !== "") parts.push({ kind: "text", text });
    return { parts, span };
  }

  /** The expression in a part of the file's text. */
  private embedded(start: number, end: number): ast.Expression {
    const scanned = scan(this.file, start, end);
    const layout = layOut(this.file, scanned.tokens);
    this.diagnostics.push(...scanned.diagnostics, ...layout.diagnostics);
    if (layout.tooDeep) return { kind: "error", span: { file: this.file.name, start, end } };
    const result = cst.read("expression", layout.tokens);
    const following: Following = { span: { file: this.file.name, start: end, end: end + 1 }, words: "`}`" };
    if (scanned.diagnostics.length + layout.diagnostics.length === 0) {
      this.diagnostics.push(
        ...describeErrors(this.file, "this expression", "expression", result.errors, following),
      );
    }
    return this.expression(result.node, start);
  }

  // --- arguments ----------------------------------------------------------------------------------------

  args(node: cst.Node | undefined): ast.Argument[] {
    const start = this.extent(node, 0).start;
    const list = cst.children(node, "argument").map((argument): ast.Argument => {
      const span = this.extent(argument, start);
      const name = cst.token(argument, "Name");
      const equals = cst.token(argument, "Equals");
      if (name !== undefined && equals !== undefined) {
        this.diagnostics.push(errors.equalsInArgument(this.spanOf(equals), name.image));
      }
      const value = this.expressionIn(argument, span.end);
      return { ...(name !== undefined && { name: this.nameOf(name) }), value, span };
    });
    this.checkArguments(list);
    return list;
  }

  private checkArguments(args: readonly ast.Argument[]): void {
    const named = new Map<string, ast.Name>();
    let last: ast.Name | undefined;
    for (const { name, span } of args) {
      if (name === undefined) {
        if (last !== undefined)
          this.diagnostics.push(errors.positionalAfterNamed(span, last.span, last.text));
        continue;
      }
      last = name;
      const first = named.get(name.text);
      if (first !== undefined) this.diagnostics.push(errors.argumentTwice(name.span, first.span, name.text));
      else named.set(name.text, name);
    }
  }

  // --- types --------------------------------------------------------------------------------------------

  type(node: cst.Node | undefined, place: TypePlace, what: string, fallback: number): ast.Type {
    const span = this.extent(node, fallback);
    const name = cst.token(node, "Name");
    if (name === undefined) return { kind: "errorType", span };
    const hasDimensions = cst.token(node, "OpenSquare") !== undefined;
    const setting = ast.settingTypeNames.find((s) => s === name.image);
    const element = ast.elementTypeNames.find((e) => e === name.image);
    const failed = (diagnostic: Diagnostic): ast.ErrorType => {
      this.diagnostics.push(diagnostic);
      return { kind: "errorType", span };
    };
    const isTensor = element !== undefined && (element !== "bool" || hasDimensions || place === "tensor");
    if (isTensor) {
      const dims = cst.children(node, "dimension").map((d) => this.dimension(d, span.end));
      this.checkEllipses(dims);
      if (place === "setting") return failed(errors.settingExpected(span, this.textOf(span), what));
      return { kind: "tensorType", dtype: element, dtypeSpan: this.spanOf(name), dims, span };
    }
    if (setting === undefined) {
      return failed(
        errors.unknownType(this.spanOf(name), name.image, ast.settingTypeNames, ast.elementTypeNames),
      );
    }
    if (hasDimensions) return failed(errors.dimensionsOnSetting(span, name.image));
    if (place === "tensor") return failed(errors.tensorExpected(span, name.image));
    return { kind: "settingType", name: setting, span };
  }

  private dimension(node: cst.Node, fallback: number): ast.Dimension {
    const ellipsis = cst.token(node, "Ellipsis");
    if (ellipsis !== undefined) return { kind: "ellipsis", span: this.spanOf(ellipsis) };
    return this.expressionIn(node, this.extent(node, fallback).start);
  }

  /** Parameters in parentheses; one without a name is left out. */
  parameters(node: cst.Node | undefined, place: TypePlace, what: string): ast.Parameter[] {
    const list: ast.Parameter[] = [];
    for (const parameter of cst.children(node, "parameter")) {
      const name = cst.token(parameter, "Name");
      if (name === undefined) continue;
      const span = this.extent(parameter, name.startOffset);
      const type = this.type(cst.child(parameter, "type"), place, what, span.end);
      const value = cst.child(parameter, "expression");
      list.push({
        name: this.nameOf(name),
        type,
        ...(value !== undefined && { default: this.expression(value, span.end) }),
        span,
      });
    }
    return list;
  }

  results(node: cst.Node | undefined): ast.Type[] {
    return cst
      .children(node, "type")
      .map((type) => this.type(type, "tensor", "a result", this.extent(type, 0).start));
  }

  textOf(span: Span): string {
    const text = this.file.text.slice(span.start, span.end).replace(/\s+/g, " ");
    return text.length > 40 ? `${text.slice(0, 37)}...` : text;
  }
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["n", "\n"],
  ["t", "\t"],
  ["{", "{"],
  ["}", "}"],
]);

function partsOf(item: ast.IndexElement): ast.Expression[] {
  if (item.kind === "at") return [item.value];
  if (item.kind === "ellipsis") return [];
  return [item.start, item.stop].filter((x) => x !== undefined);
}
