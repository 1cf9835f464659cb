import { describe, expect, it } from "vitest";
import { check } from "../../compiler/index.ts";
import { type Hover, hover } from "../../compiler/service/index.ts";
import { libraryText } from "../../models/index.ts";
import { contextOf, cursorAfter, marked, nested, root } from "./editor.ts";

function hoverAt(text: string): Hover {
  const { spec, place } = marked(text);
  const found = hover(spec, place);
  if (found === undefined) throw new Error("nothing is known there");
  return found;
}

const wordAt = (text: string): string => {
  const { text: plain } = marked(text);
  const { start, end } = hoverAt(text).range;
  return plain.slice(start, end);
};

describe("hover", () => {
  it("shows the shapes of a let, by the names of its layer, for the layer's instances", () => {
    expect(hoverAt(cursorAfter(nested, "let spr"))).toMatchObject({
      signature: "let spread = wide(x)",
      values: [
        { path: "blocks.0", value: "f32[B=2, T=6, 16]", others: 2 },
        { path: "last", value: "f32[B=2, T=6, 32]", others: 0 },
      ],
      moreValues: 0,
    });
    expect(hoverAt(cursorAfter(nested, "forward(")).values.map(({ value }) => value)).toEqual([
      "f32[B=2, T=6, size=8]",
      "f32[B=2, T=6, size=16]",
    ]);
  });

  it("shows the shapes of expressions without a name", () => {
    const at = cursorAfter(nested, "tanh(spread) ");
    expect(wordAt(at)).toBe("tanh(spread) * gain");
    expect(hoverAt(at)).toMatchObject({ signature: "", values: [{ value: "f32[B=2, T=6, 16]" }, {}] });
  });

  it("shows what a call gives, with how it is called", () => {
    const primitive = hoverAt(nested.replace("tanh(", "tan‸h("));
    expect(primitive).toMatchObject({ signature: "tanh(x)", values: [{ value: "f32[B=2, T=6, 16]" }, {}] });
    const sublayer = hoverAt(nested.replace("blocks(table", "blo‸cks(table"));
    expect(sublayer.signature).toBe("use blocks = repeat 3 of Twice(n)");
    expect(sublayer.values).toEqual([{ path: "", value: "f32[B=2, T=6, n=8]", others: 0 }]);
    const scalar = hoverAt(nested.replace("loss total", "loss to‸tal"));
    expect(scalar.values).toEqual([{ path: "", value: "f32[]", others: 0 }]);
  });

  it("shows declarations with their comments", () => {
    expect(hoverAt(nested.replace("repeat 3 of Twice", "repeat 3 of Twi‸ce"))).toMatchObject({
      signature: "layer Twice(size: dim, gain: float = 2.0)\n  forward(x: f32[..., size]) -> f32[..., size]",
      documentation: "Widens, then narrows.\nTwice.",
      values: [],
    });
    expect(hoverAt(nested.replace("n: width", "n: wi‸dth"))).toMatchObject({
      signature: "setting width: int = 8",
      documentation: "of a word",
      values: [{ value: "8" }],
    });
    expect(hoverAt(nested.replace("gain: 1.0", "ga‸in: 1.0")).signature).toBe("gain: float = 2.0");
    expect(hoverAt(nested.replace("adamw(", "ada‸mw(")).signature).toMatch(
      /^adamw\(lr: learning rate, beta1: /,
    );
    expect(hoverAt(nested.replace("minimize  total", "minimize  to‸tal")).signature).toMatch(
      /^loss total = sum/,
    );
  });

  it("reads comments whatever the lines end with", () => {
    for (const end of ["\r\n", "\r"]) {
      const text = nested.replaceAll("\n", end).replace("repeat 3 of Twice", "repeat 3 of Twi‸ce");
      expect(hoverAt(text).documentation, JSON.stringify(end)).toBe("Widens, then narrows.\nTwice.");
    }
  });

  it("agrees with the model that check finds", () => {
    const { summary } = check(root, {
      load: (path) => (path === root ? nested : undefined),
      library: libraryText,
    });
    const shapes = summary?.params
      .filter(({ name }) => name.endsWith(".shift"))
      .map(({ shape }) => shape.join());
    expect(new Set(shapes)).toEqual(new Set(["8", "16"]));
    expect(hoverAt(cursorAfter(nested, "param sh")).values.map(({ value }) => value)).toEqual([
      "f32[size=8]",
      "f32[size=16]",
    ]);
  });

  it("sees into files that are imported", () => {
    const text = libraryText("lib/layers.bert") ?? "";
    const offset = text.indexOf("let centered") + 5;
    const spec = contextOf(
      nested
        .replace("return narrow", "let n = norm(x)\n    return narrow")
        .replace("  param shift", "  use norm = LayerNorm(size)\n  param shift"),
    );
    const found = hover(spec, { file: "lib/layers.bert", offset });
    expect(found?.signature).toBe("let centered = x - mean(x, axis: -1)");
    expect(found?.values.map(({ value, path }) => `${path} ${value}`)).toEqual([
      "blocks.0.norm f32[B=2, T=6, size=8]",
      "last.norm f32[B=2, T=6, size=16]",
    ]);
  });

  it("still knows names in a broken text", () => {
    const broken = `${nested.slice(0, nested.indexOf("return narrow"))}return narrow(spre‸ad + `;
    expect(hoverAt(broken).signature).toBe("let spread = wide(x)");
  });

  it("shows a few different values and counts the others", () => {
    const many = nested.replace(
      "use last",
      "use a = Twice(3), b = Twice(4), c = Twice(5), d = Twice(6)\n  use last",
    );
    const found = hoverAt(cursorAfter(many, "param sh"));
    expect(found.values.map(({ path }) => path)).toEqual(["blocks.0", "a", "b", "c"]);
    expect(found.moreValues).toBe(2);
  });

  it("says nothing of keywords, comments and space", () => {
    for (const at of ["tra‸in Small", "// Wid‸ens", "\n‸\nmodel Small"]) {
      const { spec, place } = marked(nested.replace(at.replace("‸", ""), at));
      expect(hover(spec, place), at).toBeUndefined();
    }
  });
});
