import { describe, expect, test } from "vitest";
import {
  type Diagnostic,
  positionOf,
  renderDiagnostics,
  type SourceFile,
} from "../../compiler/diagnostics/index.ts";

const file: SourceFile = {
  name: "a.bert",
  text: 'layer L() {\n  return x + inner(x)\r\n\tlet 数値 = "日本" + b\n}',
};

function spanOf(word: string): { readonly file: string; readonly start: number; readonly end: number } {
  const start = file.text.indexOf(word);
  return { file: file.name, start, end: start + word.length };
}

function error(primary: Diagnostic["primary"], more: Partial<Diagnostic> = {}): Diagnostic {
  return { code: "test", severity: "error", message: "something", primary, related: [], ...more };
}

describe("rendering", () => {
  test("labels on one line, right to left, and a hint", () => {
    const diagnostic = error(
      { span: spanOf("x "), text: "f32[B]" },
      { related: [{ span: spanOf("inner(x)"), text: "f32[T]" }], hint: "look" },
    );
    expect(renderDiagnostics([diagnostic], [file])).toMatchInlineSnapshot(`
      "error: something
        --> a.bert:2:10
      2 |   return x + inner(x)
        |          ^^  -------- f32[T]
        |          f32[B]
        = hint: look"
    `);
  });

  test("labels on several lines, and another file", () => {
    const other: SourceFile = { name: "b.bert", text: "\n\nfoo bar" };
    const diagnostic = error(
      { span: spanOf("inner"), text: "used here" },
      {
        related: [
          { span: spanOf("L"), text: "declared here" },
          { span: { file: "b.bert", start: 6, end: 9 }, text: "and here" },
          { span: { file: "lost.bert", start: 6, end: 9 }, text: "nowhere" },
        ],
      },
    );
    expect(renderDiagnostics([diagnostic], [file, other])).toMatchInlineSnapshot(`
      "error: something
        --> a.bert:2:14
      1 | layer L() {
        |       - declared here
      2 |   return x + inner(x)
        |              ^^^^^ used here
        ::: b.bert:3:5
      3 | foo bar
        |     --- and here
        ::: lost.bert"
    `);
  });

  test("wide characters and tabs keep the underline below its text", () => {
    expect(renderDiagnostics([error({ span: spanOf("b\n"), text: "" })], [file])).toMatchInlineSnapshot(`
      "error: something
        --> a.bert:3:18
      3 |   let 数値 = "日本" + b
        |                       ^"
    `);
  });

  test("control characters reach no terminal, and long lines are cut around the place", () => {
    const text = `${"a ".repeat(200)}\u001b[31m\u202e! ${"b ".repeat(200)}`;
    const start = text.indexOf("!");
    const long: SourceFile = { name: "long.bert", text };
    const rendered = renderDiagnostics(
      [error({ span: { file: "long.bert", start, end: start + 1 }, text: "here" })],
      [long],
    );
    expect(rendered).not.toContain("\u001b");
    expect(rendered).not.toContain("\u202e");
    const [, , line = "", marks = ""] = rendered.split("\n");
    expect(line.length).toBeLessThan(170);
    expect(line.charAt(marks.indexOf("^"))).toBe("!");
  });

  test("a span past the end, or inside a line end, still renders", () => {
    for (const start of [0, file.text.length, file.text.length + 10, file.text.indexOf("\r") + 1]) {
      const rendered = renderDiagnostics(
        [error({ span: { file: file.name, start, end: start + 3 }, text: "" })],
        [file],
      );
      expect(rendered).toContain("^");
    }
  });
});

test("positions count lines of all three line ends", () => {
  const text = "a\nb\r\nc\rd";
  const at = (word: string) => positionOf({ name: "x", text }, text.indexOf(word));
  expect([..."abcd"].map(at)).toEqual([1, 2, 3, 4].map((line) => ({ line, column: 1 })));
});
