import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  complete,
  definition,
  diagnose,
  formatText,
  highlight,
  hover,
  references,
  symbols,
} from "../../compiler/service/index.ts";
import { shipped } from "../syntax/specs.ts";
import { contextOf, nested, root } from "./editor.ts";

/* What an editor sends is broken most of the time: no text and no place may make the service throw. */

const texts = [nested, ...shipped.map(({ text }) => text)];

function askAll(text: string, offset: number): void {
  const spec = contextOf(text);
  const place = { file: root, offset };
  const { range } = complete(spec, place);
  expect(range.start).toBeLessThanOrEqual(range.end);
  expect(range.end).toBeLessThanOrEqual(text.length);
  definition(spec, place);
  references(spec, place);
  const found = hover(spec, place);
  if (found !== undefined) expect(found.range.end).toBeLessThanOrEqual(text.length);
}

function askText(text: string): void {
  let end = 0;
  for (const token of highlight(text)) {
    expect(token.start).toBeGreaterThanOrEqual(end);
    expect(token.end).toBeGreaterThan(token.start);
    end = token.end;
  }
  expect(end).toBeLessThanOrEqual(text.length);
  symbols(text);
  formatText(text);
  diagnose(contextOf(text));
}

describe("a text cut anywhere", () => {
  it("answers at the cut", () => {
    const cut = fc
      .constantFrom(...texts)
      .chain((text) => fc.tuple(fc.constant(text), fc.nat({ max: text.length })));
    fc.assert(
      fc.property(cut, ([text, at]) => {
        askAll(text.slice(0, at), at);
        askText(text.slice(0, at));
      }),
      { numRuns: 150 },
    );
  });

  it("answers at every fifth cut of a spec", () => {
    for (let at = 0; at <= nested.length; at += 5) {
      const text = nested.slice(0, at);
      const { items } = complete(contextOf(text), { file: root, offset: at });
      expect(items.length).toBeLessThan(200);
      highlight(text);
    }
  });

  it("answers where a piece is missing, anywhere", () => {
    const hole = fc
      .constantFrom(...texts)
      .chain((text) =>
        fc.tuple(fc.constant(text), fc.nat({ max: text.length }), fc.integer({ min: 1, max: 30 })),
      );
    fc.assert(
      fc.property(hole, fc.nat(), ([text, at, length], where) => {
        const left = text.slice(0, at) + text.slice(at + length);
        askText(left);
        askAll(left, where % (left.length + 1));
      }),
      { numRuns: 100 },
    );
  });

  it("answers for any text at all", () => {
    const piece = fc.constantFrom(
      ..."layer A ( ) { } [ ] f32 x : = , . -> let return if use repeat of \" // \n 1 0.5 + train data {n} '".split(
        " ",
      ),
      "\n",
      '"a {',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), fc.nat(), (pieces, where) => {
        const text = pieces.join(" ");
        askText(text);
        askAll(text, where % (text.length + 1));
      }),
      { numRuns: 200 },
    );
  });
});
