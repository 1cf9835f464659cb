import type { Diagnostic } from "../diagnostics/index.ts";
import type {
  Argument,
  Body,
  DataDeclaration,
  Dimension,
  Expression,
  FnDeclaration,
  LayerDeclaration,
  LayerItem,
  Parameter,
  RequireItem,
  Statement,
  Type,
} from "../syntax/index.ts";
import type { FileScope } from "./declarations.ts";
import { lossResult, unknownFunction, unknownInitializer, unknownLayer, unknownName } from "./errors.ts";
import { initializerNames, isInitializer } from "./initializers.ts";
import { isPrimitive, primitiveNames } from "./primitives.ts";

/**
 * Looks up every name of the declarations that no model uses: what is not instantiated is not evaluated. Branches are
 * not decided here, so a name counts as known if any branch declares it.
 * @param more false once nothing more is to be reported
 */
export function checkNames(
  files: Iterable<FileScope>,
  report: (d: Diagnostic) => void,
  more: () => boolean,
): void {
  for (const file of files) {
    for (const item of file.file.ast.items) {
      if (!more()) return;
      const check = new NameCheck(file, report);
      if (item.kind === "layer" || item.kind === "model") check.layer(item);
      else if (item.kind === "fn" || item.kind === "loss") check.fn(item);
      else if (item.kind === "data") check.data(item);
      else if (item.kind === "modelInstance") check.arguments(item.args);
    }
  }
}

/** One declaration: which names it has, then which it uses. */
class NameCheck {
  readonly #known = new Set<string>();
  readonly #file: FileScope;
  readonly #report: (d: Diagnostic) => void;

  constructor(file: FileScope, report: (d: Diagnostic) => void) {
    this.#file = file;
    this.#report = report;
  }

  layer(layer: LayerDeclaration): void {
    for (const parameter of layer.parameters) this.#known.add(parameter.name.text);
    this.#declareItems(layer.items);
    this.#parameters(layer.parameters);
    this.#items(layer.items);
  }

  fn(fn: FnDeclaration): void {
    if (fn.kind === "loss") this.#loss(fn);
    this.#declareParameters(fn.parameters);
    this.#declareBody(fn.body);
    this.#parameters(fn.parameters);
    for (const type of fn.results) this.#type(type);
    this.#body(fn.body);
  }

  #loss(loss: FnDeclaration): void {
    const [type, second] = loss.results;
    const isScalar = type?.kind === "tensorType" && type.dtype === "f32" && type.dims.length === 0;
    if (type === undefined || type.kind === "errorType" || (isScalar && second === undefined)) return;
    this.#report(lossResult(loss.name, second ?? type));
  }

  data(data: DataDeclaration): void {
    for (const parameter of data.parameters) this.#known.add(parameter.name.text);
    this.#parameters(data.parameters);
    for (const field of data.fields) this.#type(field.type);
  }

  arguments(args: readonly Argument[]): void {
    for (const argument of args) this.#expression(argument.value);
  }

  // --- names declared -----------------------------------------------------------------------------------

  #declareItems(items: readonly LayerItem[]): void {
    for (const item of items) {
      if (item.kind === "param" || item.kind === "const") this.#known.add(item.name.text);
      else if (item.kind === "use") for (const binding of item.bindings) this.#known.add(binding.name.text);
      else if (item.kind === "if") {
        this.#declareItems(item.then);
        this.#declareItems(item.otherwise);
      }
    }
  }

  #declareParameters(parameters: readonly Parameter[]): void {
    for (const { name, type } of parameters) {
      this.#known.add(name.text);
      if (type.kind !== "tensorType") continue;
      for (const dimension of type.dims) if (dimension.kind !== "ellipsis") this.#declareDimension(dimension);
    }
  }

  #declareDimension(dimension: Expression): void {
    if (dimension.kind === "name") this.#known.add(dimension.text);
    else if (dimension.kind === "unary") this.#declareDimension(dimension.operand);
    else if (dimension.kind === "binary") {
      this.#declareDimension(dimension.left);
      this.#declareDimension(dimension.right);
    }
  }

  #declareBody(body: Body): void {
    if (body.kind === "blockBody") this.#declareStatements(body.statements);
  }

  #declareStatements(statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === "let") for (const name of statement.names) this.#known.add(name.text);
      else if (statement.kind === "if") {
        this.#declareStatements(statement.then);
        this.#declareStatements(statement.otherwise);
      }
    }
  }

  // --- names used ---------------------------------------------------------------------------------------

  #items(items: readonly LayerItem[]): void {
    for (const item of items) {
      switch (item.kind) {
        case "param":
          this.#type(item.type);
          this.#initializer(item.initializer);
          break;
        case "use":
          for (const binding of item.bindings) {
            const { layer } = binding;
            const found = this.#file.find(layer.text, layer.span);
            if (found === undefined) this.#report(unknownLayer(layer, this.#file.namesOf("layer", "model")));
            if (binding.repeat !== undefined) this.#expression(binding.repeat);
            this.arguments(binding.args);
          }
          break;
        case "require":
          this.#require(item);
          break;
        case "const":
          this.#expression(item.value);
          break;
        case "forward":
          this.#forward(item);
          break;
        case "if":
          this.#expression(item.condition);
          this.#items(item.then);
          this.#items(item.otherwise);
          break;
        default:
          item satisfies never;
      }
    }
  }

  #initializer(expression: Expression): void {
    if (expression.kind !== "call" || expression.callee.kind !== "name") {
      this.#expression(expression);
      return;
    }
    const { callee, args } = expression;
    if (!isInitializer(callee.text)) this.#report(unknownInitializer(callee, initializerNames));
    this.arguments(args);
  }

  #forward(forward: Extract<LayerItem, { readonly kind: "forward" }>): void {
    this.#declareParameters(forward.parameters);
    this.#declareBody(forward.body);
    this.#parameters(forward.parameters);
    for (const type of forward.results) this.#type(type);
    this.#body(forward.body);
  }

  #parameters(parameters: readonly Parameter[]): void {
    for (const parameter of parameters) {
      this.#type(parameter.type);
      if (parameter.default !== undefined) this.#expression(parameter.default);
    }
  }

  #type(type: Type): void {
    if (type.kind === "tensorType") for (const dimension of type.dims) this.#dimension(dimension);
  }

  #dimension(dimension: Dimension): void {
    // An unknown dimension is told by `dimensionSize`, with other words.
    if (dimension.kind !== "ellipsis" && dimension.kind !== "name") this.#expression(dimension);
  }

  #body(body: Body): void {
    if (body.kind === "expressionBody") this.#expression(body.value);
    else this.#statements(body.statements);
  }

  #statements(statements: readonly Statement[]): void {
    for (const statement of statements) {
      switch (statement.kind) {
        case "let":
        case "output":
        case "head":
        case "loss":
        case "metric":
          this.#expression(statement.value);
          break;
        case "return":
          for (const value of statement.values) this.#expression(value);
          break;
        case "require":
          this.#require(statement);
          break;
        case "if":
          this.#expression(statement.condition);
          this.#statements(statement.then);
          this.#statements(statement.otherwise);
          break;
        default:
          statement satisfies never;
      }
    }
  }

  #require(item: RequireItem): void {
    this.#expression(item.condition);
    for (const part of item.message?.parts ?? []) if (part.kind === "value") this.#expression(part.value);
  }

  #expression(expression: Expression): void {
    switch (expression.kind) {
      case "name":
        if (
          this.#known.has(expression.text) ||
          this.#file.find(expression.text, expression.span) !== undefined
        )
          return;
        this.#report(unknownName(expression, [...this.#known, ...this.#file.namesOf("setting")]));
        return;
      case "list":
        for (const element of expression.elements) this.#expression(element);
        return;
      case "unary":
        this.#expression(expression.operand);
        return;
      case "binary":
        this.#expression(expression.left);
        this.#expression(expression.right);
        return;
      case "conditional":
        this.#expression(expression.condition);
        this.#expression(expression.then);
        this.#expression(expression.otherwise);
        return;
      case "call":
        if (expression.callee.kind === "name") this.#callee(expression.callee);
        else this.#expression(expression.callee);
        this.arguments(expression.args);
        return;
      case "index":
        this.#expression(expression.target);
        for (const item of expression.items) {
          if (item.kind === "at") this.#expression(item.value);
          else if (item.kind === "slice") {
            if (item.start !== undefined) this.#expression(item.start);
            if (item.stop !== undefined) this.#expression(item.stop);
          }
        }
        return;
      case "member":
        this.#expression(expression.target);
        return;
      case "int":
      case "float":
      case "string":
      case "bool":
      case "error":
        return;
      default:
        expression satisfies never;
    }
  }

  #callee(callee: Extract<Expression, { readonly kind: "name" }>): void {
    const name = callee.text;
    if (this.#known.has(name) || isPrimitive(name)) return;
    if (this.#file.find(name, callee.span) !== undefined) return;
    this.#report(
      unknownFunction(callee, [...this.#known, ...this.#file.namesOf("fn", "loss"), ...primitiveNames]),
    );
  }
}
