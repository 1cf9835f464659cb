import { describe, expect, it } from "vitest";
import { check } from "../../compiler/index.ts";
import { diagnose } from "../../compiler/service/index.ts";
import { libraryText } from "../../models/index.ts";
import { shipped } from "../syntax/specs.ts";
import { contextOf, nested, root } from "./editor.ts";

const broken: readonly (readonly [string, string])[] = [
  ["a dimension that does not fit", nested.replace("f32[size] =", "f32[size + 1] =")],
  ["an unknown name", nested.replace("tanh(spread)", "tanh(spraed)")],
  ["a bracket left open", nested.replace("repeat 3 of Twice(n)", "repeat 3 of Twice(n")],
  ["an unknown train key", nested.replace("clip ", "clib ")],
  ["no end", nested.slice(0, nested.indexOf("return narrow"))],
];

describe("diagnose", () => {
  it.each(broken)("says what check says: %s", (_, text) => {
    const found = diagnose(contextOf(text));
    const wanted = check(root, { load: (path) => (path === root ? text : undefined), library: libraryText });
    expect(found.diagnostics.length).toBeGreaterThan(0);
    expect(found.diagnostics).toEqual(wanted.diagnostics);
  });

  it("finds nothing in what is shipped", () => {
    for (const { name, text } of shipped) {
      const library = name.startsWith("lib/");
      const spec = {
        ...contextOf(text),
        root: name,
        load: (path: string) => (path === name ? text : libraryText(path)),
      };
      expect(diagnose(spec).diagnostics, library ? `${name}, which no spec trains` : name).toEqual([]);
    }
  });

  it("tells that nothing trains where a model is made, or nothing at all", () => {
    const codes = (text: string) => diagnose(contextOf(text)).diagnostics.map(({ code }) => code);
    expect(codes(nested.slice(0, nested.indexOf("train Small")))).toEqual(["no-train"]);
    expect(codes("")).toEqual(["no-train"]);
    expect(codes('import "lib/bert.bert"\n')).toEqual(["no-train"]);
    expect(codes(nested.slice(0, nested.indexOf("model Small")))).toEqual([]);
  });

  it("gives each file its own, and names those of the library", () => {
    const text =
      'import "parts.bert"\n' + nested.replace("setting width: int = 8", "setting width: int = 0.5");
    const spec = contextOf(text, { "parts.bert": "layer A() {\n  forward(x: f32[n]) -> f32[n] = y\n}\n" });
    const { byFile, shipped: fromLibrary, sources } = diagnose(spec);
    expect([...byFile.keys()].slice(0, 2)).toEqual([root, "parts.bert"]);
    expect(byFile.get(root)?.map(({ code }) => code)).toEqual(["wrong-setting"]);
    expect(byFile.get("parts.bert")?.map(({ code }) => code)).toEqual(["unknown-name"]);
    expect([...fromLibrary].sort()).toEqual(
      sources
        .map(({ name }) => name)
        .filter((name) => name.startsWith("lib/"))
        .sort(),
    );
  });
});
