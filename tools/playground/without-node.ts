import { readFile } from "node:fs/promises";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Modules that meet files, threads or Dawn. What a page does never reaches them: it has texts, bytes and a GPU of its own. */
const nodeOnly: ReadonlySet<string> = new Set([
  "runtime/checkpoint/atomic-folder.ts",
  "runtime/checkpoint/atomic-write.ts",
  "runtime/data/fetch.ts",
  "runtime/data/files.ts",
  "runtime/data/labelled/labelled-files.ts",
  "runtime/data/open-batches.ts",
  "runtime/data/prepared/prepare.ts",
  "runtime/data/prepared/prepared-folder.ts",
  "runtime/data/prepared/prepared-maker.ts",
  "runtime/data/prepared/sources.ts",
  "runtime/device/node.ts",
  "runtime/tokenizer/files.ts",
]);

const nodeModule = "\0node-module";

/**
 * Leaves out of a bundle what only Node has. The exports of a module that is left out are there and say so when they are called; a
 * module of Node has none, so that one imported for good, not when a function is called, fails the build.
 */
export function withoutNode(): Plugin {
  return {
    name: "kiln-without-node",
    enforce: "pre",
    resolveId(source) {
      return source.startsWith("node:") ? nodeModule : null;
    },
    async load(id) {
      if (id === nodeModule) return "export {};";
      const file = relative(root, id).split(sep).join("/");
      if (!nodeOnly.has(file)) return null;
      const text = await readFile(id, "utf8");
      const names = [...text.matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm)];
      return names
        .map(
          ([, name]) =>
            `export function ${name}() { throw new Error(${JSON.stringify(`${file}: needs Node`)}); }`,
        )
        .join("\n");
    },
  };
}
