import { describe, expect, it } from "vitest";
import { highlight, symbols } from "../../compiler/service/index.ts";
import { shipped } from "../syntax/specs.ts";
import { nested } from "./editor.ts";

/** `text:kind` of all tokens but punctuation; `!` where the name is declared. */
const shown = (text: string): string =>
  highlight(text)
    .filter(({ kind }) => kind !== "punctuation")
    .map(({ start, end, kind, declares }) => `${text.slice(start, end)}:${kind}${declares ? "!" : ""}`)
    .join(" ");

describe("highlight", () => {
  it("knows names by what they are", () => {
    expect(
      shown(
        "layer A(n: dim) {\n  param w: f32[n] = ones()\n  forward(x: f32[B, n]) -> f32[B, n] = exp(x) * w\n}",
      ),
    ).toBe(
      "layer:keyword A:layer! n:parameter! dim:type param:keyword w:weight! f32:type n:parameter =:operator ones:primitive " +
        "forward:keyword x:parameter! f32:type B:dimension! n:parameter ->:operator f32:type B:dimension n:parameter " +
        "=:operator exp:primitive x:parameter *:operator w:weight",
    );
    expect(shown('import "lib/bert.bert"  // BERT\nsetting s: int = 2\nmodel M = Bert(n: s)')).toBe(
      'import:keyword "lib/bert.bert":string // BERT:comment setting:keyword s:setting! int:type =:operator 2:number ' +
        "model:keyword M:model! =:operator Bert:model n:argument s:setting",
    );
    expect(shown("train M {\n  minimize loss\n  optimizer sgd(lr: 0.1)\n}")).toBe(
      "train:keyword M:model minimize:keyword loss:result optimizer:keyword sgd:primitive lr:argument 0.1:number",
    );
  });

  it("takes a word for a keyword only where it is one", () => {
    expect(
      shown(
        "layer A() {\n  use data = repeat 2 of B(), of = B()\n  forward(layer: f32[n]) -> f32[n] = data(layer) + of(layer)\n}",
      ),
    ).toBe(
      "layer:keyword A:layer! use:keyword data:sublayer! =:operator repeat:keyword 2:number of:keyword B:layer of:sublayer! " +
        "=:operator B:layer forward:keyword layer:parameter! f32:type n:dimension! ->:operator f32:type n:dimension " +
        "=:operator data:sublayer layer:parameter +:operator of:sublayer layer:parameter",
    );
  });

  it("looks into the holes of messages", () => {
    expect(shown('layer A(n: dim) {\n  require n > 1, "n is {n + 1}, too few"\n}')).toBe(
      "layer:keyword A:layer! n:parameter! dim:type require:keyword n:parameter >:operator 1:number " +
        '"n is :string n:parameter +:operator 1:number , too few":string',
    );
  });

  it("marks what is no part of the language, and colours a broken statement", () => {
    expect(shown("layer A() {\n  use = ; # x\n  /* no\n */\n}")).toBe(
      "layer:keyword A:layer! use:keyword =:operator #:invalid x:variable /* no\n */:invalid",
    );
  });

  it("gives tokens in order, none over another, which leave only space between", () => {
    for (const { name, text } of shipped) {
      let end = 0;
      for (const token of highlight(text)) {
        expect(token.start, name).toBeGreaterThanOrEqual(end);
        expect(text.slice(end, token.start).trim(), name).toBe("");
        end = token.end;
      }
      expect(text.slice(end).trim(), name).toBe("");
      expect(
        highlight(text).filter(({ kind }) => kind === "invalid"),
        name,
      ).toEqual([]);
    }
  });
});

describe("symbols", () => {
  it("lists declarations with what is inside", () => {
    const found = symbols(nested);
    expect(found.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "setting width",
      "layer Twice",
      "model Chain",
      "model Small",
      "keyword Small",
    ]);
    expect(found[1]?.children.map(({ name, detail }) => `${name} ${detail}`)).toEqual([
      "wide Linear",
      "narrow Linear",
      "shift f32[size]",
      "forward (x: f32[..., size])",
    ]);
    for (const { nameRange, start, end } of found) {
      expect(nameRange.start).toBeGreaterThanOrEqual(start);
      expect(nameRange.end).toBeLessThanOrEqual(end);
    }
  });
});
