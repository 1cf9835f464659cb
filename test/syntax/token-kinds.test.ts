import { expect, test } from "vitest";
import { tokenKinds } from "../../compiler/syntax/index.ts";

const kinds = (text: string) =>
  tokenKinds(text).map(({ start, end, kind }) => `${text.slice(start, end)}: ${kind}`);

test("every word, number, text, operator and comment has its kind, in the order of the text", () => {
  expect(kinds('setting steps: int = 3e2 // "no text"\nlet f = not x @ "y {z}"')).toEqual([
    "setting: keyword",
    "steps: name",
    "int: name",
    "=: operator",
    "3e2: number",
    '// "no text": comment',
    "let: keyword",
    "f: name",
    "=: operator",
    "not: keyword",
    "x: name",
    "@: operator",
    '"y {z}": string',
  ]);
});

test("broken texts have kinds too, and no two tokens overlap", () => {
  expect(kinds('layer "open\n§ 12abc /* old */')).toEqual([
    "layer: keyword",
    '"open: string',
    "12abc: number",
  ]);
  const text = "layer Größe(a: dim) { \"x\" 'y' && 1.5.2 ** !\n// end";
  const found = tokenKinds(text);
  for (const [at, { start, end }] of found.entries()) {
    expect(end).toBeGreaterThan(start);
    expect(start).toBeGreaterThanOrEqual(found[at - 1]?.end ?? 0);
  }
});
