import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a module loads as soon as it is loaded: imports and re-exports of values, not of types. */
function loadsAtOnce(text: string): readonly string[] {
  const statements = text.matchAll(
    /^(?:import|export)\s(?!type\b)([^;]*?)\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  return [...statements].flatMap(([, names = "", from, bare]) => {
    const inner = names.match(/^\s*\{([^}]*)\}\s*$/)?.[1];
    const onlyTypes = inner?.split(",").every((name) => /^\s*(?:type\s|$)/.test(name)) ?? false;
    return onlyTypes ? [] : [from ?? bare ?? ""];
  });
}

/** Modules loaded at once from `entry`, and which of their imports are no file of this project. */
function reach(entry: string): { readonly files: ReadonlySet<string>; readonly foreign: readonly string[] } {
  const files = new Set<string>();
  const foreign: string[] = [];
  const visit = (file: string) => {
    if (files.has(file)) return;
    files.add(file);
    for (const target of loadsAtOnce(readFileSync(file, "utf8"))) {
      if (target.startsWith(".")) visit(join(dirname(file), target));
      else foreign.push(`${relative(root, file)}: ${target}`);
    }
  };
  visit(join(root, entry));
  return { files, foreign };
}

describe("what a browser loads", () => {
  it("finds imports of values only", () => {
    const text = `import a from "a";\nimport type { B } from "b";\nimport { type C } from "c";\nimport { type D, d } from "d";\nimport "e";\nexport * from "f";\nconst g = await import("g");`;
    expect(loadsAtOnce(text)).toEqual(["a", "d", "e", "f"]);
  });

  it.each(["runtime/device/index.ts", "runtime/execute/index.ts", "runtime/checkpoint/index.ts"])(
    "%s loads no module of Node and no package",
    (entry) => {
      const { files, foreign } = reach(entry);
      expect(files.size).toBeGreaterThan(3);
      expect(foreign).toEqual([]);
    },
  );

  it("sees through to a module of Node where there is one", () => {
    expect(reach("runtime/device/node.ts").foreign).toContain("runtime/device/node.ts: koffi");
  });

  it("runtime/tokenizer/index.ts loads packages that browsers run, and no module of Node", () => {
    expect(new Set(reach("runtime/tokenizer/index.ts").foreign.map((line) => line.split(": ")[1]))).toEqual(
      new Set(["@huggingface/tokenizers", "tinyqueue"]),
    );
  });

  it("runtime/train/index.ts loads no module of Node and no package", () => {
    expect(reach("runtime/train/index.ts").foreign).toEqual([]);
  });
});
