import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Program } from "../../compiler/program/index.ts";
import { libraryText } from "../../models/index.ts";
import { compileSpec, readText } from "./specs.ts";

const library = readdirSync("models/lib").filter((name) => name.endsWith(".bert"));

/** Every layer, fn, loss and model that the library declares. Data declarations name the runtime's readers. */
const declared = new Set(
  library.flatMap((name) =>
    [...libraryText(`lib/${name}`)!.matchAll(/^(?:layer|fn|loss|model)\s+(\w+)/gm)].map((match) => match[1]!),
  ),
);

/** The text with every declared name replaced; names after a dot are a sub-layer's, not a declaration's. */
function rename(text: string | undefined): string | undefined {
  return text?.replace(/(?<![.\w])[A-Za-z_]\w*(?=\s*\()/g, (word) =>
    declared.has(word) ? `Q${word}X` : word,
  );
}

/** WGSL without comments, each identifier replaced by the number of its first appearance. */
function anonymous(wgsl: string): string {
  const numbers = new Map<string, number>();
  return wgsl.replace(/\/\/.*$/gm, "").replace(/\b[A-Za-z_]\w*\b/g, (word) => {
    if (!numbers.has(word)) numbers.set(word, numbers.size);
    return `#${numbers.get(word)}`;
  });
}

function shapeOf(program: Program) {
  return {
    kernels: program.kernels.map((kernel) => anonymous(kernel.wgsl)),
    entries: Object.entries(program.entries).map(([name, entry]) => ({
      name,
      steps: entry.steps.map((step) => (step.kind === "dispatch" ? { ...step, label: "" } : step)),
    })),
    buffers: program.buffers,
  };
}

describe("the compiler knows no layer by name", () => {
  test("the library declares layers under the names that specs use", () => {
    expect(declared).toContain("LayerNorm");
    expect(declared).toContain("softmax");
  });

  test.each(["bert-small", "bert-base", "gpt-small"])(
    "%s with every layer renamed has the same schedule",
    (name) => {
      const path = `models/${name}.bert`;
      const settings = { layers: "2" };
      const renamed = compileSpec(path, {
        settings,
        load: (file) => rename(readText(file)),
        library: (file) => rename(libraryText(file)),
      });
      expect(renamed.program.sources.map((source) => source.text).join()).not.toContain("LayerNorm(");
      expect(shapeOf(renamed.program)).toEqual(shapeOf(compileSpec(path, { settings }).program));
    },
  );
});
