import type { Span } from "../diagnostics/index.ts";
import { type RecipeKind, recipeSignatures } from "../semantics/index.ts";
import type {
  Argument,
  Body,
  Dimension,
  Expression,
  FileItem,
  ForwardItem,
  LayerItem,
  Name,
  Parameter,
  RequireItem,
  SpecFile,
  Statement,
  TrainDeclaration,
  Type,
} from "../syntax/index.ts";
import {
  type Callee,
  type Local,
  lookup,
  type Occurrence,
  type Occurrences,
  type Region,
  type Target,
} from "./names.ts";

/*
 * Every name of one file with what it stands for, as far as the file itself tells; `resolve.ts` looks the rest up in the
 * files it imports. Branches are not decided: a name that both branches declare has two places.
 */

/** Places kept of one name: a few branches may declare it, a text with hundreds is a mistake. */
const maxPlaces = 8;

export function occurrencesOf(file: SpecFile): Occurrences {
  const walk = new Walk();
  for (const item of file.items) walk.item(item);
  const first = new Map<number, Occurrence>();
  // A dimension that a type declares is read there too: the declaration came first.
  for (const occurrence of walk.found) {
    if (!first.has(occurrence.span.start)) first.set(occurrence.span.start, occurrence);
  }
  const all = [...first.values()].sort((a, b) => a.span.start - b.span.start);
  const regionOf = new Map(walk.regions.map((region) => [region.item, region]));
  return { all, regions: walk.regions, regionOf, templates: walk.templates };
}

class Walk {
  readonly found: Occurrence[] = [];
  readonly regions: Region[] = [];
  readonly templates: Span[] = [];

  item(item: FileItem): void {
    if (item.kind === "import") {
      this.#add(item.path.value, item.path.span, { kind: "import", item });
      return;
    }
    if (item.kind === "train") {
      this.#train(item);
      return;
    }
    this.#add(item.name.text, item.name.span, { kind: "declaration", item }, true);
    const region = this.#open(item, undefined);
    switch (item.kind) {
      case "setting":
        this.#type(item.type, region);
        this.#expression(item.value, region);
        break;
      case "layer":
      case "model":
        this.#declareParameters(item.parameters, region);
        this.#declareItems(item.items, region);
        this.#parameters(item.parameters, region);
        this.#items(item.items, region);
        break;
      case "fn":
      case "loss":
        this.#signature(item.parameters, item.results, item.body, region);
        break;
      case "data":
        this.#declareParameters(item.parameters, region);
        this.#parameters(item.parameters, region);
        for (const { name, type, span } of item.fields) {
          this.#declare({ kind: "field", name, span }, undefined);
          this.#type(type, region);
        }
        break;
      case "modelInstance":
        this.#add(item.model.text, item.model.span, { kind: "global", wanted: "model" });
        this.#arguments(item.args, { kind: "declared", name: item.model, wanted: "model" }, region);
        break;
      default:
        item satisfies never;
    }
  }

  #open(item: FileItem | ForwardItem, outer: Region | undefined): Region {
    const region = { span: item.span, item, outer, locals: new Map<string, Local[]>(), results: [] };
    this.regions.push(region);
    return region;
  }

  #add(text: string, span: Span, target: Target, declares = false): void {
    if (span.end > span.start) this.found.push({ text, span, declares, target });
  }

  // --- names declared -----------------------------------------------------------------------------------

  /** @param region where the name may be used; none for a name that is only read from outside */
  #declare(local: Local, region: Region | undefined): void {
    const { name } = local;
    this.#add(name.text, name.span, { kind: "local", locals: [local] }, true);
    if (region === undefined) return;
    const known = region.locals.get(name.text);
    if (known === undefined) region.locals.set(name.text, [local]);
    else if (known.length < maxPlaces) known.push(local);
  }

  #declareParameters(parameters: readonly Parameter[], region: Region): void {
    for (const { name, span } of parameters) this.#declare({ kind: "parameter", name, span }, region);
    // After the names of all parameters: `n` of `x: f32[n], n: dim` is no new dimension.
    for (const { type } of parameters) {
      if (type.kind !== "tensorType") continue;
      for (const dimension of type.dims) this.#declareDimension(dimension, region);
    }
  }

  #declareDimension(dimension: Dimension, region: Region): void {
    if (dimension.kind === "name") {
      if (lookup(region, dimension.text) !== undefined) return;
      const name = { text: dimension.text, span: dimension.span };
      this.#declare({ kind: "dimension", name, span: dimension.span }, region);
    } else if (dimension.kind === "unary") {
      this.#declareDimension(dimension.operand, region);
    } else if (dimension.kind === "binary") {
      this.#declareDimension(dimension.left, region);
      this.#declareDimension(dimension.right, region);
    }
  }

  #declareItems(items: readonly LayerItem[], region: Region): void {
    for (const item of items) {
      if (item.kind === "param") this.#declare({ kind: "weight", name: item.name, span: item.span }, region);
      else if (item.kind === "const")
        this.#declare({ kind: "variable", name: item.name, span: item.span }, region);
      else if (item.kind === "use") {
        for (const { name, span, layer } of item.bindings)
          this.#declare({ kind: "sublayer", name, span, layer }, region);
      } else if (item.kind === "if") {
        this.#declareItems(item.then, region);
        this.#declareItems(item.otherwise, region);
      }
    }
  }

  #declareStatements(statements: readonly Statement[], region: Region): void {
    for (const statement of statements) {
      if (statement.kind === "let") {
        for (const name of statement.names)
          this.#declare({ kind: "variable", name, span: statement.span }, region);
      } else if (statement.kind === "if") {
        this.#declareStatements(statement.then, region);
        this.#declareStatements(statement.otherwise, region);
      }
    }
  }

  // --- names used ---------------------------------------------------------------------------------------

  #signature(parameters: readonly Parameter[], results: readonly Type[], body: Body, region: Region): void {
    this.#declareParameters(parameters, region);
    if (body.kind === "blockBody") this.#declareStatements(body.statements, region);
    this.#parameters(parameters, region);
    for (const type of results) this.#type(type, region);
    if (body.kind === "expressionBody") this.#expression(body.value, region);
    else this.#statements(body.statements, region);
  }

  #parameters(parameters: readonly Parameter[], region: Region): void {
    for (const { type, default: value } of parameters) {
      this.#type(type, region);
      if (value !== undefined) this.#expression(value, region);
    }
  }

  #type(type: Type, region: Region): void {
    if (type.kind === "errorType") return;
    if (type.kind === "settingType") {
      this.#add(type.name, type.span, { kind: "type" });
      return;
    }
    this.#add(type.dtype, type.dtypeSpan, { kind: "type" });
    for (const dimension of type.dims) if (dimension.kind !== "ellipsis") this.#expression(dimension, region);
  }

  #items(items: readonly LayerItem[], region: Region): void {
    for (const item of items) {
      switch (item.kind) {
        case "param":
          this.#type(item.type, region);
          this.#expression(item.initializer, region, "initializer");
          break;
        case "use":
          for (const { repeat, layer, args } of item.bindings) {
            if (repeat !== undefined) this.#expression(repeat, region);
            this.#add(layer.text, layer.span, { kind: "global", wanted: "layer" });
            this.#arguments(args, { kind: "declared", name: layer, wanted: "layer" }, region);
          }
          break;
        case "require":
          this.#require(item, region);
          break;
        case "const":
          this.#expression(item.value, region);
          break;
        case "forward":
          this.#signature(item.parameters, item.results, item.body, this.#open(item, region));
          break;
        case "if":
          this.#expression(item.condition, region);
          this.#items(item.then, region);
          this.#items(item.otherwise, region);
          break;
        default:
          item satisfies never;
      }
    }
  }

  #statements(statements: readonly Statement[], region: Region): void {
    for (const statement of statements) {
      switch (statement.kind) {
        case "let":
          this.#expression(statement.value, region);
          break;
        case "output":
        case "head":
        case "loss":
        case "metric": {
          const { kind: result, name, span } = statement;
          const local: Local = { kind: "result", name, span, result };
          this.#declare(local, undefined);
          region.results.push(local);
          this.#expression(statement.value, region);
          break;
        }
        case "return":
          for (const value of statement.values) this.#expression(value, region);
          break;
        case "require":
          this.#require(statement, region);
          break;
        case "if":
          this.#expression(statement.condition, region);
          this.#statements(statement.then, region);
          this.#statements(statement.otherwise, region);
          break;
        default:
          statement satisfies never;
      }
    }
  }

  #require(item: RequireItem, region: Region): void {
    this.#expression(item.condition, region);
    if (item.message === undefined) return;
    this.templates.push(item.message.span);
    for (const part of item.message.parts) if (part.kind === "value") this.#expression(part.value, region);
  }

  #train(train: TrainDeclaration): void {
    const region = this.#open(train, undefined);
    this.#add(train.model.text, train.model.span, { kind: "global", wanted: "instance" });
    for (const { key, keySpan, value } of train.entries) {
      this.#add(key, keySpan, { kind: "trainKey" });
      if (key === "data" && value.kind === "call" && value.callee.kind === "name") {
        const { text, span } = value.callee;
        this.#add(text, span, { kind: "global", wanted: "data" });
        this.#arguments(value.args, { kind: "declared", name: { text, span }, wanted: "data" }, region);
      } else if (key === "minimize") {
        this.#expression(value, region, { objective: train.model });
      } else {
        this.#expression(value, region, key === "optimizer" || key === "clip" ? key : undefined);
      }
    }
  }

  #arguments(args: readonly Argument[], callee: Callee | undefined, region: Region | undefined): void {
    for (const { name, value } of args) {
      if (name !== undefined && callee !== undefined)
        this.#add(name.text, name.span, { kind: "argument", callee });
      const isRate = callee?.kind === "recipe" && callee.recipe === "optimizer" && name?.text !== "exclude";
      this.#expression(value, region, isRate ? "learning rate" : undefined);
    }
  }

  /** @param place what else than a function a call may be here */
  #expression(
    expression: Expression,
    region: Region | undefined,
    place?: RecipeKind | { readonly objective: Name },
  ): void {
    switch (expression.kind) {
      case "name": {
        const locals = lookup(region, expression.text);
        this.#add(
          expression.text,
          expression.span,
          locals !== undefined
            ? { kind: "local", locals }
            : typeof place === "object"
              ? { kind: "objective", model: place.objective }
              : { kind: "global", wanted: "setting" },
        );
        return;
      }
      case "list":
        for (const element of expression.elements) this.#expression(element, region, place);
        return;
      case "unary":
        this.#expression(expression.operand, region, place);
        return;
      case "binary":
        this.#expression(expression.left, region, place);
        this.#expression(expression.right, region, place);
        return;
      case "conditional":
        this.#expression(expression.condition, region);
        this.#expression(expression.then, region, place);
        this.#expression(expression.otherwise, region, place);
        return;
      case "call":
        this.#call(expression, region, place);
        return;
      case "index":
        this.#expression(expression.target, region, place);
        for (const item of expression.items) {
          if (item.kind === "at") this.#expression(item.value, region);
          else if (item.kind === "slice") {
            if (item.start !== undefined) this.#expression(item.start, region);
            if (item.stop !== undefined) this.#expression(item.stop, region);
          }
        }
        return;
      case "member": {
        const { target, member } = expression;
        this.#expression(target, region);
        this.#add(member.text, member.span, { kind: "member", of: target, region });
        return;
      }
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

  #call(
    call: Extract<Expression, { readonly kind: "call" }>,
    region: Region | undefined,
    place: RecipeKind | { readonly objective: Name } | undefined,
  ): void {
    const { callee, args } = call;
    if (callee.kind !== "name") {
      this.#expression(callee, region);
      this.#arguments(args, { kind: "sublayer", of: callee, region }, region);
      return;
    }
    const { text, span } = callee;
    const recipe = typeof place === "string" && isRecipe(place, text) ? place : undefined;
    const locals = lookup(region, text);
    if (recipe !== undefined) {
      this.#add(text, span, { kind: "recipe", recipe });
      this.#arguments(args, { kind: "recipe", recipe, name: text }, region);
    } else if (locals !== undefined) {
      this.#add(text, span, { kind: "local", locals });
      this.#arguments(args, { kind: "sublayer", of: callee, region }, region);
    } else {
      this.#add(text, span, { kind: "global", wanted: "function" });
      this.#arguments(args, { kind: "declared", name: { text, span }, wanted: "function" }, region);
    }
  }
}

function isRecipe(kind: RecipeKind, name: string): boolean {
  return recipeSignatures.some((signature) => signature.kind === kind && signature.name === name);
}
