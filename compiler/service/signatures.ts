import type { Span } from "../diagnostics/index.ts";
import type { Declaration, LoadedFile, RecipeSignature } from "../semantics/index.ts";
import type { ForwardItem, LayerItem, Parameter, Type } from "../syntax/index.ts";
import type { Local } from "./names.ts";

/*
 * Declarations as one reads them in a hover: pieces of the text on one line each, and the comments that stand by them.
 */

/** Longest piece of a text shown on a line. */
const maxLine = 400;

/** The text of a span, on one line. */
export function textOf(file: LoadedFile, span: Span): string {
  const text = file.source.text
    .slice(span.start, span.end)
    .replaceAll(/\/\/[^\r\n]*/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  return text.length <= maxLine ? text : `${text.slice(0, maxLine - 3)}...`;
}

export function parametersText(file: LoadedFile, parameters: readonly Parameter[]): string {
  return `(${parameters.map((parameter) => textOf(file, parameter.span)).join(", ")})`;
}

function resultsText(file: LoadedFile, results: readonly Type[]): string {
  const types = results.map((type) => textOf(file, type.span));
  if (types.length === 0) return "";
  return types.length === 1 ? ` -> ${types[0]}` : ` -> (${types.join(", ")})`;
}

/** All forwards of a layer: one in a right spec, or one a branch. */
export function forwardsOf(items: readonly LayerItem[]): readonly ForwardItem[] {
  return items.flatMap((item) => {
    if (item.kind === "forward") return [item];
    return item.kind === "if" ? [...forwardsOf(item.then), ...forwardsOf(item.otherwise)] : [];
  });
}

/** The first line of a declaration; of a layer also how its forward is called, of data also its fields. */
export function signatureOf(file: LoadedFile, declaration: Declaration): string {
  switch (declaration.kind) {
    case "setting":
    case "modelInstance":
      return textOf(file, declaration.span);
    case "layer":
    case "model": {
      const { kind, name, parameters, items } = declaration;
      const forwards = forwardsOf(items).map((forward) => `  ${forwardText(file, forward)}`);
      return [`${kind} ${name.text}${parametersText(file, parameters)}`, ...forwards].join("\n");
    }
    case "fn":
    case "loss":
      return headOf(file, declaration);
    case "data":
      return [
        headOf(file, declaration),
        ...declaration.fields.map((field) => `  ${textOf(file, field.span)}`),
      ].join("\n");
    default:
      return declaration satisfies never;
  }
}

/** The signature on one line: without forward and fields. */
export function headOf(file: LoadedFile, declaration: Declaration): string {
  switch (declaration.kind) {
    case "setting":
    case "modelInstance":
      return textOf(file, declaration.span);
    case "layer":
    case "model":
    case "data":
      return `${declaration.kind} ${declaration.name.text}${parametersText(file, declaration.parameters)}`;
    case "fn":
    case "loss": {
      const { kind, name, parameters, results } = declaration;
      return `${kind} ${name.text}${parametersText(file, parameters)}${resultsText(file, results)}`;
    }
    default:
      return declaration satisfies never;
  }
}

function forwardText(file: LoadedFile, forward: ForwardItem): string {
  return `forward${parametersText(file, forward.parameters)}${resultsText(file, forward.results)}`;
}

export function localText(file: LoadedFile, local: Local): string {
  const text = textOf(file, local.span);
  return local.kind === "sublayer" ? `use ${text}` : local.kind === "dimension" ? `dimension ${text}` : text;
}

/** `adam(lr: learning rate, beta1: float = 0.9, ...)` */
export function recipeText({ name, parameters }: RecipeSignature): string {
  return `${name}(${parameters.map(recipeParameterText).join(", ")})`;
}

export function recipeParameterText(parameter: RecipeSignature["parameters"][number]): string {
  const { name, type, default: value } = parameter;
  return value === undefined ? `${name}: ${type}` : `${name}: ${type} = ${value}`;
}

/**
 * The comment by a declaration: the lines of `//` right above its line, else what follows on its last line. Without the slashes;
 * lines joined as they stand.
 */
export function commentOf(file: LoadedFile, span: Span): string {
  const { text } = file.source;
  const lines: string[] = [];
  let end = lineStart(text, span.start);
  while (end > 0) {
    const before = text.startsWith("\r\n", end - 2) ? end - 2 : end - 1;
    const start = lineStart(text, before);
    const match = /^\s*\/\/ ?(.*)$/.exec(text.slice(start, before));
    if (match === null) break;
    lines.unshift(match[1] ?? "");
    end = start;
  }
  if (lines.length > 0) return lines.join("\n");
  const rest = /^[ \t,]*\/\/ ?([^\r\n]*)/.exec(text.slice(span.end, span.end + 2 * maxLine));
  return rest?.[1] ?? "";
}

function lineStart(text: string, offset: number): number {
  return Math.max(text.lastIndexOf("\n", offset - 1), text.lastIndexOf("\r", offset - 1)) + 1;
}
