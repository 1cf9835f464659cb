import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import type { SourceFile } from "../../compiler/diagnostics/index.ts";

/* Specs for tests: those shipped, and drawn ones that use the whole grammar. */

/** All `.bert` files under models/. */
export const shipped: readonly SourceFile[] = readdirSync(new URL("../../models/", import.meta.url), {
  recursive: true,
})
  .map(String)
  .filter((name) => name.endsWith(".bert"))
  .sort()
  .map((name) => ({ name, text: readFileSync(new URL(`../../models/${name}`, import.meta.url), "utf8") }));

const name = fc.constantFrom(
  "x",
  "y",
  "hidden",
  "a_rather_long_name_of_something",
  "output",
  "data",
  "of",
  "layer",
  "B",
);
const literal = fc.constantFrom("1", "0.5", "1e-6", '"b t (h d) -> b h t d"', '"\\"\\n"', "true", "false");
const operator = fc.constantFrom("+", "-", "*", "/", "%", "@", "**", "and", "or");

const { expression } = fc.letrec<{ expression: string; operand: string }>((tie) => ({
  operand: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    name,
    literal,
    tie("expression").map((e) => `(${e})`),
    fc.array(tie("expression"), { maxLength: 3 }).map((list) => `[${list.join(", ")}]`),
    fc
      .tuple(
        name,
        fc.array(tie("expression"), { maxLength: 5 }),
        fc.array(tie("expression"), { maxLength: 3 }),
      )
      .map(([f, args, named]) => `${f}(${[...args, ...named.map((e, i) => `n${i}: ${e}`)].join(", ")})`),
    fc.tuple(tie("operand"), name).map(([target, member]) => `(${target}).${member}`),
    fc
      .tuple(
        name,
        fc.array(fc.oneof(tie("expression"), fc.constantFrom(":", "1:", ":2", "1:n")), {
          minLength: 1,
          maxLength: 3,
        }),
      )
      .map(([target, items]) => `${target}[${items.join(",")}]`),
    tie("operand").map((e) => `-${e}`),
  ),
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("operand"),
    fc.tuple(tie("operand"), operator, tie("operand")).map((parts) => parts.join(" ")),
    fc
      .tuple(tie("operand"), operator, tie("operand"), operator, tie("operand"))
      .map((parts) => parts.join(" ")),
    fc
      .tuple(tie("operand"), fc.constantFrom("==", "<", ">="), tie("operand"))
      .map((parts) => `(${parts.join(" ")})`),
    tie("operand").map((e) => `not ${e}`),
    fc
      .tuple(tie("expression"), tie("expression"), tie("expression"))
      .map(([c, a, b]) => `(if ${c} then ${a} else ${b})`),
  ),
}));

const dimensions = fc
  .array(fc.constantFrom("...", "B", "n", "2 * n", "3"), { maxLength: 3 })
  .map((dims) => dims.filter((d, i) => d !== "..." || dims.indexOf(d) === i).join(","));
const tensor = fc
  .tuple(fc.constantFrom("f32", "i32", "bool"), dimensions)
  .map(([type, dims]) => `${type}[${dims}]`);
const parameters = fc
  .array(
    fc.oneof(
      fc.tuple(name, tensor).map(([n, type]) => `${n}: ${type}`),
      fc
        .tuple(name, fc.constantFrom("int", "float", "bool"), expression)
        .map(([n, type, e]) => `${n}: ${type} = ${e}`),
    ),
    { maxLength: 5 },
  )
  .map((list) => list.join(", "));
const settings = fc
  .array(
    fc.tuple(name, fc.constantFrom("dim", "int", "float")).map(([n, type]) => `${n}: ${type}`),
    { maxLength: 5 },
  )
  .map((list) => list.join(", "));

/** Between two statements: lines, blank lines, comments, semicolons. */
const gap = fc.constantFrom(
  "\n",
  "\n",
  "\n\n",
  "\n\n\n\n",
  " // behind\n",
  "\n// before\n",
  "\n\n// apart\n\n",
  ";",
  "; // after\n",
  "\r\n",
);
const block = (statement: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom("", " ", "\n", "// first\n", " // first\n\n"),
      fc.array(fc.tuple(statement, gap), { maxLength: 4 }),
    )
    .map(([start, list]) => `{${start}${list.flat().join("")}}`);

const { statement } = fc.letrec<{ statement: string; branch: string }>((tie) => ({
  branch: fc.tuple(expression, block(tie("statement"))).map(([c, b]) => `if (${c}) ${b}`),
  statement: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.tuple(name, expression).map(([n, e]) => `let ${n} = ${e}`),
    fc.tuple(name, name, expression).map(([n, m, e]) => `let ${n}, ${m} = ${e}`),
    fc.tuple(expression, expression).map(([a, b]) => `return ${a}, ${b}`),
    fc
      .tuple(fc.constantFrom("output", "loss"), name, expression)
      .map(([word, n, e]) => `${word} ${n} = ${e}`),
    tie("branch"),
    fc
      .tuple(tie("branch"), tie("branch"), block(tie("statement")))
      .map(([a, b, c]) => `${a} else ${b} else ${c}`),
  ),
}));

const forward = fc
  .tuple(
    parameters,
    tensor,
    fc.oneof(
      expression.map((e) => `= ${e}`),
      block(statement),
    ),
    fc.constantFrom("", "\n  "),
  )
  .map(([inputs, type, body, space]) => `(${inputs}) -> ${type} ${body.startsWith("{") ? "" : space}${body}`);
const item = fc.oneof(
  fc.tuple(name, tensor, expression).map(([n, type, e]) => `param ${n}: ${type} = ${e}`),
  fc
    .tuple(name, expression, name)
    .map(([n, e, l]) => `use ${n} = ${l}(${e}), ${l} = repeat (${e}) of ${n}(${e}, a: ${e})`),
  fc.tuple(name, expression).map(([n, e]) => `use ${n} = L(${e})`),
  fc.tuple(name, expression).map(([n, e]) => `const ${n} = ${e}`),
  fc.tuple(expression, name).map(([c, n]) => `require ${c}, "got {${n} + 1} of \\{${n}\\}"`),
  forward.map((text) => `forward${text}`),
);
const entry = fc
  .tuple(fc.constantFrom("minimize", "optimizer", "clip"), expression)
  .map(([key, e]) => `${key} ${e}`);
const field = fc.tuple(name, tensor).map(([n, type]) => `${n}: ${type}`);
const declaration = fc.oneof(
  fc.constant('import "lib/bert.bert"'),
  fc.tuple(name, expression).map(([n, e]) => `setting ${n}: int = ${e}`),
  fc
    .tuple(
      fc.constantFrom("layer", "model"),
      name,
      settings,
      block(
        fc.oneof(
          item,
          item,
          block(item).map((b) => `if x ${b}`),
        ),
      ),
    )
    .map(([word, n, s, b]) => `${word} ${n}(${s}) ${b}`),
  fc.tuple(fc.constantFrom("fn", "loss"), name, forward).map(([word, n, f]) => `${word} ${n}${f}`),
  fc.tuple(name, expression).map(([n, e]) => `model ${n} = ${n}(${e},\n // inside\n a: ${e}) `),
  fc.tuple(name, settings, block(field)).map(([n, s, b]) => `data ${n}(${s}) ${b}`),
  fc.tuple(name, block(entry)).map(([n, b]) => `train ${n} ${b}`),
);

/** Specs that use the whole grammar; some have errors of the finer kind (an entry given twice). */
export const drawnSpec: fc.Arbitrary<string> = fc
  .array(fc.tuple(declaration, gap), { maxLength: 5 })
  .map((list) => list.flat().join(""));
