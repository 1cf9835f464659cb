import { readFileSync } from "node:fs";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { type AnalysisResult, type AnalyzeOptions, analyze } from "../../compiler/semantics/index.ts";
import { libraryText } from "../../models/index.ts";

/** Analyses texts by path, `spec.bert` the root; with the shipped library. */
export function analyzeTexts(
  files: Readonly<Record<string, string>>,
  options: Pick<AnalyzeOptions, "settings" | "data"> = {},
  root = "spec.bert",
): AnalysisResult {
  const loadFile = (path: string): string | undefined =>
    Object.hasOwn(files, path) ? files[path] : undefined;
  return analyze(root, { loadFile, library: libraryText, ...options });
}

/** The rendered errors of one text. */
export function errorsOf(text: string, options: Pick<AnalyzeOptions, "settings" | "data"> = {}): string {
  const result = analyzeTexts({ "spec.bert": text }, options);
  return renderDiagnostics(result.diagnostics, result.sources);
}

/** A spec around the statements of a model's forward: inputs x: f32[B=4, N=6], ids: i32[B, 3], flag: i32[B]. */
export function inForward(statements: string, declarations = ""): string {
  return `${declarations}
data Numbers(rows: dim, columns: dim) { x: f32[rows, columns]; ids: i32[rows, 3]; flag: i32[rows] }
model M(width: dim, name: string = "m") {
  param w: f32[width, 5] = zeros()
  forward(x: f32[B, N], ids: i32[B, 3], flag: i32[B]) {
    ${statements}
    loss l = mean(x)
  }
}
model Mine = M(width: 6)
train Mine { data Numbers(rows: 4, columns: 6); minimize l; optimizer sgd(0.1); steps 1 }
`;
}

/** Errors of statements in a forward, line numbers counted from the first of them. */
export function forwardErrors(statements: string, declarations = ""): string {
  return errorsOf(inForward(statements, declarations));
}

/** The text of a shipped spec. */
export function shipped(path: string): string {
  return readFileSync(new URL(`../../models/${path}`, import.meta.url), "utf8");
}

export function parameterCount(result: AnalysisResult): number | undefined {
  return result.model?.parameters.reduce((n, p) => n + p.shape.reduce((m, size) => m * size, 1), 0);
}
