import {
  type Declaration,
  type FoundDeclaration,
  type LoadedFile,
  primitiveUsages,
  type RecipeSignature,
  recipeSignatures,
} from "../semantics/index.ts";
import type { Expression, LayerDeclaration, Name, Parameter } from "../syntax/index.ts";
import { type Callee, type GlobalKind, type Local, lookup, type Occurrence, type Region } from "./names.ts";
import type { OpenedSpec } from "./open-spec.ts";
import { forwardsOf } from "./signatures.ts";

/** What a name stands for, wherever that is declared. */
export type Resolved =
  | { readonly kind: "declaration"; readonly file: LoadedFile; readonly declaration: Declaration }
  | { readonly kind: "local"; readonly file: LoadedFile; readonly local: Local }
  /** Of what is called; seen from outside, where `Local` is from within. */
  | { readonly kind: "parameter"; readonly file: LoadedFile; readonly parameter: Parameter }
  | { readonly kind: "file"; readonly file: LoadedFile }
  | { readonly kind: "primitive"; readonly name: string; readonly usage: string }
  | { readonly kind: "recipe"; readonly signature: RecipeSignature; readonly parameter?: string };

/** Nothing where a name means nothing; several where branches declare it twice. */
export function resolve(opened: OpenedSpec, file: LoadedFile, occurrence: Occurrence): readonly Resolved[] {
  const { target, text } = occurrence;
  switch (target.kind) {
    case "local":
      return target.locals.map((local) => ({ kind: "local", file, local }));
    case "declaration":
      return [{ kind: "declaration", file, declaration: target.item }];
    case "global":
      return resolveGlobal(opened, file, { text, span: occurrence.span }, target.wanted);
    case "member":
      return layersOf(opened, file, target.of, target.region).flatMap(({ declaration, scope }) =>
        membersOf(opened, scope.file, declaration)
          .filter((local) => local.name.text === text)
          .map((local): Resolved => ({ kind: "local", file: scope.file, local })),
      );
    case "argument":
      return parametersOf(opened, file, target.callee).filter((found) =>
        found.kind === "parameter" ? found.parameter.name.text === text : found.parameter === text,
      );
    case "recipe":
      return recipeSignatures
        .filter(({ kind, name }) => kind === target.recipe && name === text)
        .map((signature) => ({ kind: "recipe", signature }));
    case "objective":
      return lossesOf(opened, file, target.model).filter(({ local }) => local.name.text === text);
    case "import": {
      const imported = file.importOf.get(target.item);
      return imported === undefined ? [] : [{ kind: "file", file: imported }];
    }
    case "type":
    case "trainKey":
      return [];
    default:
      return target satisfies never;
  }
}

function resolveGlobal(
  opened: OpenedSpec,
  file: LoadedFile,
  name: Name,
  wanted: GlobalKind,
): readonly Resolved[] {
  const found = opened.scope(file).find(name.text, name.span);
  const usage = Object.hasOwn(primitiveUsages, name.text) ? primitiveUsages[name.text] : undefined;
  // As in a call: a declared function goes before a primitive, which goes before a setting.
  if (
    wanted === "function" &&
    usage !== undefined &&
    (found === undefined || found.declaration.kind === "setting")
  )
    return [{ kind: "primitive", name: name.text, usage }];
  return found === undefined
    ? []
    : [{ kind: "declaration", file: found.scope.file, declaration: found.declaration }];
}

export type FoundLayer = FoundDeclaration & { readonly declaration: LayerDeclaration };

function asLayer(found: FoundDeclaration | undefined): readonly FoundLayer[] {
  if (found === undefined) return [];
  const { declaration, scope } = found;
  return declaration.kind === "layer" || declaration.kind === "model" ? [{ declaration, scope }] : [];
}

/** The layers that a sublayer may be made of: several where branches make it of different ones. */
export function layersOf(
  opened: OpenedSpec,
  file: LoadedFile,
  expression: Expression,
  region: Region | undefined,
): readonly FoundLayer[] {
  switch (expression.kind) {
    case "name":
      return madeOf(opened, file, lookup(region, expression.text) ?? []);
    case "index":
      return layersOf(opened, file, expression.target, region);
    case "member":
      return layersOf(opened, file, expression.target, region).flatMap(({ declaration, scope }) =>
        madeOf(
          opened,
          scope.file,
          membersOf(opened, scope.file, declaration).filter((l) => l.name.text === expression.member.text),
        ),
      );
    default:
      return [];
  }
}

export function madeOf(
  opened: OpenedSpec,
  file: LoadedFile,
  locals: readonly Local[],
): readonly FoundLayer[] {
  return locals.flatMap(({ layer }) =>
    layer === undefined ? [] : asLayer(opened.scope(file).find(layer.text, layer.span)),
  );
}

/** What `layer.name` may read: settings, consts, parameters and sublayers. */
export function membersOf(
  opened: OpenedSpec,
  file: LoadedFile,
  declaration: LayerDeclaration,
): readonly Local[] {
  const region = opened.occurrences(file).regionOf.get(declaration);
  return region === undefined ? [] : [...region.locals.values()].flat();
}

export type FoundParameter = Extract<Resolved, { readonly kind: "parameter" | "recipe" }>;

/** What a call takes; of a sublayer, what its forward takes. */
export function parametersOf(
  opened: OpenedSpec,
  file: LoadedFile,
  callee: Callee,
): readonly FoundParameter[] {
  switch (callee.kind) {
    case "declared": {
      const found = opened.scope(file).find(callee.name.text, callee.name.span);
      if (found === undefined || !("parameters" in found.declaration)) return [];
      const { declaration, scope } = found;
      return declaration.parameters.map((parameter) => ({ kind: "parameter", file: scope.file, parameter }));
    }
    case "sublayer":
      return layersOf(opened, file, callee.of, callee.region).flatMap(({ declaration, scope }) =>
        forwardsOf(declaration.items).flatMap((forward) =>
          forward.parameters.map(
            (parameter): FoundParameter => ({ kind: "parameter", file: scope.file, parameter }),
          ),
        ),
      );
    case "recipe":
      return recipeSignatures
        .filter(({ kind, name }) => kind === callee.recipe && name === callee.name)
        .flatMap((signature) =>
          signature.parameters.map(
            ({ name }): FoundParameter => ({ kind: "recipe", signature, parameter: name }),
          ),
        );
    default:
      return callee satisfies never;
  }
}

/** The losses of the model that `train` names: what `minimize` is made of. */
export function lossesOf(
  opened: OpenedSpec,
  file: LoadedFile,
  model: Name,
): readonly Extract<Resolved, { readonly kind: "local" }>[] {
  const made = opened.scope(file).find(model.text, model.span);
  if (made?.declaration.kind !== "modelInstance") return [];
  const { model: name } = made.declaration;
  return asLayer(made.scope.find(name.text, name.span)).flatMap(({ declaration, scope }) =>
    opened
      .occurrences(scope.file)
      .regions.filter(({ outer }) => outer?.item === declaration)
      .flatMap(({ results }) => results)
      .filter((local) => local.result === "loss")
      .map((local) => ({ kind: "local", file: scope.file, local })),
  );
}
