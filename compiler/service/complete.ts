import { type Declaration, type LoadedFile, primitiveUsages, recipeSignatures } from "../semantics/index.ts";
import {
  cursorAt,
  type Expression,
  elementTypeNames,
  lex,
  type Name,
  resultKinds,
  settingTypeNames,
  trainKeys,
} from "../syntax/index.ts";
import { type BlockKind, type CursorPlace, cursorPlace, regionAt, type Wanted } from "./cursor-place.ts";
import type { Callee, Local, Region } from "./names.ts";
import { type OpenedSpec, openSpec } from "./open-spec.ts";
import { type FoundParameter, layersOf, lossesOf, membersOf, parametersOf } from "./resolve.ts";
import { commentOf, headOf, localText, recipeParameterText, recipeText, textOf } from "./signatures.ts";
import type { Completion, CompletionItem, CompletionKind, Place, SpecContext } from "./types.ts";

/** What fits best comes first: arguments by name, then what is nearest. */
const ranks = { argument: 0, local: 1, member: 1, wanted: 1, setting: 2, function: 3, primitive: 4, word: 5 };

/** Locals that may be numbers. */
const numberKinds: readonly Local["kind"][] = ["parameter", "dimension", "variable"];

/** What may be written at a place. The statement there may be broken, and so may the others. */
export function complete(spec: SpecContext, at: Place): Completion {
  const opened = openSpec(spec);
  const file = opened?.file(at.file);
  const cursor = cursorAt(file?.source.text ?? "", at.offset);
  if (opened === undefined || file === undefined) return { range: cursor.word, items: [] };
  const place = cursorPlace(cursor);
  const offers = new Offers(
    opened,
    file,
    place,
    spec.importable ?? [],
    cursor.inside === "string",
    at.offset,
  );
  return { range: cursor.word, items: offers.items() };
}

class Offers {
  readonly #region: Region | undefined;

  constructor(
    private readonly opened: OpenedSpec,
    private readonly file: LoadedFile,
    private readonly place: CursorPlace,
    private readonly importable: readonly string[],
    private readonly inString: boolean,
    private readonly offset: number,
  ) {
    this.#region = regionAt(opened.occurrences(file), place);
  }

  items(): readonly CompletionItem[] {
    const found = new Map<string, CompletionItem>();
    // What comes first is nearest: a local hides a function of its name.
    for (const item of [...this.#arguments(), ...this.#wanted(this.place.wanted)]) {
      if (!found.has(item.insert)) found.set(item.insert, item);
    }
    return [...found.values()];
  }

  #wanted(wanted: Wanted): readonly CompletionItem[] {
    switch (wanted.kind) {
      case "nothing":
        return [];
      case "words":
        return wanted.words.map(word);
      case "statement":
        return this.#statement(wanted.block);
      case "type":
        return [
          ...(wanted.of === "setting" ? [] : elementTypeNames),
          ...(wanted.of === "tensor" ? [] : settingTypeNames),
        ].map((name) => item(name, "type", ranks.wanted));
      case "dimension":
        return [...this.#locals(numberKinds), ...this.#declared("setting")];
      case "layer":
        return [...this.#declared("layer"), word("repeat")];
      case "model":
        return this.#declared("model");
      case "instance":
        return this.#declared("modelInstance");
      case "data":
        return this.#declared("data");
      case "import":
        return this.importable.map((path) =>
          item(path, "file", ranks.wanted, { insert: this.inString ? path : `"${path}"` }),
        );
      case "objective":
        return this.#losses();
      case "recipe":
        return [
          ...this.#recipes(wanted.recipe),
          ...(wanted.recipe === "learning rate" ? this.#numbers() : []),
        ];
      case "member":
        return this.#members(wanted.path);
      case "expression":
        return this.#expression();
      default:
        return wanted satisfies never;
    }
  }

  // --- statements ---------------------------------------------------------------------------------------

  #statement(block: BlockKind): readonly CompletionItem[] {
    switch (block) {
      case "file":
        return ["import", "setting", "layer", "model", "fn", "loss", "data", "train"].map(word);
      case "layer":
        return ["param", "use", "const", "require", "forward", "if"].map(word);
      case "body": {
        const inModel = this.#region?.outer?.item.kind === "model";
        const results = inModel ? resultKinds : ["return"];
        return ["let", ...results, "require", "if"].map(word);
      }
      case "train": {
        const train = this.#region?.item;
        const used = train?.kind === "train" ? train.entries.map(({ key }) => key) : [];
        return trainKeys.filter((key) => !used.includes(key)).map(word);
      }
      case "data":
        return [];
      default:
        return block satisfies never;
    }
  }

  // --- names --------------------------------------------------------------------------------------------

  #expression(): readonly CompletionItem[] {
    const { block, statement } = this.place;
    if (block === "train") return this.#numbers();
    const words = ["if", "not", "true", "false"].map(word);
    const primitives = Object.entries(primitiveUsages).map(([name, usage]) =>
      item(name, "primitive", ranks.primitive, { detail: usage }),
    );
    const isBody = block === "body" || ["forward", "fn", "loss"].includes(statement);
    // Outside of bodies only numbers are computed: there are no tensors yet.
    return [
      ...this.#locals(isBody ? [...numberKinds, "weight", "sublayer"] : numberKinds),
      ...this.#declared("setting"),
      ...(isBody ? this.#declared("fn", "loss") : []),
      ...primitives,
      ...words,
    ];
  }

  /** Where a compile-time number stands outside of layers. */
  #numbers(): readonly CompletionItem[] {
    return [...this.#declared("setting"), ...["if", "true", "false"].map(word)];
  }

  /** Names of the declaration around the cursor that are known by then. */
  #locals(kinds: readonly Local["kind"][]): readonly CompletionItem[] {
    const { anchor } = this.place;
    const found: CompletionItem[] = [];
    for (let region = this.#region; region !== undefined; region = region.outer) {
      // The parts of a layer are all made before its forward runs; else what comes later is not there yet.
      const isAround = region !== this.#region;
      for (const local of [...region.locals.values()].flat()) {
        const ordered = local.kind === "variable" || local.kind === "weight" || local.kind === "sublayer";
        const isKnown = isAround || !ordered || local.span.end <= anchor;
        if (kinds.includes(local.kind) && isKnown) found.push(localItem(this.file, local));
      }
    }
    return found;
  }

  #declared(...kinds: readonly Declaration["kind"][]): readonly CompletionItem[] {
    const scope = this.opened.scope(this.file);
    const here = { file: this.file.source.name, start: this.place.anchor, end: this.place.anchor };
    return [...new Set(scope.namesOf(...kinds))].flatMap((name) => {
      const found = scope.find(name, here);
      if (found === undefined || !kinds.includes(found.declaration.kind)) return [];
      const { declaration, scope: home } = found;
      const { kind } = declaration;
      const isFunction = kind === "fn" || kind === "loss";
      return [
        item(
          name,
          isFunction ? "function" : kind === "modelInstance" ? "model" : kind,
          isFunction ? ranks.function : kind === "setting" ? ranks.setting : ranks.wanted,
          { detail: headOf(home.file, declaration), documentation: commentOf(home.file, declaration.span) },
        ),
      ];
    });
  }

  #members(path: readonly string[]): readonly CompletionItem[] {
    const expression = expressionOf(path);
    if (expression === undefined) return [];
    return layersOf(this.opened, this.file, expression, this.#region).flatMap(({ declaration, scope }) =>
      membersOf(this.opened, scope.file, declaration).map((local) => localItem(scope.file, local)),
    );
  }

  #losses(): readonly CompletionItem[] {
    const train = this.#region?.item;
    if (train?.kind !== "train") return [];
    return lossesOf(this.opened, this.file, train.model).map(({ file, local }) => localItem(file, local));
  }

  #recipes(kind: Extract<Wanted, { readonly kind: "recipe" }>["recipe"]): readonly CompletionItem[] {
    const found = recipeSignatures
      .filter((signature) => signature.kind === kind)
      .map((signature) => item(signature.name, "primitive", ranks.wanted, { detail: recipeText(signature) }));
    return kind === "clip" ? [...found, item("none", "primitive", ranks.wanted)] : found;
  }

  // --- arguments by name --------------------------------------------------------------------------------

  #arguments(): readonly CompletionItem[] {
    const { call } = this.place;
    if (call === undefined) return [];
    const parameters = this.#parameters(call.callee);
    const later = namedAfter(this.file.source.text, this.offset);
    return parameters.flatMap((found, position) => {
      const name = found.kind === "parameter" ? found.parameter.name.text : (found.parameter ?? "");
      // Arguments by position come first: those before this one are given, by position or by name.
      if (call.given.has(name) || later.has(name) || (call.given.size === 0 && position < call.position))
        return [];
      return [item(name, "argument", ranks.argument, { insert: `${name}: `, ...parameterTexts(found) })];
    });
  }

  #parameters(path: readonly string[]): readonly FoundParameter[] {
    const [first] = path;
    if (first === undefined) return [];
    const span = { file: this.file.source.name, start: this.place.anchor, end: this.place.anchor };
    const name: Name = { text: first, span };
    if (path.length === 1) {
      const recipe = this.#recipeOf(first);
      if (recipe !== undefined) return parametersOf(this.opened, this.file, recipe);
    }
    const of = expressionOf(path);
    const sublayer: Callee | undefined = of && { kind: "sublayer", of, region: this.#region };
    const applied = sublayer === undefined ? [] : parametersOf(this.opened, this.file, sublayer);
    if (applied.length > 0 || path.length > 1) return applied;
    return parametersOf(this.opened, this.file, { kind: "declared", name, wanted: "function" });
  }

  #recipeOf(name: string): Callee | undefined {
    const { block, statement } = this.place;
    const isHere = block === "train" ? statement !== "data" : statement === "param";
    const signature = recipeSignatures.find(
      (s) => s.name === name && (s.kind === "initializer") === (statement === "param"),
    );
    if (!isHere || signature === undefined) return undefined;
    return { kind: "recipe", recipe: signature.kind, name };
  }
}

/** Names of arguments between an offset and the end of the call around it. */
function namedAfter(text: string, offset: number): ReadonlySet<string> {
  const { tokens } = lex(text, offset);
  const named = new Set<string>();
  let depth = 0;
  for (const [i, token] of tokens.entries()) {
    if (token.kind === "bracket") depth += "([{".includes(token.text) ? 1 : -1;
    // A brace stands in no call: the one around the offset was not closed.
    if (depth < 0 || token.text === "{") break;
    if (depth === 0 && token.kind === "word" && tokens[i + 1]?.text === ":") named.add(token.text);
  }
  return named;
}

function item(
  label: string,
  kind: CompletionKind,
  rank: number,
  more: Partial<Pick<CompletionItem, "insert" | "detail" | "documentation">> = {},
): CompletionItem {
  return { label, kind, insert: label, detail: "", documentation: "", rank, ...more };
}

function word(text: string): CompletionItem {
  return item(text, "keyword", ranks.word);
}

function localItem(file: LoadedFile, local: Local): CompletionItem {
  const isLine = local.kind !== "parameter" && local.kind !== "dimension";
  return item(local.name.text, local.kind, ranks.local, {
    detail: localText(file, local),
    documentation: isLine ? commentOf(file, local.span) : "",
  });
}

function parameterTexts(found: FoundParameter): Pick<CompletionItem, "detail"> {
  if (found.kind === "parameter") return { detail: textOf(found.file, found.parameter.span) };
  const parameter = found.signature.parameters.find(({ name }) => name === found.parameter);
  return { detail: parameter === undefined ? "" : recipeParameterText(parameter) };
}

/** `a.b` as an expression without a place of its own. */
function expressionOf(path: readonly string[]): Expression | undefined {
  const span = { file: "", start: 0, end: 0 };
  return path.reduce<Expression | undefined>(
    (target, text) =>
      target === undefined
        ? { kind: "name", text, span }
        : { kind: "member", target, member: { text, span }, span },
    undefined,
  );
}
