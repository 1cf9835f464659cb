import type { Span } from "../diagnostics/index.ts";
import type { LoadedFile } from "../semantics/index.ts";
import { type FileItem, type LayerItem, type Name, parse } from "../syntax/index.ts";
import { parametersText, textOf } from "./signatures.ts";
import type { HighlightKind, OutlineSymbol } from "./types.ts";

/** The declarations of a text, with what they declare inside: parameters, sublayers, fields, and how they are called. */
export function symbols(text: string): readonly OutlineSymbol[] {
  const source = { name: "", text };
  const { ast } = parse(source);
  const file: LoadedFile = { source, ast, shipped: false, imports: [], importOf: new Map() };
  return ast.items.flatMap((item) => symbolOf(file, item));
}

function symbolOf(file: LoadedFile, item: FileItem): readonly OutlineSymbol[] {
  switch (item.kind) {
    case "import":
      return [];
    case "train": {
      const entries = item.entries.map(({ key, keySpan, value, span }) =>
        symbol({ text: key, span: keySpan }, "keyword", span, textOf(file, value.span)),
      );
      return [symbol(item.model, "keyword", item.span, "train", entries)];
    }
    case "setting":
      return [symbol(item.name, "setting", item.span, textOf(file, item.type.span))];
    case "modelInstance":
      return [symbol(item.name, "model", item.span, item.model.text)];
    case "layer":
    case "model": {
      const detail = parametersText(file, item.parameters);
      return [symbol(item.name, item.kind, item.span, detail, itemSymbols(file, item.items))];
    }
    case "fn":
    case "loss":
      return [symbol(item.name, "function", item.span, parametersText(file, item.parameters))];
    case "data": {
      const fields = item.fields.map(({ name, type, span }) =>
        symbol(name, "field", span, textOf(file, type.span)),
      );
      return [symbol(item.name, "data", item.span, parametersText(file, item.parameters), fields)];
    }
    default:
      return item satisfies never;
  }
}

function itemSymbols(file: LoadedFile, items: readonly LayerItem[]): readonly OutlineSymbol[] {
  return items.flatMap((item): readonly OutlineSymbol[] => {
    switch (item.kind) {
      case "param":
        return [symbol(item.name, "weight", item.span, textOf(file, item.type.span))];
      case "use":
        return item.bindings.map(({ name, span, layer }) => symbol(name, "sublayer", span, layer.text));
      case "const":
        return [symbol(item.name, "variable", item.span, textOf(file, item.value.span))];
      case "forward": {
        const name = { text: "forward", span: item.keywordSpan };
        return [symbol(name, "function", item.span, parametersText(file, item.parameters))];
      }
      case "if":
        return [...itemSymbols(file, item.then), ...itemSymbols(file, item.otherwise)];
      case "require":
        return [];
      default:
        return item satisfies never;
    }
  });
}

function symbol(
  name: Name,
  kind: HighlightKind,
  span: Span,
  detail: string,
  children: readonly OutlineSymbol[] = [],
): OutlineSymbol {
  const nameRange = { start: name.span.start, end: name.span.end };
  return { name: name.text, kind, detail, start: span.start, end: span.end, nameRange, children };
}
