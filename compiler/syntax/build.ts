import type { TokenType } from "chevrotain";
import type { Diagnostic, SourceFile, Span } from "../diagnostics/index.ts";
import * as ast from "./ast.ts";
import type { Block, Piece, Statement } from "./blocks.ts";
import { ExpressionBuilder } from "./build-expression.ts";
import * as cst from "./cst.ts";
import * as errors from "./errors.ts";
import type { RuleName } from "./grammar.ts";
import { maxNesting } from "./layout.ts";
import { describeErrors, type Following } from "./messages.ts";
import * as t from "./tokens.ts";

export interface Built {
  readonly items: readonly ast.FileItem[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Makes the AST of a file cut into statements. A statement that cannot be read is reported and left out. */
export function build(file: SourceFile, root: Block): Built {
  const builder = new Builder(file);
  const items = builder.fileItems(root);
  return { items, diagnostics: [...builder.diagnostics, ...builder.expressions.diagnostics] };
}

/** A piece as the grammar read it. */
interface ReadPiece {
  readonly node: cst.Node;
  readonly clean: boolean;
}

/** What may stand in one kind of block: how a first word is read. */
interface Place<T> {
  /** What it holds, as in "expected a statement". */
  readonly expected: string;
  readonly readers: ReadonlyMap<TokenType, (statement: Statement, first: t.Token) => T | undefined>;
}

class Builder {
  readonly diagnostics: Diagnostic[] = [];
  readonly expressions: ExpressionBuilder;

  constructor(private readonly file: SourceFile) {
    this.expressions = new ExpressionBuilder(file);
  }

  private readonly filePlace: Place<ast.FileItem> = {
    expected: "a declaration",
    readers: new Map<TokenType, (statement: Statement, first: t.Token) => ast.FileItem | undefined>([
      [t.Import, (s) => this.import(s)],
      [t.Setting, (s) => this.setting(s)],
      [t.Layer, (s) => this.layer(s, "layer")],
      [t.Model, (s) => this.model(s)],
      [t.Fn, (s) => this.fn(s, "fn")],
      [t.Loss, (s) => this.fn(s, "loss")],
      [t.Data, (s) => this.data(s)],
      [t.Train, (s) => this.train(s)],
    ]),
  };

  private readonly layerPlace: Place<ast.LayerItem> = {
    expected: "an item of a layer",
    readers: new Map<TokenType, (statement: Statement, first: t.Token) => ast.LayerItem | undefined>([
      [t.Param, (s) => this.param(s)],
      [t.Use, (s) => this.use(s)],
      [t.Const, (s) => this.const(s)],
      [t.Require, (s) => this.require(s)],
      [t.Forward, (s, first) => this.forward(s, first)],
      [t.If, (s) => this.layerIf(s)],
    ]),
  };

  private readonly bodyPlace: Place<ast.Statement> = {
    expected: "a statement",
    readers: new Map<TokenType, (statement: Statement, first: t.Token) => ast.Statement | undefined>([
      [t.Let, (s) => this.let(s)],
      [t.Return, (s) => this.return(s)],
      [t.Output, (s) => this.output(s, "output")],
      [t.Head, (s) => this.output(s, "head")],
      [t.Loss, (s) => this.output(s, "loss")],
      [t.Metric, (s) => this.output(s, "metric")],
      [t.Require, (s) => this.require(s)],
      [t.If, (s) => this.bodyIf(s)],
    ]),
  };

  fileItems(root: Block): ast.FileItem[] {
    return this.readBlock(root, this.filePlace);
  }

  // --- blocks and statements in general -----------------------------------------------------------------

  private readBlock<T>(block: Block, place: Place<T>): T[] {
    const items: T[] = [];
    for (const statement of block.statements) {
      const first = statement[0]?.tokens[0];
      const reader = first === undefined ? undefined : place.readers.get(first.tokenType);
      if (first === undefined || reader === undefined) {
        this.unknown(statement, first, place);
        continue;
      }
      const item = reader(statement, first);
      if (item !== undefined) items.push(item);
    }
    return items;
  }

  private unknown<T>(statement: Statement, first: t.Token | undefined, place: Place<T>): void {
    if (first === undefined) {
      const block = statement[0]?.block;
      if (block === undefined) return;
      const span = { ...block.span, end: block.span.start + 1 };
      this.diagnostics.push(
        errors.unknownStatement(span, "`{`", undefined, place.expected, wordsOf(place), undefined),
      );
      return;
    }
    // An inserted closer: reported already.
    if (first.image === "") return;
    if (first.tokenType === t.Else) {
      this.diagnostics.push(errors.elseWithoutIf(this.spanOf(first)));
      return;
    }
    const word = /^\w+$/.test(first.image) ? first.image : undefined;
    const hint = belongs.get(first.tokenType) ?? this.assignmentHint(statement, place.expected);
    this.diagnostics.push(
      errors.unknownStatement(
        this.spanOf(first),
        `\`${first.image}\``,
        word,
        place.expected,
        wordsOf(place),
        hint,
      ),
    );
  }

  private assignmentHint(statement: Statement, place: string): string | undefined {
    const [first, second] = statement[0]?.tokens ?? [];
    if (place !== this.bodyPlace.expected || !t.isOf(first, t.Name)) return undefined;
    if (t.isA(second, t.Equals, t.Comma)) return `write \`let ${first?.image} = ...\``;
    return t.isA(second, t.OpenParen) || t.isOf(second, t.BinaryOperator)
      ? "write `return ...` or `let name = ...`"
      : undefined;
  }

  private spanOf(token: t.Token): Span {
    return this.expressions.spanOf(token);
  }

  private spanOfAll(statement: Statement): Span {
    const start = statement[0]?.span.start ?? 0;
    return { file: this.file.name, start, end: statement.at(-1)?.span.end ?? start };
  }

  private following(piece: Piece): Following {
    if (piece.block !== undefined) {
      const { start } = piece.block.span;
      return { span: { file: this.file.name, start, end: start + 1 }, words: "`{`" };
    }
    const { end } = piece.span;
    const atLineEnd = /^[ \t]*(?:\/\/|[\r\n]|$)/.test(this.file.text.slice(end, end + 200));
    return {
      span: { file: this.file.name, start: end, end },
      words: atLineEnd ? "the end of the line" : "the end of the statement",
    };
  }

  private read(rule: RuleName, what: string, piece: Piece | undefined): ReadPiece {
    if (piece === undefined) return { node: { name: rule, children: {} }, clean: false };
    const { node, errors: found } = cst.read(rule, piece.tokens);
    this.diagnostics.push(...describeErrors(this.file, what, rule, found, this.following(piece)));
    return { node, clean: found.length === 0 };
  }

  /** Reads a statement of one piece that has no block. */
  private readPlain(rule: RuleName, what: string, statement: Statement): ReadPiece {
    const result = this.read(rule, what, statement[0]);
    if (result.clean) this.forbidBlock(what, statement[0]);
    this.forbidElse(statement);
    return result;
  }

  private forbidBlock(what: string, piece: Piece | undefined): void {
    if (piece?.block === undefined) return;
    const { start } = piece.block.span;
    this.diagnostics.push(errors.blockNotHere({ file: this.file.name, start, end: start + 1 }, what));
  }

  private forbidElse(statement: Statement): void {
    const word = statement[1]?.tokens[0];
    if (word !== undefined) this.diagnostics.push(errors.elseWithoutIf(this.spanOf(word)));
  }

  private blockOf(what: string, piece: Piece | undefined, clean: boolean): Block {
    if (piece?.block !== undefined) return piece.block;
    const end = piece?.span.end ?? 0;
    const span = { file: this.file.name, start: end, end };
    if (clean) this.diagnostics.push(errors.blockMissing(span, what));
    return { statements: [], span };
  }

  private name(node: cst.Node, index = 0): ast.Name | undefined {
    const token = cst.tokens(node, "Name")[index];
    return token === undefined ? undefined : this.expressions.nameOf(token);
  }

  private value(node: cst.Node, statement: Statement, index = 0): ast.Expression {
    return this.expressions.expressionIn(node, statement[0]?.span.end ?? 0, index);
  }

  // --- files --------------------------------------------------------------------------------------------

  private import(statement: Statement): ast.FileItem | undefined {
    const { node } = this.readPlain("import", "this import", statement);
    const path = cst.token(node, "Text");
    if (path === undefined) return undefined;
    return { kind: "import", path: this.expressions.string(path), span: this.spanOfAll(statement) };
  }

  private setting(statement: Statement): ast.FileItem | undefined {
    const { node } = this.readPlain("setting", "this setting", statement);
    const name = this.name(node);
    if (name === undefined) return undefined;
    const span = this.spanOfAll(statement);
    const type = this.expressions.type(cst.child(node, "type"), "setting", "a setting", name.span.end);
    const known: ast.SettingType =
      type.kind === "settingType" ? type : { kind: "settingType", name: "error", span: type.span };
    return { kind: "setting", name, type: known, value: this.value(node, statement), span };
  }

  private layer(statement: Statement, kind: "layer" | "model"): ast.FileItem | undefined {
    const what = `this ${kind}`;
    const { node, clean } = this.read(kind, what, statement[0]);
    this.forbidElse(statement);
    const block = this.blockOf(what, statement[0], clean);
    const parameters = this.expressions.parameters(
      cst.child(node, "parameters"),
      "setting",
      `a setting of a ${kind}`,
    );
    const items = this.readBlock(block, this.layerPlace);
    const name = this.name(node);
    if (name === undefined) return undefined;
    return { kind, name, parameters, items, span: this.spanOfAll(statement) };
  }

  private model(statement: Statement): ast.FileItem | undefined {
    const isInstance = statement[0]?.tokens.some((x) => x.tokenType === t.Equals) === true;
    if (statement[0]?.block !== undefined || !isInstance) return this.layer(statement, "model");
    const { node } = this.readPlain("model", "this model", statement);
    const name = this.name(node);
    const model = this.name(node, 1);
    if (name === undefined || model === undefined) return undefined;
    const args = this.expressions.args(cst.child(node, "args"));
    return { kind: "modelInstance", name, model, args, span: this.spanOfAll(statement) };
  }

  private fn(statement: Statement, kind: "fn" | "loss"): ast.FileItem | undefined {
    const what = `this ${kind}`;
    const result = this.read("fn", what, statement[0]);
    this.forbidElse(statement);
    const { node } = result;
    const parameters = this.expressions.parameters(cst.child(node, "parameters"), "any", "an input");
    const results = this.expressions.results(cst.child(node, "results"));
    const body = this.body(result, statement, what);
    const name = this.name(node);
    if (name === undefined) return undefined;
    return { kind, name, parameters, results, body, span: this.spanOfAll(statement) };
  }

  private data(statement: Statement): ast.FileItem | undefined {
    const { node, clean } = this.read("data", "this data declaration", statement[0]);
    this.forbidElse(statement);
    const block = this.blockOf("this data declaration", statement[0], clean);
    const parameters = this.expressions.parameters(
      cst.child(node, "parameters"),
      "setting",
      "a setting of data",
    );
    const fields: ast.DataField[] = [];
    for (const line of block.statements) {
      const field = this.readPlain("field", "this field", line).node;
      const fieldName = this.name(field);
      if (fieldName === undefined) continue;
      const type = this.expressions.type(cst.child(field, "type"), "tensor", "a field", fieldName.span.end);
      fields.push({ name: fieldName, type, span: this.spanOfAll(line) });
    }
    const name = this.name(node);
    if (name === undefined) return undefined;
    return { kind: "data", name, parameters, fields, span: this.spanOfAll(statement) };
  }

  private train(statement: Statement): ast.FileItem | undefined {
    const { node, clean } = this.read("train", "this train block", statement[0]);
    this.forbidElse(statement);
    const block = this.blockOf("this train block", statement[0], clean);
    const entries = block.statements.map((line) => this.entry(line)).filter((e) => e !== undefined);
    const first = new Map<ast.TrainKey, Span>();
    for (const { key, keySpan } of entries) {
      const before = first.get(key);
      if (before !== undefined) this.diagnostics.push(errors.trainKeyTwice(keySpan, before, key));
      else first.set(key, keySpan);
    }
    const model = this.name(node);
    if (model === undefined) return undefined;
    return { kind: "train", model, entries, span: this.spanOfAll(statement) };
  }

  private entry(statement: Statement): ast.TrainEntry | undefined {
    const word = statement[0]?.tokens[0];
    const key = ast.trainKeys.find((k) => k === word?.image);
    if (word === undefined || key === undefined) {
      const span = word === undefined ? this.spanOfAll(statement) : this.spanOf(word);
      this.diagnostics.push(errors.unknownTrainKey(span, word?.image ?? "{", ast.trainKeys));
      return undefined;
    }
    const { node } = this.readPlain("entry", `this \`${key}\` entry`, statement);
    const punctuation = cst.token(node, "Colon") ?? cst.token(node, "Equals");
    if (punctuation !== undefined) {
      this.diagnostics.push(errors.punctuationInEntry(this.spanOf(punctuation), key, punctuation.image));
    }
    if (key === "init" && cst.token(node, "From") === undefined)
      this.diagnostics.push(errors.initWithoutFrom(this.spanOf(word)));
    const value = this.value(node, statement);
    return { key, keySpan: this.spanOf(word), value, span: this.spanOfAll(statement) };
  }

  // --- layers -------------------------------------------------------------------------------------------

  private param(statement: Statement): ast.LayerItem | undefined {
    const { node } = this.readPlain("param", "this `param`", statement);
    const name = this.name(node);
    if (name === undefined) return undefined;
    const span = this.spanOfAll(statement);
    const type = this.expressions.type(cst.child(node, "type"), "tensor", "a parameter", name.span.end);
    const tensor: ast.TensorType | ast.ErrorType =
      type.kind === "settingType" ? { kind: "errorType", span: type.span } : type;
    return { kind: "param", name, type: tensor, initializer: this.value(node, statement), span };
  }

  private use(statement: Statement): ast.LayerItem | undefined {
    const { node } = this.readPlain("use", "this `use`", statement);
    const bindings: ast.UseBinding[] = [];
    for (const binding of cst.children(node, "binding")) {
      const [name, layer] = cst.tokens(binding, "Name").map((token) => this.expressions.nameOf(token));
      if (name === undefined || layer === undefined) continue;
      const repeat = cst.child(binding, "expression");
      bindings.push({
        name,
        ...(repeat !== undefined && { repeat: this.expressions.expression(repeat, name.span.end) }),
        layer,
        args: this.expressions.args(cst.child(binding, "args")),
        span: this.expressions.extent(binding, name.span.start),
      });
    }
    return bindings.length === 0 ? undefined : { kind: "use", bindings, span: this.spanOfAll(statement) };
  }

  private const(statement: Statement): ast.LayerItem | undefined {
    const { node } = this.readPlain("const", "this `const`", statement);
    const name = this.name(node);
    if (name === undefined) return undefined;
    return { kind: "const", name, value: this.value(node, statement), span: this.spanOfAll(statement) };
  }

  private require(statement: Statement): ast.RequireItem {
    const { node } = this.readPlain("require", "this `require`", statement);
    const message = cst.token(node, "Text");
    return {
      kind: "require",
      condition: this.value(node, statement),
      ...(message !== undefined && { message: this.expressions.template(message) }),
      span: this.spanOfAll(statement),
    };
  }

  private forward(statement: Statement, first: t.Token): ast.LayerItem {
    const result = this.read("forward", "this forward", statement[0]);
    this.forbidElse(statement);
    const { node } = result;
    return {
      kind: "forward",
      parameters: this.expressions.parameters(cst.child(node, "parameters"), "any", "an input"),
      results: this.expressions.results(cst.child(node, "results")),
      body: this.body(result, statement, "this forward"),
      keywordSpan: this.spanOf(first),
      span: this.spanOfAll(statement),
    };
  }

  private body(result: ReadPiece, statement: Statement, what: string): ast.Body {
    const piece = statement[0];
    const expression = cst.child(result.node, "expression");
    const end = piece?.span.end ?? 0;
    if (piece?.block !== undefined) {
      const { span } = piece.block;
      if (expression !== undefined)
        this.diagnostics.push(errors.bodyTwice({ ...span, end: span.start + 1 }, what));
      return { kind: "blockBody", statements: this.readBlock(piece.block, this.bodyPlace), span };
    }
    const value = this.expressions.expression(expression, end);
    if (expression === undefined && result.clean) {
      this.diagnostics.push(errors.bodyMissing({ file: this.file.name, start: end, end }, what));
    }
    return { kind: "expressionBody", value, span: value.span };
  }

  private layerIf(statement: Statement): ast.LayerItem | undefined {
    const branches = this.branches(statement, this.layerPlace);
    return branches.reduceRight<ast.IfItem | undefined>(
      (otherwise, branch) => joinBranch(branch, otherwise),
      undefined,
    );
  }

  // --- bodies -------------------------------------------------------------------------------------------

  private bodyIf(statement: Statement): ast.Statement | undefined {
    const branches = this.branches(statement, this.bodyPlace);
    return branches.reduceRight<ast.IfStatement | undefined>(
      (otherwise, branch) => joinBranch(branch, otherwise),
      undefined,
    );
  }

  private branches<T>(statement: Statement, place: Place<T>): Branch<T>[] {
    const branches: Branch<T>[] = [];
    const end = this.spanOfAll(statement).end;
    for (const [i, piece] of statement.entries()) {
      const [first, second] = piece.tokens;
      const last = branches.at(-1);
      if (i > maxNesting) {
        this.diagnostics.push(errors.elseChain(piece.span, maxNesting));
        break;
      }
      if (i > 0 && second?.tokenType !== t.If) {
        if (second !== undefined) {
          this.diagnostics.push(
            errors.unexpected(this.spanOf(second), "`if` or `{` after `else`", `\`${second.image}\``),
          );
        }
        const items = this.readBlock(this.blockOf("this `else`", piece, second === undefined), place);
        if (last?.otherwise !== undefined && first !== undefined) {
          this.diagnostics.push(errors.elseWithoutIf(this.spanOf(first)));
        } else if (last !== undefined) {
          branches[branches.length - 1] = { ...last, otherwise: items };
        }
        continue;
      }
      if (last?.otherwise !== undefined && first !== undefined) {
        this.diagnostics.push(errors.elseWithoutIf(this.spanOf(first)));
      }
      const head: Piece = i === 0 ? piece : { ...piece, tokens: piece.tokens.slice(1) };
      const { node, clean } = this.read("if", "this condition", head);
      const condition = this.expressions.expressionIn(node, piece.span.start);
      const then = this.readBlock(this.blockOf("this `if`", piece, clean), place);
      branches.push({
        condition,
        then,
        span: { file: this.file.name, start: head.tokens[0]?.startOffset ?? 0, end },
      });
    }
    return branches;
  }

  private let(statement: Statement): ast.Statement | undefined {
    const { node } = this.readPlain("let", "this `let`", statement);
    const names = cst.tokens(node, "Name").map((token) => this.expressions.nameOf(token));
    if (names.length === 0) return undefined;
    return { kind: "let", names, value: this.value(node, statement), span: this.spanOfAll(statement) };
  }

  private return(statement: Statement): ast.Statement {
    const { node } = this.readPlain("return", "this `return`", statement);
    const count = Math.max(1, cst.children(node, "expression").length);
    const values = Array.from({ length: count }, (_, i) => this.value(node, statement, i));
    return { kind: "return", values, span: this.spanOfAll(statement) };
  }

  private output(statement: Statement, kind: ast.ResultKind): ast.Statement | undefined {
    const { node } = this.readPlain("output", `this \`${kind}\``, statement);
    const name = this.name(node);
    if (name === undefined) return undefined;
    return { kind, name, value: this.value(node, statement), span: this.spanOfAll(statement) };
  }
}

interface Branch<T> {
  readonly condition: ast.Expression;
  readonly then: readonly T[];
  /** After a final `else`. */
  readonly otherwise?: readonly T[];
  readonly span: Span;
}

/** One `if` whose `else` is what the later branches made. */
function joinBranch<T, I extends T>(
  branch: Branch<T>,
  later: I | undefined,
): {
  readonly kind: "if";
  readonly condition: ast.Expression;
  readonly then: readonly T[];
  readonly otherwise: readonly T[];
  readonly span: Span;
} {
  const { condition, then, span } = branch;
  return {
    kind: "if",
    condition,
    then,
    otherwise: later === undefined ? (branch.otherwise ?? []) : [later],
    span,
  };
}

function wordsOf<T>(place: Place<T>): string[] {
  return [...place.readers.keys()].map(t.wordOf);
}

/** Where a statement belongs that stands in the wrong place. */
const belongs: ReadonlyMap<TokenType, string> = new Map([
  ...[t.Import, t.Setting, t.Layer, t.Model, t.Fn, t.Data, t.Train].map(
    (type) => [type, `\`${t.wordOf(type)}\` stands at the top of a file, outside of all braces`] as const,
  ),
  ...[t.Param, t.Use, t.Const, t.Forward].map(
    (type) => [type, `\`${t.wordOf(type)}\` stands directly in a layer or model`] as const,
  ),
  ...[t.Let, t.Return, t.Output, t.Head, t.Metric].map(
    (type) =>
      [type, `\`${t.wordOf(type)}\` stands in the braces of a \`forward\`, \`fn\` or \`loss\``] as const,
  ),
  [
    t.Require,
    "`require` stands in a layer or model, or in the braces of a `forward`, `fn` or `loss`",
  ] as const,
  [t.Loss, "a loss is declared at the top of a file and computed in the `forward` of a model"] as const,
  [t.If, "`if` stands in a layer, or in the braces of a `forward`, `fn` or `loss`"] as const,
]);
