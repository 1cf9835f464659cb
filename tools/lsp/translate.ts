import {
  type CompletionItem,
  CompletionItemKind,
  type Diagnostic,
  DiagnosticSeverity,
  type DocumentSymbol,
  type Hover,
  MarkupKind,
  type Range,
  SymbolKind,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import type * as service from "../../compiler/service/index.ts";

/* From what the language service says, in offsets, to the protocol's words, in lines and characters. */

export function rangeIn(document: TextDocument, { start, end }: service.Range): Range {
  return { start: document.positionAt(start), end: document.positionAt(end) };
}

/**
 * The words of the command line: message, what it says under the line, hint.
 * @param locate a document of one of the spec's files
 */
export function toDiagnostic(
  diagnostic: service.Diagnostic,
  locate: (file: string) => TextDocument | undefined,
): Diagnostic | undefined {
  const { code, severity, message, primary, related, hint } = diagnostic;
  const document = locate(primary.span.file);
  if (document === undefined) return undefined;
  const lines = [message];
  if (primary.text !== "") lines.push(primary.text);
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  return {
    range: rangeIn(document, primary.span),
    severity: severity === "error" ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
    code,
    source: "kiln",
    message: lines.join("\n"),
    relatedInformation: related.flatMap(({ span, text }) => {
      const other = locate(span.file);
      return other === undefined
        ? []
        : [{ location: { uri: other.uri, range: rangeIn(other, span) }, message: text || "here" }];
    }),
  };
}

const completionKinds: Readonly<Record<service.CompletionKind, CompletionItemKind>> = {
  keyword: CompletionItemKind.Keyword,
  type: CompletionItemKind.TypeParameter,
  layer: CompletionItemKind.Class,
  model: CompletionItemKind.Class,
  function: CompletionItemKind.Function,
  primitive: CompletionItemKind.Function,
  data: CompletionItemKind.Struct,
  setting: CompletionItemKind.Constant,
  parameter: CompletionItemKind.Variable,
  dimension: CompletionItemKind.TypeParameter,
  weight: CompletionItemKind.Field,
  sublayer: CompletionItemKind.Module,
  variable: CompletionItemKind.Variable,
  field: CompletionItemKind.Field,
  result: CompletionItemKind.Value,
  argument: CompletionItemKind.Property,
  number: CompletionItemKind.Value,
  string: CompletionItemKind.Value,
  comment: CompletionItemKind.Text,
  operator: CompletionItemKind.Operator,
  punctuation: CompletionItemKind.Operator,
  invalid: CompletionItemKind.Text,
  file: CompletionItemKind.File,
};

export function toCompletionItem(
  item: service.CompletionItem,
  document: TextDocument,
  range: service.Range,
): CompletionItem {
  return {
    label: item.label,
    kind: completionKinds[item.kind],
    sortText: `${item.rank}${item.label}`,
    filterText: item.label,
    textEdit: { range: rangeIn(document, range), newText: item.insert },
    ...(item.detail !== "" && { detail: item.detail }),
    ...(item.documentation !== "" && { documentation: item.documentation }),
  };
}

export function toHover(hover: service.Hover, document: TextDocument): Hover {
  const code = hover.signature === "" ? [] : [hover.signature];
  for (const { path, value, others } of hover.values) {
    const more = others > 0 ? ` and ${others} more` : "";
    code.push(
      path === "" && others === 0 ? value : `${value}  // ${path === "" ? "the model" : path}${more}`,
    );
  }
  if (hover.moreValues > 0) code.push(`// and ${hover.moreValues} other values`);
  const parts = [`\`\`\`bert\n${code.join("\n")}\n\`\`\``];
  if (hover.documentation !== "") parts.push(escapeMarkdown(hover.documentation));
  return {
    contents: { kind: MarkupKind.Markdown, value: parts.join("\n\n") },
    range: rangeIn(document, hover.range),
  };
}

/** Comments are plain text: `a * b * c` is no emphasis. Backquotes stay, as comments use them for code. */
function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\*_{}[\]<>#|~]/g, "\\$&");
}

const symbolKinds: Readonly<Partial<Record<service.HighlightKind, SymbolKind>>> = {
  keyword: SymbolKind.Event,
  layer: SymbolKind.Class,
  model: SymbolKind.Class,
  function: SymbolKind.Function,
  data: SymbolKind.Struct,
  setting: SymbolKind.Constant,
  weight: SymbolKind.Field,
  sublayer: SymbolKind.Property,
  variable: SymbolKind.Variable,
  field: SymbolKind.Field,
};

export function toDocumentSymbol(symbol: service.OutlineSymbol, document: TextDocument): DocumentSymbol {
  return {
    name: symbol.name,
    kind: symbolKinds[symbol.kind] ?? SymbolKind.Variable,
    detail: symbol.detail,
    range: rangeIn(document, symbol),
    selectionRange: rangeIn(document, symbol.nameRange),
    children: symbol.children.map((child) => toDocumentSymbol(child, document)),
  };
}
