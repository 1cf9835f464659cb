import {
  createConnection,
  type Location,
  type Position,
  ProposedFeatures,
  TextDocumentSyncKind,
  TextDocuments,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import {
  complete,
  definition,
  formatText,
  hover,
  type Place,
  references,
  type SpecContext,
  symbols,
} from "../../compiler/service/index.ts";
import { packageVersion } from "../version.ts";
import { Checker } from "./diagnostics.ts";
import { SpecFiles } from "./files.ts";
import { legend, semanticTokens } from "./semantic-tokens.ts";
import { rangeIn, toCompletionItem, toDocumentSymbol, toHover } from "./translate.ts";

/**
 * Serves the Language Server Protocol over two streams until the client says `exit` or the input ends; then the process ends, as
 * the protocol wants it. A mistake of ours is logged at the client and answered with nothing.
 */
export function serveLanguage(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): void {
  const connection = createConnection(ProposedFeatures.all, input, output);
  const documents = new TextDocuments(TextDocument);
  const files = new SpecFiles(documents);

  const guard = <T>(what: string, otherwise: T, work: () => T): T => {
    try {
      return work();
    } catch (thrown) {
      const told = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      connection.console.error(`kiln: ${what}: ${told}`);
      return otherwise;
    }
  };
  const checker = new Checker(
    documents,
    files,
    (uri, diagnostics) => void connection.sendDiagnostics({ uri, diagnostics }),
    (what, work) => guard(what, undefined, work),
  );

  connection.onInitialize(() => ({
    serverInfo: { name: "kiln", version: packageVersion() },
    capabilities: {
      textDocumentSync: TextDocumentSyncKind.Full,
      completionProvider: { triggerCharacters: [".", "(", ",", "[", '"', "/"] },
      hoverProvider: true,
      definitionProvider: true,
      referencesProvider: true,
      documentSymbolProvider: true,
      documentFormattingProvider: true,
      semanticTokensProvider: { legend, full: true },
    },
  }));
  connection.onShutdown(() => checker.dispose());

  documents.onDidChangeContent(({ document }) => checker.changed(document.uri));
  documents.onDidClose(({ document }) => checker.changed(document.uri));
  connection.onDidChangeWatchedFiles(() => checker.changedAll());

  interface Asked {
    readonly document: TextDocument;
    readonly spec: SpecContext;
    readonly place: Place;
  }
  const asked = (uri: string, position: Position): Asked | undefined => {
    const document = documents.get(uri);
    if (document === undefined) return undefined;
    const spec = files.contextOf(uri);
    return { document, spec, place: { file: spec.root, offset: document.offsetAt(position) } };
  };

  connection.onCompletion(({ textDocument, position }) =>
    guard("completion", [], () => {
      const at = asked(textDocument.uri, position);
      if (at === undefined) return [];
      const { range, items } = complete(at.spec, at.place);
      return items.map((item) => toCompletionItem(item, at.document, range));
    }),
  );

  connection.onHover(({ textDocument, position }) =>
    guard("hover", null, () => {
      const at = asked(textDocument.uri, position);
      if (at === undefined) return null;
      const found = hover(at.spec, at.place);
      // Layers of a file that trains nothing have their sizes from a spec that imports it.
      const reader = (found?.values.length ?? 0) > 0 ? undefined : checker.readerOf(textDocument.uri);
      const seen = reader === undefined ? undefined : hoverFrom(reader, textDocument.uri, at.place.offset);
      const best = seen ?? found;
      return best === undefined ? null : toHover(best, at.document);
    }),
  );
  const hoverFrom = (reader: string, uri: string, offset: number) =>
    hover(files.contextOf(reader), { file: files.nameIn(reader, uri), offset });

  connection.onDefinition(({ textDocument, position }) =>
    guard("definition", [], () => {
      const at = asked(textDocument.uri, position);
      if (at === undefined) return [];
      return definition(at.spec, at.place).map(({ file, shipped, start, end }): Location => {
        const uri = file === at.spec.root ? textDocument.uri : files.uriOf({ file, shipped });
        const target =
          documents.get(uri) ?? TextDocument.create(uri, "bert", 0, files.textOf(at.spec, file, shipped));
        return { uri, range: rangeIn(target, { start, end }) };
      });
    }),
  );

  connection.onReferences(({ textDocument, position }) =>
    guard("references", [], () => {
      const at = asked(textDocument.uri, position);
      if (at === undefined) return [];
      const found = references(at.spec, at.place);
      return found.map((range) => ({ uri: textDocument.uri, range: rangeIn(at.document, range) }));
    }),
  );

  connection.onDocumentSymbol(({ textDocument }) =>
    guard("symbols", [], () => {
      const document = documents.get(textDocument.uri);
      if (document === undefined) return [];
      return symbols(document.getText()).map((symbol) => toDocumentSymbol(symbol, document));
    }),
  );

  connection.languages.semanticTokens.on(({ textDocument }) =>
    guard("semantic tokens", { data: [] }, () => {
      const document = documents.get(textDocument.uri);
      return document === undefined ? { data: [] } : semanticTokens(document);
    }),
  );

  connection.onDocumentFormatting(({ textDocument }) =>
    guard("formatting", [], () => {
      const document = documents.get(textDocument.uri);
      if (document === undefined) return [];
      const text = document.getText();
      const result = formatText(text);
      if (result.kind === "errors" || result.text === text) return [];
      return [{ range: rangeIn(document, { start: 0, end: text.length }), newText: result.text }];
    }),
  );

  documents.listen(connection);
  connection.listen();
}
