import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { check, compile, renderDiagnostics } from "../../compiler/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { diskLoader } from "../../tools/spec.ts";

/*
 * README and CONTRIBUTING show what the compiler prints. `UPDATE_DOCUMENTS=1` writes these blocks anew; without it a
 * block that is no longer true fails.
 */

/** The fenced block after a heading text: where its content starts and ends. */
function blockAfter(text: string, marker: string): { readonly start: number; readonly end: number } {
  const at = text.indexOf(marker);
  const start = text.indexOf("\n", text.indexOf("```", at)) + 1;
  const end = text.indexOf("```", start);
  if (at < 0 || start <= 0 || end < 0) throw new Error(`no block after: ${marker}`);
  return { start, end };
}

function contentAfter(file: string, marker: string): string {
  const text = readFileSync(file, "utf8");
  const { start, end } = blockAfter(text, marker);
  return text.slice(start, end);
}

function expectBlock(file: string, marker: string, content: string): void {
  const wanted = `${content.trimEnd()}\n`;
  if (process.env.UPDATE_DOCUMENTS) {
    const text = readFileSync(file, "utf8");
    const { start, end } = blockAfter(text, marker);
    writeFileSync(file, text.slice(0, start) + wanted + text.slice(end));
  }
  expect(contentAfter(file, marker)).toBe(wanted);
}

function loaderOf(text: string): {
  readonly load: (path: string) => string | undefined;
  readonly library: typeof diskLoader.library;
} {
  return { load: (path) => (path === "example.bert" ? text : undefined), library: diskLoader.library };
}

describe("CONTRIBUTING.md", () => {
  const file = "CONTRIBUTING.md";
  const spec = contentAfter(file, "<!-- example -->");
  const { program, stages, diagnostics, sources } = compile("example.bert", {
    ...loaderOf(spec),
    profile: softwareProfile,
    entries: ["train"],
  });

  it("shows a spec without mistakes", () => {
    expect(renderDiagnostics(diagnostics, sources)).toBe("");
  });

  it("shows the graph of the line", () => {
    const nodes =
      stages
        ?.graph()
        .split("\n")
        .filter((line) => /example\.bert:3:\d+$/.test(line)) ?? [];
    expect(nodes.length).toBeGreaterThan(5);
    expectBlock(file, "<!-- graph -->", nodes.join("\n"));
  });

  it("shows the schedule", () => {
    expectBlock(file, "<!-- schedule -->", stages?.schedule() ?? "");
  });

  it("shows its kernel", () => {
    const kernel = program?.kernels[0]?.wgsl ?? "";
    expect(kernel).toContain("example.bert:3:");
    expectBlock(file, "<!-- wgsl -->", kernel);
  });
});

describe("README.md", () => {
  const file = "README.md";
  const example = contentAfter("CONTRIBUTING.md", "<!-- example -->");

  it("shows a layer that compiles and what is said of a mistake in it", () => {
    const layer = contentAfter(file, "## A layer of your own");
    const rest = example.slice(example.indexOf("data Pairs"));
    expect(check("example.bert", loaderOf(`${layer}\n${rest}`)).diagnostics).toEqual([]);
    const wrong = layer.replace("gain: f32[size]", "gain: f32[size + 1]");
    const { diagnostics, sources } = check("example.bert", loaderOf(`${wrong}\n${rest}`));
    expect(diagnostics).not.toEqual([]);
    expectBlock(file, "`check` says:", renderDiagnostics(diagnostics, sources));
  });

  it("shows a spec that compiles", () => {
    const text = readFileSync(file, "utf8");
    const start = text.indexOf("    // models/bert-tiny.bert, shortened");
    const spec = text
      .slice(start, text.indexOf("\n\n`models/`", start))
      .split("\n")
      .map((line) => line.slice(4))
      .join("\n");
    const { diagnostics, sources, summary } = check("example.bert", loaderOf(spec));
    expect(renderDiagnostics(diagnostics, sources)).toBe("");
    expect(summary?.losses).toEqual(["mlm", "nsp"]);
  });
});

describe("README.md, as a library", () => {
  it("shows code that runs", { timeout: 60_000 }, async () => {
    mkdirSync("out", { recursive: true });
    const folder = mkdtempSync(join("out", "readme-"));
    try {
      // From a folder of its own, writing there.
      const code = contentAfter("README.md", "## As a library")
        .replaceAll('"./', '"../../')
        .replace("out/library/", `${folder}/`);
      writeFileSync(join(folder, "example.ts"), code);
      const { stdout } = await promisify(execFile)(process.execPath, [
        "--import",
        "tsx",
        join(folder, "example.ts"),
      ]);
      expect(stdout.match(/^[123] \{ mlm: [\d.]+, nsp: [\d.]+ \}$/gm)).toHaveLength(3);
      expect(readFileSync(join(folder, "checkpoint.safetensors")).length).toBeGreaterThan(143_746 * 4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
