import {
  SemanticTokenModifiers,
  type SemanticTokens,
  SemanticTokensBuilder,
  type SemanticTokensLegend,
  SemanticTokenTypes,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { type HighlightKind, highlight } from "../../compiler/service/index.ts";

/** Editors colour the protocol's own types without being told; undefined is left to the editor. */
const types: Readonly<Record<HighlightKind, SemanticTokenTypes | undefined>> = {
  keyword: SemanticTokenTypes.keyword,
  type: SemanticTokenTypes.type,
  layer: SemanticTokenTypes.class,
  model: SemanticTokenTypes.class,
  function: SemanticTokenTypes.function,
  primitive: SemanticTokenTypes.function,
  data: SemanticTokenTypes.struct,
  setting: SemanticTokenTypes.variable,
  parameter: SemanticTokenTypes.parameter,
  dimension: SemanticTokenTypes.typeParameter,
  weight: SemanticTokenTypes.property,
  sublayer: SemanticTokenTypes.property,
  variable: SemanticTokenTypes.variable,
  field: SemanticTokenTypes.property,
  result: SemanticTokenTypes.event,
  argument: SemanticTokenTypes.parameter,
  number: SemanticTokenTypes.number,
  string: SemanticTokenTypes.string,
  comment: SemanticTokenTypes.comment,
  operator: SemanticTokenTypes.operator,
  punctuation: undefined,
  invalid: undefined,
};

const modifiers = [
  SemanticTokenModifiers.declaration,
  SemanticTokenModifiers.readonly,
  SemanticTokenModifiers.defaultLibrary,
];

const typeNames = [...new Set(Object.values(types))].filter((type) => type !== undefined);

export const legend: SemanticTokensLegend = { tokenTypes: typeNames, tokenModifiers: modifiers };

export function semanticTokens(document: TextDocument): SemanticTokens {
  const builder = new SemanticTokensBuilder();
  for (const { start, end, kind, declares } of highlight(document.getText())) {
    const type = types[kind];
    if (type === undefined) continue;
    const { line, character } = document.positionAt(start);
    const set = [declares, kind === "setting", kind === "primitive"];
    const bits = set.reduce((all, has, i) => all | (has ? 1 << i : 0), 0);
    builder.push(line, character, end - start, typeNames.indexOf(type), bits);
  }
  return builder.build();
}
