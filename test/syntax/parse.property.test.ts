import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { parse } from "../../compiler/syntax/index.ts";
import { drawnSpec, shipped } from "./specs.ts";

/** Parses and renders; checks what holds for every text. */
function check(text: string): void {
  const file = { name: "t.bert", text };
  const { ast, diagnostics } = parse(file);
  for (const { primary, related } of diagnostics) {
    for (const { span } of [primary, ...related]) {
      if (
        !(span.file === file.name && 0 <= span.start && span.start <= span.end && span.end <= text.length)
      ) {
        throw new Error(`span ${JSON.stringify(span)} is not in the text`);
      }
    }
  }
  renderDiagnostics(diagnostics, [file]);
  checkNodes(ast, [0, text.length], diagnostics.length === 0);
}

/** Every span lies in its parent's; error nodes stand only in files with errors. */
function checkNodes(node: unknown, [start, end]: readonly [number, number], clean: boolean): void {
  if (typeof node !== "object" || node === null) return;
  let inner: readonly [number, number] = [start, end];
  if ("span" in node && isSpan(node.span)) {
    inner = [node.span.start, node.span.end];
    if (!(start <= inner[0] && inner[0] <= inner[1] && inner[1] <= end)) {
      throw new Error(`span ${inner} is not inside ${[start, end]}: ${JSON.stringify(node)}`);
    }
  }
  if (clean && "kind" in node && String(node.kind).startsWith("error"))
    throw new Error("an error without a message");
  for (const value of Object.values(node)) checkNodes(value, inner, clean);
}

function isSpan(value: unknown): value is { readonly start: number; readonly end: number } {
  return typeof value === "object" && value !== null && "start" in value && "end" in value;
}

const word = fc.constantFrom(
  ..."import setting layer model fn loss data train param use repeat of require const forward output".split(
    " ",
  ),
  ..."let return if then else and or not true false x n f32 dim steps optimizer".split(" "),
  ..."( ( ) ) [ ] { } , , : = = == -> . ... + - * ** / @ < ; // \n \n \n 1 2.5 1e-3 1e ! && ' \" # é \u0000 \ud800".split(
    " ",
  ),
  "\n",
  '"a {b}"',
);

describe("any text is read without a throw, in bounded time", () => {
  test("random characters", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 120 }), check), { numRuns: 100 });
  });

  test("random bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => String.fromCharCode(...b));
    fc.assert(fc.property(bytes, check), { numRuns: 200 });
  });

  test("random tokens", () => {
    const tokens = fc.array(word, { maxLength: 120 }).map((words) => words.join(" "));
    fc.assert(fc.property(tokens, check), { numRuns: 200 });
  });

  test("tokens inside a layer's forward", () => {
    const tokens = fc.array(word, { maxLength: 60 }).map((words) => words.join(" "));
    const inForward = tokens.map(
      (t) => `layer L(n: dim) {\n  forward(x: f32[n]) -> f32[n] {\n    ${t}\n  }\n}\nlayer M() {}`,
    );
    fc.assert(fc.property(inForward, check), { numRuns: 200 });
  });

  test("shipped specs with pieces cut out, doubled, moved or replaced", () => {
    const mutation = fc.tuple(
      fc.nat(),
      fc.nat(),
      fc.nat(30),
      fc.constantFrom("cut", "double", "swap", "insert"),
      word,
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...shipped),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        (file, mutations) => {
          let text = file.text;
          for (const [a, b, length, kind, inserted] of mutations) {
            const [i, j] = [a % (text.length + 1), b % (text.length + 1)];
            if (kind === "cut") text = text.slice(0, i) + text.slice(i + length);
            else if (kind === "double") text = text.slice(0, i) + text.slice(Math.max(0, i - length));
            else if (kind === "swap") text = text.slice(0, i) + text.slice(j, j + length) + text.slice(i);
            else text = text.slice(0, i) + inserted + text.slice(i);
          }
          check(text);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("large texts of one thing", () => {
    const pieces = [
      "(",
      ")",
      "{",
      "}",
      "(}",
      "([)]",
      "{}",
      "x ",
      "$ ",
      '"',
      "'",
      "x + ",
      "x + * ",
      "x, ",
      ".",
      "-",
      "if ",
      "\n",
      ";",
    ];
    for (const piece of pieces) {
      const text = `fn f(x: f32) -> f32 = f(${piece.repeat(Math.floor(10_000 / piece.length))}`;
      const before = performance.now();
      check(text);
      // Measured: at most 0.4 s on a free processor; the rest is room for a busy one.
      expect(performance.now() - before).toBeLessThan(8_000);
    }
  });
});

test("a mistake in one declaration leaves the others whole", () => {
  const { text } = shipped.find((file) => file.name === "lib/transformer.bert") ?? { text: "" };
  const names = (t: string) =>
    parse({ name: "t", text: t }).ast.items.map((i) => ("name" in i ? i.name.text : i.kind));
  const all = names(text);
  expect(all.length).toBeGreaterThan(3);
  const place = text.indexOf("(x: f32");
  for (const broken of [
    text.slice(0, place) + text.slice(place + 1),
    `${text.slice(0, place)}(${text.slice(place)}`,
  ]) {
    expect(names(broken)).toEqual(all);
    expect(parse({ name: "t", text: broken }).diagnostics.length).toBeGreaterThan(0);
  }
});

test("drawn specs are read", () => {
  let clean = 0;
  fc.assert(
    fc.property(drawnSpec, (text) => {
      check(text);
      const { diagnostics } = parse({ name: "t.bert", text });
      // What a drawn spec may get wrong; everything else would be a fault of the parser or of the drawing.
      const allowed = new Set([
        "duplicate-entry",
        "setting-expected",
        "tensor-expected",
        "two-ellipses",
        "not-in-operand",
        "bad-template",
      ]);
      expect(
        renderDiagnostics(
          diagnostics.filter((d) => !allowed.has(d.code)),
          [{ name: "t.bert", text }],
        ),
      ).toBe("");
      if (diagnostics.length === 0) clean++;
    }),
    { numRuns: 100 },
  );
  expect(clean).toBeGreaterThan(50);
});

test.each(shipped)("$name is read without errors", (file) => {
  expect(renderDiagnostics(parse(file).diagnostics, [file])).toBe("");
});
