import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { hasErrors, renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { analyzeTexts, errorsOf, inForward, shipped } from "./check.ts";

/** Longest a hostile text of these sizes may take, as a multiple of `bert-tiny` with its library on the same machine: ten times what the worst takes. */
const LONGEST = 1000;
let validMs = Number.POSITIVE_INFINITY;
beforeAll(() => {
  // The first runs are compiled by the engine.
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    expect(errorsOf(bert)).toBe("");
    validMs = performance.now() - before;
  }
});

/** The whole front end on any text: a model or errors, never neither, and both render. */
function survives(text: string): void {
  const before = performance.now();
  const result = analyzeTexts({ "spec.bert": text });
  expect(typeof renderDiagnostics(result.diagnostics, result.sources)).toBe("string");
  expect(result.model === undefined).toBe(hasErrors(result.diagnostics));
  if (result.model !== undefined) elaborate(result.model, "train");
  expect((performance.now() - before) / validMs).toBeLessThan(LONGEST);
}

const words = [
  ..."( ) { } [ ] , : ; . ... -> = + - * / % @ ** == < and or not if then else let return".split(" "),
  ..."layer fn loss model data train param use repeat of forward require const import setting output".split(
    " ",
  ),
  ..."dim int float bool string f32 i32 x y n B T 0 1 2 7 1.5 1e30 99999999 true false".split(" "),
  ..."zeros ones normal einsum rearrange softmax sum mean max where take gather iota drop concat Linear".split(
    " ",
  ),
  '"b t -> t b"',
  '"lib/bert.bert"',
  '"..."',
  "\n",
];

/** One change to a text: a piece taken out, doubled, moved, or a word put in its place. */
const mutation = fc.record({
  at: fc.nat(),
  length: fc.nat({ max: 40 }),
  kind: fc.constantFrom("delete", "double", "replace", "swap"),
  word: fc.constantFrom(...words),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer M> ? M : never;

function mutate(tokens: readonly string[], { at, length, kind, word }: Mutation): readonly string[] {
  const start = at % (tokens.length + 1);
  const end = Math.min(tokens.length, start + (length % 7));
  const piece = tokens.slice(start, end);
  const [before, after] = [tokens.slice(0, start), tokens.slice(end)];
  if (kind === "delete") return [...before, ...after];
  if (kind === "double") return [...before, ...piece, ...piece, ...after];
  if (kind === "swap") return [...before, ...after.slice(0, 1), ...piece, ...after.slice(1)];
  return [...before, word, ...after];
}

/** Words, numbers and signs with the blanks between them. */
function tokensOf(text: string): readonly string[] {
  return text.match(/\w+|\s+|"[^"\n]*"|./g) ?? [];
}

/** The GPT spec is all its own layers; small sizes keep each run short. */
const gpt = shipped("gpt-small.bert");
const bert = ["math", "layers", "attention", "transformer", "losses", "data", "bert"]
  .map((name) => shipped(`lib/${name}.bert`).replaceAll(/^import .*$/gm, ""))
  .concat(shipped("bert-tiny.bert").replaceAll(/^import .*$/gm, ""))
  .join("\n");

describe("no text throws or hangs", () => {
  test("the joined library is a spec", () => expect(errorsOf(bert)).toBe(""));

  test.each([
    ["gpt-small", gpt, 80],
    ["bert-tiny with its library", bert, 50],
    ["a small spec", inForward('let y = einsum("b n, n o -> b o", x, w)\nlet z = y[:, 0:2]'), 250],
  ] as const)("mutations of %s", (_, text, numRuns) => {
    const tokens = tokensOf(text);
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        survives(mutations.reduce(mutate, tokens).join(""));
      }),
      { numRuns },
    );
  });

  test("random words", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }), (text) => survives(text.join(" "))),
      { numRuns: 200 },
    );
  });

  test("random text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => survives(text)),
      { numRuns: 200 },
    );
  });

  test("random patterns", () => {
    const piece = fc.constantFrom(
      "b",
      "n",
      "o",
      "1",
      "(",
      ")",
      "...",
      "->",
      ",",
      " ",
      "2",
      "(b n)",
      "é",
      "\\n",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), fc.boolean(), (pieces, einsum) => {
        const pattern = pieces.join(" ");
        survives(
          inForward(
            einsum ? `let y = einsum("${pattern}", x, w)` : `let y = rearrange(x, "${pattern}", n: 2)`,
          ),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe("hostile specs end", () => {
  const double = (n: number): string =>
    Array.from({ length: n }, (_, i) => `fn f${i + 1}(x: f32[...]) -> f32[...] = f${i}(x) + f${i}(x)`).join(
      "\n",
    );
  test.each([
    [
      "calls that double",
      inForward("let y = f60(x)", `fn f0(x: f32[...]) -> f32[...] = x + x\n${double(60)}`),
    ],
    [
      "layers that double",
      `layer L() { use a = L(), b = L() }\n${inForward("let y = x")}`.replace(
        "param w",
        "use l = L()\n  param w",
      ),
    ],
    ["a long sum", inForward(`let y = ${Array.from({ length: 5000 }, () => "x").join(" + ")}`)],
    ["deep parentheses", inForward(`let y = ${"(".repeat(5000)}x${")".repeat(5000)}`)],
    ["deep brackets", inForward(`let y = x${"[0".repeat(5000)}${"]".repeat(5000)}`)],
    [
      "many mistakes",
      inForward(Array.from({ length: 5000 }, (_, i) => `let y${i} = nothing${i}`).join("\n")),
    ],
    [
      "many settings and mistakes",
      Array.from({ length: 5000 }, (_, i) => `setting s${i}: int = t${i}`).join("\n"),
    ],
    [
      "settings in a chain",
      `setting s0: int = 1\n${Array.from({ length: 3000 }, (_, i) => `setting s${i + 1}: int = s${i} + 1`).join("\n")}\n${inForward("let y = x")}`,
    ],
    [
      "settings in a chain, last first",
      `${Array.from({ length: 3000 }, (_, i) => `setting s${i}: int = s${i + 1} + 1`).join("\n")}\nsetting s3000: int = 1\n${inForward("let y = x")}`,
    ],
    [
      "a repeat of repeats",
      inForward("let y = x", nestedRepeats()).replace("param w", "use l = R3()\n  param w"),
    ],
  ])("%s", (_, text) => survives(text));

  function nestedRepeats(): string {
    const layers = ["layer R0() { param p: f32[2] = zeros() }"];
    for (let i = 1; i < 4; i++) layers.push(`layer R${i}() { use r = repeat 1000 of R${i - 1}() }`);
    return layers.join("\n");
  }
});
