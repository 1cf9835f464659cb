import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import {
  CompletionRequest,
  DefinitionRequest,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  DocumentFormattingRequest,
  DocumentSymbolRequest,
  ExitNotification,
  type Hover,
  HoverRequest,
  InitializedNotification,
  InitializeRequest,
  type InitializeResult,
  type Position,
  PublishDiagnosticsNotification,
  type PublishDiagnosticsParams,
  ReferencesRequest,
  SemanticTokensRequest,
  ShutdownRequest,
} from "vscode-languageserver-protocol";
import { check, renderDiagnostics } from "../../compiler/index.ts";
import { diskLoader } from "../../tools/spec.ts";
import { nested } from "../service/editor.ts";

/* Talks to the server as an editor does: a process, its standard input and output. */

const repository = resolve(fileURLToPath(import.meta.url), "../../..");
const folder = mkdtempSync(join(tmpdir(), "kiln-lsp-"));
const path = join(folder, "spec.bert");
const uri = pathToFileURL(path).href;

let server: ChildProcess;
let client: MessageConnection;
let greeting: InitializeResult;
let version = 0;
const received: PublishDiagnosticsParams[] = [];
let wake: () => void = () => {};

/** The next diagnostics of a file for which `fits` holds, or those that came already; forgets what came before. */
async function diagnosticsOf(file: string, fits: (params: PublishDiagnosticsParams) => boolean = () => true) {
  for (;;) {
    const at = received.findIndex((params) => params.uri === file && fits(params));
    const found = received[at];
    if (found !== undefined) {
      received.splice(0, at + 1);
      return found.diagnostics;
    }
    await new Promise<void>((done) => {
      wake = done;
    });
  }
}

const open = (file: string, text: string) =>
  client.sendNotification(DidOpenTextDocumentNotification.type, {
    textDocument: { uri: file, languageId: "bert", version: ++version, text },
  });

const change = (file: string, text: string) =>
  client.sendNotification(DidChangeTextDocumentNotification.type, {
    textDocument: { uri: file, version: ++version },
    contentChanges: [{ text }],
  });

const close = (file: string) =>
  client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri: file } });

/** Line and character behind the first `before`. */
function positionAfter(text: string, before: string): Position {
  const lines = text.slice(0, text.indexOf(before) + before.length).split("\n");
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
}

function plainText(message: Diagnostic["message"]): string {
  return typeof message === "string" ? message : message.value;
}

function markdownOf(hover: Hover | null): string {
  const contents = hover?.contents;
  return typeof contents === "object" && "value" in contents ? contents.value : "";
}

beforeAll(async () => {
  server = spawn(process.execPath, ["--import", "tsx", "tools/run.ts", "lsp", "--stdio"], {
    cwd: repository,
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (server.stdout === null || server.stdin === null) throw new Error("the server has no streams");
  client = createMessageConnection(
    new StreamMessageReader(server.stdout),
    new StreamMessageWriter(server.stdin),
  );
  client.onNotification(PublishDiagnosticsNotification.type, (params) => {
    received.push(params);
    wake();
  });
  client.listen();
  greeting = await client.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    capabilities: {},
  });
  await client.sendNotification(InitializedNotification.type, {});
});

afterAll(() => {
  client.dispose();
  server.kill();
  rmSync(folder, { recursive: true });
});

describe("the language server", () => {
  it("says what it can do", () => {
    expect(greeting.serverInfo?.name).toBe("kiln");
    expect(Object.keys(greeting.capabilities).sort()).toEqual([
      "completionProvider",
      "definitionProvider",
      "documentFormattingProvider",
      "documentSymbolProvider",
      "hoverProvider",
      "referencesProvider",
      "semanticTokensProvider",
      "textDocumentSync",
    ]);
  });

  it("marks mistakes in the words of the command line, and takes them away when they are mended", async () => {
    const broken = nested.replace("f32[size] = zeros()", "f32[size + 1] = zeros()").replace("tanh(", "tahn(");
    writeFileSync(path, broken);
    const { diagnostics, sources } = check(path, diskLoader);
    const printed = renderDiagnostics(diagnostics, sources);
    await open(uri, broken);
    const found = await diagnosticsOf(uri);
    expect(found.length).toBe(diagnostics.length);
    found.forEach(({ message, range, severity, relatedInformation }, i) => {
      const [text, ...more] = plainText(message).split("\n");
      expect(severity).toBe(1);
      expect(printed).toContain(`error: ${text}\n`);
      expect(printed).toContain(`${path}:${range.start.line + 1}:${range.start.character + 1}`);
      for (const line of more) expect(printed).toContain(line);
      expect(relatedInformation?.length).toBe(diagnostics[i]?.related.length);
    });
    expect(found.map(({ message }) => plainText(message)).join("\n")).toContain("hint: did you mean `tanh`?");

    await change(uri, nested);
    expect(await diagnosticsOf(uri)).toEqual([]);
  });

  it("completes the arguments of a layer that is being written", async () => {
    const before = "use wide = Linear(";
    const text = nested.replace("use wide = Linear(size, 2 * size)", "use encoder = BertEncoder(");
    await change(uri, text);
    const found = await client.sendRequest(CompletionRequest.type, {
      textDocument: { uri },
      position: positionAfter(text, before.replace("wide = Linear", "encoder = BertEncoder")),
    });
    const items = Array.isArray(found) ? found : (found?.items ?? []);
    const named = items.filter(({ textEdit }) => textEdit?.newText.endsWith(": "));
    expect(named.slice(0, 3).map(({ label, detail }) => `${label} | ${detail}`)).toEqual([
      "vocab | vocab: dim",
      "hidden | hidden: dim",
      "layers | layers: int",
    ]);
    expect(named.every(({ sortText }) => sortText?.startsWith("0"))).toBe(true);
    expect(items.map(({ label }) => label)).toContain("size");
    await change(uri, nested);
  });

  it("shows shapes over a let", async () => {
    const position = positionAfter(nested, "let spr");
    const hover = await client.sendRequest(HoverRequest.type, { textDocument: { uri }, position });
    expect(markdownOf(hover)).toBe(
      [
        "```bert",
        "let spread = wide(x)",
        "f32[B=2, T=6, 16]  // blocks.0 and 2 more",
        "f32[B=2, T=6, 32]  // last",
        "```",
      ].join("\n"),
    );
    const start = { ...position, character: position.character - "spr".length };
    expect(hover?.range).toEqual({ start, end: { ...start, character: start.character + "spread".length } });
  });

  it("goes into the library, and shows there what the open spec makes of it", async () => {
    const text = nested
      .replace("use wide = Linear(", "use norm = LayerNorm(size)\n  use wide = Linear(")
      .replace("wide(x)", "wide(norm(x))");
    await change(uri, text);
    await diagnosticsOf(uri, ({ diagnostics }) => diagnostics.length === 0);
    const found = await client.sendRequest(DefinitionRequest.type, {
      textDocument: { uri },
      position: positionAfter(text, "norm = Layer"),
    });
    const target = [found ?? []].flat().find((place) => "uri" in place);
    const library = join(repository, "models/lib/layers.bert");
    expect(target?.uri).toBe(pathToFileURL(library).href);
    const layers = readFileSync(library, "utf8");
    expect(target?.range.start).toEqual({
      line: positionAfter(layers, "layer LayerNorm").line,
      character: "layer ".length,
    });

    const libraryUri = target?.uri ?? "";
    await open(libraryUri, layers);
    expect(await diagnosticsOf(libraryUri)).toEqual([]);
    const hover = await client.sendRequest(HoverRequest.type, {
      textDocument: { uri: libraryUri },
      position: positionAfter(layers, "let cent"),
    });
    expect(markdownOf(hover)).toContain("f32[B=2, T=6, size=16]  // last.norm");
    const sum = await client.sendRequest(HoverRequest.type, {
      textDocument: { uri: libraryUri },
      position: positionAfter(layers, "rsqrt(variance + eps) "),
    });
    expect(markdownOf(sum)).toContain("f32[B=2, T=6, size=8]  // blocks.0.norm and 2 more");
    await close(libraryUri);
    await change(uri, nested);
  });

  it("checks a spec again when a file that it imports changes", async () => {
    const partUri = pathToFileURL(join(folder, "part.bert")).href;
    const part = "fn half(x: f32[...]) -> f32[...] = x / 2.0\n";
    await open(partUri, part);
    await change(uri, `import "part.bert"\n${nested.replace("tanh(spread)", "half(spread)")}`);
    await diagnosticsOf(uri, ({ diagnostics }) => diagnostics.length === 0);
    await change(partUri, part.replace("half", "third"));
    const [found] = await diagnosticsOf(uri, ({ diagnostics }) => diagnostics.length > 0);
    expect(plainText(found?.message ?? "")).toContain("`half`");
    await close(partUri);
    await change(uri, nested);
    await diagnosticsOf(uri, ({ diagnostics }) => diagnostics.length === 0);
  });

  it("formats, and leaves a text with syntax errors as it is", async () => {
    const options = { tabSize: 2, insertSpaces: true };
    const rough = nested.replace("  steps     10", " steps 10");
    await change(uri, rough);
    const edits = await client.sendRequest(DocumentFormattingRequest.type, {
      textDocument: { uri },
      options,
    });
    expect(edits?.map(({ newText }) => newText)).toEqual([nested]);
    await change(uri, `${rough}layer (`);
    const none = await client.sendRequest(DocumentFormattingRequest.type, { textDocument: { uri }, options });
    expect(none).toEqual([]);
    await change(uri, nested);
  });

  it("gives an outline, references and colours", async () => {
    const textDocument = { uri };
    const symbols = await client.sendRequest(DocumentSymbolRequest.type, { textDocument });
    expect(symbols?.map(({ name }) => name)).toEqual(["width", "Twice", "Chain", "Small", "Small"]);
    const references = await client.sendRequest(ReferencesRequest.type, {
      textDocument,
      position: positionAfter(nested, "let spr"),
      context: { includeDeclaration: true },
    });
    expect(references?.map(({ range }) => range.start.line)).toEqual([
      positionAfter(nested, "let spread").line,
      positionAfter(nested, "tanh(spread").line,
    ]);
    const tokens = await client.sendRequest(SemanticTokensRequest.type, { textDocument });
    const [line, character, length, type] = tokens?.data ?? [];
    const legend = greeting.capabilities.semanticTokensProvider?.legend.tokenTypes;
    expect([line, character, length, legend?.[type ?? -1]]).toEqual([0, 0, "import".length, "keyword"]);
  });

  it("answers for documents that it does not know and places outside of the text", async () => {
    const unknown = { textDocument: { uri: "file:///nowhere.bert" }, position: { line: 0, character: 0 } };
    expect(await client.sendRequest(HoverRequest.type, unknown)).toBeNull();
    expect(await client.sendRequest(DefinitionRequest.type, unknown)).toEqual([]);
    const far = { textDocument: { uri }, position: { line: 10_000, character: 10_000 } };
    expect(await client.sendRequest(HoverRequest.type, far)).toBeNull();
    const unsaved = "untitled:Untitled-1";
    await open(unsaved, 'import "lib/bert.bert"\nlayer A() {\n');
    const found = await diagnosticsOf(unsaved);
    expect(found.length).toBe(1);
    await close(unsaved);
    expect(await diagnosticsOf(unsaved)).toEqual([]);
  });

  it("goes on after what is no message, and after a request without what it is about", async () => {
    server.stdin?.write("Content-Length: 5\r\n\r\n{{{{{");
    await expect(client.sendRequest("textDocument/hover", null)).rejects.toThrow();
    const found = await client.sendRequest(DocumentSymbolRequest.type, { textDocument: { uri } });
    expect(found?.length).toBe(5);
  });

  it("ends when it is told to", async () => {
    const ended = new Promise<number | null>((done) => server.once("exit", done));
    await client.sendRequest(ShutdownRequest.type);
    await client.sendNotification(ExitNotification.type);
    expect(await ended).toBe(0);
  });
});
