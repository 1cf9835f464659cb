import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { parse } from "../../compiler/syntax/index.ts";

/** The rendered errors of a text, without the name of the file. */
function errorsOf(text: string): string {
  const file = { name: "t.bert", text };
  return `\n${renderDiagnostics(parse(file).diagnostics, [file])}\n`;
}

const inLayer = (text: string) => errorsOf(`layer L(n: dim) {\n  ${text}\n}`);
const inBody = (text: string) =>
  errorsOf(`layer L(n: dim) {\n  forward(x: f32[n]) -> f32[n] {\n    ${text}\n  }\n}`);
const inTrain = (text: string) => errorsOf(`train M {\n  ${text}\n}`);

describe("characters and words", () => {
  test("a sign without meaning", () => {
    expect(errorsOf("setting a: int = 3 $$ 4")).toMatchInlineSnapshot(`
      "
      error: \`$\` has no meaning here
        --> t.bert:1:20
      1 | setting a: int = 3 $$ 4
        |                    ^^
      "
    `);
  });

  test("a comment with #", () => {
    expect(errorsOf("# hello")).toMatchInlineSnapshot(`
      "
      error: \`#\` has no meaning here
        --> t.bert:1:1
      1 | # hello
        | ^
        = hint: comments begin with \`//\`
      "
    `);
  });

  test("a block comment", () => {
    expect(errorsOf("/* a\n b */ setting a: int = 3")).toMatchInlineSnapshot(`
      "
      error: comments are written with \`//\`
        --> t.bert:1:1
      1 | /* a
        | ^^ not a comment here
        = hint: begin every line of the comment with \`//\`
      "
    `);
  });

  test("letters that are not ASCII", () => {
    expect(errorsOf("setting größe: int = 3")).toMatchInlineSnapshot(`
      "
      error: \`größe\` is no name: names are made of the letters a to z, digits and \`_\`
        --> t.bert:1:9
      1 | setting größe: int = 3
        |         ^^^^^
      "
    `);
  });

  test("an invisible character", () => {
    expect(errorsOf("setting a:\u00a0int = 3")).toMatchInlineSnapshot(`
      "
      error: U+00A0 has no meaning here
        --> t.bert:1:11
      1 | setting a: int = 3
        |           ^
      "
    `);
  });

  test("typographic quotes", () => {
    expect(errorsOf("import “a.bert”")).toMatchInlineSnapshot(`
      "
      error: \`“\` (U+201C) has no meaning here
        --> t.bert:1:8
      1 | import “a.bert”
        |        ^
        = hint: strings stand in straight quotes: \`"..."\`

      error: \`”\` (U+201D) has no meaning here
        --> t.bert:1:15
      1 | import “a.bert”
        |               ^
        = hint: strings stand in straight quotes: \`"..."\`
      "
    `);
  });

  test("a number with letters", () => {
    expect(inBody("return 2d")).toMatchInlineSnapshot(`
      "
      error: \`2d\` is no number
        --> t.bert:3:12
      3 |     return 2d
        |            ^^
        = hint: numbers look like \`64\`, \`0.1\` and \`1e-4\`; a name cannot begin with a digit
      "
    `);
  });

  test("a hexadecimal number", () => {
    expect(inBody("return 0xff")).toMatchInlineSnapshot(`
      "
      error: \`0xff\` is no number
        --> t.bert:3:12
      3 |     return 0xff
        |            ^^^^
        = hint: write \`255\`
      "
    `);
  });

  test("a number with underscores", () => {
    expect(inBody("return 20_256")).toMatchInlineSnapshot(`
      "
      error: \`20_256\` is no number
        --> t.bert:3:12
      3 |     return 20_256
        |            ^^^^^^
        = hint: write \`20256\`
      "
    `);
  });

  test("too large an integer", () => {
    expect(inBody("return 9007199254740993")).toMatchInlineSnapshot(`
      "
      error: the number is too large
        --> t.bert:3:12
      3 |     return 9007199254740993
        |            ^^^^^^^^^^^^^^^^
        = hint: integers go up to 2^53 - 1, floats up to 1.79e308
      "
    `);
  });

  test("too large a float", () => {
    expect(inBody("return 1e999")).toMatchInlineSnapshot(`
      "
      error: the number is too large
        --> t.bert:3:12
      3 |     return 1e999
        |            ^^^^^
        = hint: integers go up to 2^53 - 1, floats up to 1.79e308
      "
    `);
  });

  test("a string not closed", () => {
    expect(errorsOf('import "a.bert')).toMatchInlineSnapshot(`
      "
      error: the string is not closed
        --> t.bert:1:8
      1 | import "a.bert
        |        ^^^^^^^ a \`"\` is missing before the end of the line
      "
    `);
  });

  test("single quotes", () => {
    expect(errorsOf("import 'a.bert'")).toMatchInlineSnapshot(`
      "
      error: strings stand in double quotes
        --> t.bert:1:8
      1 | import 'a.bert'
        |        ^^^^^^^^
        = hint: write \`"a.bert"\`
      "
    `);
  });

  test("an unknown escape", () => {
    expect(errorsOf('import "a\\q.bert"')).toMatchInlineSnapshot(`
      "
      error: \`\\q\` means nothing in a string
        --> t.bert:1:10
      1 | import "a\\q.bert"
        |          ^^
        = hint: a string knows \`\\"\`, \`\\\\\`, \`\\n\`, \`\\t\`, \`\\{\` and \`\\}\`
      "
    `);
  });

  test("operators of other languages", () => {
    expect(inBody("return a && b || !c")).toMatchInlineSnapshot(`
      "
      error: \`&&\` is not an operator
        --> t.bert:3:14
      3 |     return a && b || !c
        |              ^^
        = hint: write \`and\`

      error: \`||\` is not an operator
        --> t.bert:3:19
      3 |     return a && b || !c
        |                   ^^
        = hint: write \`or\`

      error: \`!\` is not an operator
        --> t.bert:3:22
      3 |     return a && b || !c
        |                      ^
        = hint: write \`not\`
      "
    `);
  });

  test("a caret", () => {
    expect(inBody("return a ^ 2")).toMatchInlineSnapshot(`
      "
      error: \`^\` is not an operator
        --> t.bert:3:14
      3 |     return a ^ 2
        |              ^
        = hint: write \`**\`
      "
    `);
  });

  test("a typographic minus", () => {
    expect(inBody("return a − 2")).toMatchInlineSnapshot(`
      "
      error: \`−\` is not an operator
        --> t.bert:3:14
      3 |     return a − 2
        |              ^
        = hint: write \`-\`
      "
    `);
  });

  test("=>", () => {
    expect(errorsOf("fn f(x: f32) => f32 = x")).toMatchInlineSnapshot(`
      "
      error: \`=>\` is not an operator
        --> t.bert:1:14
      1 | fn f(x: f32) => f32 = x
        |              ^^
        = hint: write \`->\`
      "
    `);
  });

  test("a reserved word as a name", () => {
    expect(inBody("let then = 3")).toMatchInlineSnapshot(`
      "
      error: \`then\` is a word of the language and cannot be a name
        --> t.bert:3:9
      3 |     let then = 3
        |         ^^^^
      "
    `);
  });

  test("a reserved word as a setting", () => {
    expect(errorsOf("setting if: int = 3")).toMatchInlineSnapshot(`
      "
      error: \`if\` is a word of the language and cannot be a name
        --> t.bert:1:9
      1 | setting if: int = 3
        |         ^^
      "
    `);
  });

  test("a reserved word as a value", () => {
    expect(inBody("return x + then")).toMatchInlineSnapshot(`
      "
      error: expected an expression, found \`then\`
        --> t.bert:3:16
      3 |     return x + then
        |                ^^^^
        = hint: \`then\` is a word of the language
      "
    `);
  });
});

describe("brackets", () => {
  test("a `)` missing at the end of a line", () => {
    expect(inBody("let y = f(x\n    return y")).toMatchInlineSnapshot(`
      "
      error: expected \`)\` to close the \`(\` opened at 3:14
        --> t.bert:3:16
      3 |     let y = f(x
        |              - ^ found the end of the line
        |              opened here
      "
    `);
  });

  test("a `)` missing at the end of the file", () => {
    expect(errorsOf("model A = B(c: (1 + 2)")).toMatchInlineSnapshot(`
      "
      error: expected \`)\` to close the \`(\` opened at 1:12
        --> t.bert:1:23
      1 | model A = B(c: (1 + 2)
        |            -          ^ found the end of the file
        |            opened here
      "
    `);
  });

  test("a `)` missing before `]`", () => {
    expect(inBody("return x[f(1]")).toMatchInlineSnapshot(`
      "
      error: expected \`)\` to close the \`(\` opened at 3:15
        --> t.bert:3:17
      3 |     return x[f(1]
        |               - ^ found \`]\`
        |               opened here
      "
    `);
  });

  test("the wrong closer", () => {
    expect(inBody("return f(x]")).toMatchInlineSnapshot(`
      "
      error: expected \`)\` to close the \`(\` opened at 3:13
        --> t.bert:3:15
      3 |     return f(x]
        |             - ^ found \`]\`
        |             opened here
      "
    `);
  });

  test("a `]` missing in a type", () => {
    expect(inLayer("param w: f32[n = zeros()")).toMatchInlineSnapshot(`
      "
      error: expected \`]\` to close the \`[\` opened at 2:15
        --> t.bert:2:27
      2 |   param w: f32[n = zeros()
        |               -           ^ found the end of the line
        |               opened here
      "
    `);
  });

  test("a `)` too many", () => {
    expect(inBody("return f(x))")).toMatchInlineSnapshot(`
      "
      error: this \`)\` closes nothing
        --> t.bert:3:16
      3 |     return f(x))
        |                ^
      "
    `);
  });

  test("a `}` too many", () => {
    expect(errorsOf("layer A() {\n}\n}")).toMatchInlineSnapshot(`
      "
      error: this \`}\` closes nothing
        --> t.bert:3:1
      3 | }
        | ^
      "
    `);
  });

  test("a `{` missing", () => {
    expect(errorsOf("train M\n  steps 3\n}")).toMatchInlineSnapshot(`
      "
      error: expected \`{\` to begin the body of this train
        --> t.bert:1:8
      1 | train M
        |        ^
      "
    `);
  });

  test("a `}` missing", () => {
    expect(errorsOf("layer A() {\n  forward(x: f32) -> f32 {\n    return x\n}")).toMatchInlineSnapshot(`
      "
      error: expected \`}\` to close the \`{\` opened at 1:11
        --> t.bert:4:2
      1 | layer A() {
        |           - opened here
        ...
      4 | }
        |  ^ found the end of the file
      "
    `);
  });

  test("`;` in brackets", () => {
    expect(inBody("return f(a; b)")).toMatchInlineSnapshot(`
      "
      error: a statement cannot end inside \`(...)\`
        --> t.bert:3:15
      3 |     return f(a; b)
        |               ^
        = hint: entries are separated by \`,\`
      "
    `);
  });
});

describe("statements", () => {
  test("an unknown declaration", () => {
    expect(errorsOf("layr L() {}")).toMatchInlineSnapshot(`
      "
      error: expected a declaration, found \`layr\`
        --> t.bert:1:1
      1 | layr L() {}
        | ^^^^
        = hint: did you mean \`layer\`?
      "
    `);
  });

  test("an item in the wrong place", () => {
    expect(errorsOf("param w: f32 = zeros()")).toMatchInlineSnapshot(`
      "
      error: expected a declaration, found \`param\`
        --> t.bert:1:1
      1 | param w: f32 = zeros()
        | ^^^^^
        = hint: \`param\` stands directly in a layer or model
      "
    `);
  });

  test("a declaration inside a layer", () => {
    expect(inLayer("fn f(x: f32) -> f32 = x")).toMatchInlineSnapshot(`
      "
      error: expected an item of a layer, found \`fn\`
        --> t.bert:2:3
      2 |   fn f(x: f32) -> f32 = x
        |   ^^
        = hint: \`fn\` stands at the top of a file, outside of all braces
      "
    `);
  });

  test("a statement in a layer", () => {
    expect(inLayer("let y = 3")).toMatchInlineSnapshot(`
      "
      error: expected an item of a layer, found \`let\`
        --> t.bert:2:3
      2 |   let y = 3
        |   ^^^
        = hint: \`let\` stands in the braces of a \`forward\`, \`fn\` or \`loss\`
      "
    `);
  });

  test("an expression as a statement", () => {
    expect(inBody("f(x)")).toMatchInlineSnapshot(`
      "
      error: expected a statement, found \`f\`
        --> t.bert:3:5
      3 |     f(x)
        |     ^
        = hint: write \`return ...\` or \`let name = ...\`
      "
    `);
  });

  test("an assignment without let", () => {
    expect(inBody("y = 3")).toMatchInlineSnapshot(`
      "
      error: expected a statement, found \`y\`
        --> t.bert:3:5
      3 |     y = 3
        |     ^
        = hint: write \`let y = ...\`
      "
    `);
  });

  test("braces alone", () => {
    expect(inBody("{ return x }")).toMatchInlineSnapshot(`
      "
      error: expected a statement, found \`{\`
        --> t.bert:3:5
      3 |     { return x }
        |     ^
        = hint: it begins with one of \`let\`, \`return\`, \`output\`, \`head\`, \`loss\`, \`metric\`, \`require\`, \`if\`
      "
    `);
  });

  test("`else` alone", () => {
    expect(inBody("else { return x }")).toMatchInlineSnapshot(`
      "
      error: this \`else\` belongs to no \`if\`
        --> t.bert:3:5
      3 |     else { return x }
        |     ^^^^
      "
    `);
  });

  test("`else` after another statement", () => {
    expect(inBody("let y = 3 else { return x }")).toMatchInlineSnapshot(`
      "
      error: this \`else\` belongs to no \`if\`
        --> t.bert:3:15
      3 |     let y = 3 else { return x }
        |               ^^^^
      "
    `);
  });

  test("`else` twice", () => {
    expect(inBody("if a { return x } else { return x } else { return x }")).toMatchInlineSnapshot(`
      "
      error: this \`else\` belongs to no \`if\`
        --> t.bert:3:41
      3 |     if a { return x } else { return x } else { return x }
        |                                         ^^^^
      "
    `);
  });

  test("a word after else", () => {
    expect(inBody("if a { return x } else b { return x }")).toMatchInlineSnapshot(`
      "
      error: expected \`if\` or \`{\` after \`else\`, found \`b\`
        --> t.bert:3:28
      3 |     if a { return x } else b { return x }
        |                            ^
      "
    `);
  });

  test("two statements on a line", () => {
    expect(inBody("let y = 3 let z = 4")).toMatchInlineSnapshot(`
      "
      error: expected the end of this \`let\`, found \`let\`
        --> t.bert:3:15
      3 |     let y = 3 let z = 4
        |               ^^^
        = hint: statements end at the end of a line or with \`;\`
      "
    `);
  });

  test("none: a `}` ends its statement", () => {
    expect(inBody("if a { return x } return y")).toMatchInlineSnapshot(`
      "

      "
    `);
  });

  test("a block where none belongs", () => {
    expect(inBody("let y = x { 3 }")).toMatchInlineSnapshot(`
      "
      error: this \`let\` takes no \`{...}\`
        --> t.bert:3:15
      3 |     let y = x { 3 }
        |               ^
      "
    `);
  });

  test("a layer without a body", () => {
    expect(errorsOf("layer L(n: dim)")).toMatchInlineSnapshot(`
      "
      error: expected \`{\` to begin the body of this layer
        --> t.bert:1:16
      1 | layer L(n: dim)
        |                ^
      "
    `);
  });

  test("a forward without a body", () => {
    expect(inLayer("forward(x: f32[n]) -> f32[n]")).toMatchInlineSnapshot(`
      "
      error: expected \`= expression\` or \`{...}\`: the body of this forward
        --> t.bert:2:31
      2 |   forward(x: f32[n]) -> f32[n]
        |                               ^
      "
    `);
  });

  test("a forward with two bodies", () => {
    expect(inLayer("forward(x: f32[n]) -> f32[n] = x { return x }")).toMatchInlineSnapshot(`
      "
      error: this forward has a body after \`=\` and another in braces
        --> t.bert:2:36
      2 |   forward(x: f32[n]) -> f32[n] = x { return x }
        |                                    ^
      "
    `);
  });

  test("`=` missing before the body", () => {
    expect(inLayer("forward(x: f32[n]) -> f32[n] x + 1")).toMatchInlineSnapshot(`
      "
      error: expected \`=\` or \`{\`, found \`x\`
        --> t.bert:2:32
      2 |   forward(x: f32[n]) -> f32[n] x + 1
        |                                ^
      "
    `);
  });

  test("an `if` without a block", () => {
    expect(inBody("if n > 3\n    return x")).toMatchInlineSnapshot(`
      "
      error: expected \`{\` to begin the body of this \`if\`
        --> t.bert:3:13
      3 |     if n > 3
        |             ^
      "
    `);
  });

  test("`=` for `==`", () => {
    expect(inBody("if n = 3 { return x }")).toMatchInlineSnapshot(`
      "
      error: expected \`{\`, found \`=\`
        --> t.bert:3:10
      3 |     if n = 3 { return x }
        |          ^
        = hint: compare with \`==\`
      "
    `);
  });

  test("an import without quotes", () => {
    expect(errorsOf("import lib/bert.bert")).toMatchInlineSnapshot(`
      "
      error: expected a path in double quotes, found \`lib\`
        --> t.bert:1:8
      1 | import lib/bert.bert
        |        ^^^
        = hint: for instance \`import "lib/bert.bert"\`
      "
    `);
  });

  test("a setting without a type", () => {
    expect(errorsOf("setting vocab = 3")).toMatchInlineSnapshot(`
      "
      error: expected \`:\` and a type, found \`=\`
        --> t.bert:1:15
      1 | setting vocab = 3
        |               ^
        = hint: for instance \`setting vocab: int = 20256\`
      "
    `);
  });

  test("a setting without a value", () => {
    expect(errorsOf("setting vocab: int")).toMatchInlineSnapshot(`
      "
      error: expected \`=\` and a value, found the end of the line
        --> t.bert:1:19
      1 | setting vocab: int
        |                   ^
      "
    `);
  });

  test("a param without an initialiser", () => {
    expect(inLayer("param w: f32[n]")).toMatchInlineSnapshot(`
      "
      error: expected \`=\` and an initialiser, found the end of the line
        --> t.bert:2:18
      2 |   param w: f32[n]
        |                  ^
        = hint: for instance \`= zeros()\` or \`= normal(0.02)\`
      "
    `);
  });

  test("`repeat` without `of`", () => {
    expect(inLayer("use a = repeat 3 Linear(n)")).toMatchInlineSnapshot(`
      "
      error: expected \`of\` and a layer, found \`Linear\`
        --> t.bert:2:20
      2 |   use a = repeat 3 Linear(n)
        |                    ^^^^^^
        = hint: for instance \`repeat 12 of Block(hidden)\`
      "
    `);
  });

  test("`use` without a call", () => {
    expect(inLayer("use a = Linear")).toMatchInlineSnapshot(`
      "
      error: expected \`(\` and arguments, found the end of the line
        --> t.bert:2:17
      2 |   use a = Linear
        |                 ^
      "
    `);
  });

  test("a model that is neither", () => {
    expect(errorsOf("model Small")).toMatchInlineSnapshot(`
      "
      error: expected \`(\` and the model's settings, or \`=\`, found the end of the line
        --> t.bert:1:12
      1 | model Small
        |            ^
      "
    `);
  });

  test("require without a comma", () => {
    expect(inLayer('require n > 3 "bad"')).toMatchInlineSnapshot(`
      "
      error: expected \`,\` and a message, found \`"bad"\`
        --> t.bert:2:17
      2 |   require n > 3 "bad"
        |                 ^^^^^
      "
    `);
  });

  test("require with a name", () => {
    expect(inLayer("require n > 3, bad")).toMatchInlineSnapshot(`
      "
      error: expected a message in double quotes, found \`bad\`
        --> t.bert:2:18
      2 |   require n > 3, bad
        |                  ^^^
      "
    `);
  });

  test("a brace in a message", () => {
    expect(inLayer('require n > 3, "bad {n"')).toMatchInlineSnapshot(`
      "
      error: this \`{\` is not closed
        --> t.bert:2:23
      2 |   require n > 3, "bad {n"
        |                       ^
        = hint: a brace that is text is written \`\\{\` or \`\\}\`
      "
    `);
  });

  test("a closing brace in a message", () => {
    expect(inLayer('require n > 3, "bad n}"')).toMatchInlineSnapshot(`
      "
      error: a \`}\` without a \`{\` before it
        --> t.bert:2:24
      2 |   require n > 3, "bad n}"
        |                        ^
        = hint: a brace that is text is written \`\\{\` or \`\\}\`
      "
    `);
  });

  test("a bad expression in a message", () => {
    expect(inLayer('require n > 3, "bad {n +}"')).toMatchInlineSnapshot(`
      "
      error: expected an expression, found \`}\`
        --> t.bert:2:27
      2 |   require n > 3, "bad {n +}"
        |                           ^
      "
    `);
  });

  test("braces in braces in a message", () => {
    expect(inLayer('require n > 3, "bad {n {m}}"')).toMatchInlineSnapshot(`
      "
      error: a \`{\` inside \`{...}\`
        --> t.bert:2:26
      2 |   require n > 3, "bad {n {m}}"
        |                          ^
        = hint: a brace that is text is written \`\\{\` or \`\\}\`
      "
    `);
  });

  test("an unknown train entry", () => {
    expect(inTrain("step 50")).toMatchInlineSnapshot(`
      "
      error: a train block has no entry \`step\`
        --> t.bert:2:3
      2 |   step 50
        |   ^^^^
        = hint: did you mean \`steps\`?
      "
    `);
  });

  test("a train entry with a colon", () => {
    expect(inTrain("steps: 50")).toMatchInlineSnapshot(`
      "
      error: no \`:\` stands between \`steps\` and its value
        --> t.bert:2:8
      2 |   steps: 50
        |        ^
        = hint: write \`steps ...\`
      "
    `);
  });

  test("a train entry twice", () => {
    expect(inTrain("steps 50\n  steps 60")).toMatchInlineSnapshot(`
      "
      error: \`steps\` is given twice
        --> t.bert:3:3
      2 |   steps 50
        |   ----- the first
      3 |   steps 60
        |   ^^^^^
      "
    `);
  });

  test("a train entry without a value", () => {
    expect(inTrain("steps")).toMatchInlineSnapshot(`
      "
      error: expected an expression, found the end of the line
        --> t.bert:2:8
      2 |   steps
        |        ^
      "
    `);
  });

  test("a data field without a type", () => {
    expect(errorsOf("data D() {\n  tokens\n}")).toMatchInlineSnapshot(`
      "
      error: expected \`:\` and a type, found the end of the line
        --> t.bert:2:9
      2 |   tokens
        |         ^
        = hint: for instance \`tokens: i32[batch, max_len]\`
      "
    `);
  });
});

describe("types and parameters", () => {
  test("an unknown type", () => {
    expect(errorsOf("layer L(n: flot) {}")).toMatchInlineSnapshot(`
      "
      error: there is no type \`flot\`
        --> t.bert:1:12
      1 | layer L(n: flot) {}
        |            ^^^^
        = hint: did you mean \`float\`?
      "
    `);
  });

  test("an unknown type that is near none", () => {
    expect(errorsOf("layer L(n: Tensor) {}")).toMatchInlineSnapshot(`
      "
      error: there is no type \`Tensor\`
        --> t.bert:1:12
      1 | layer L(n: Tensor) {}
        |            ^^^^^^
        = hint: settings are \`dim\`, \`int\`, \`float\`, \`bool\`, \`string\`; tensors \`f32\`, \`i32\`, \`bool\`, as in \`f32[B, T]\`
      "
    `);
  });

  test("a tensor as a setting", () => {
    expect(errorsOf("layer L(n: f32[3]) {}")).toMatchInlineSnapshot(`
      "
      error: a setting of a layer cannot be a tensor (\`f32[3]\`)
        --> t.bert:1:12
      1 | layer L(n: f32[3]) {}
        |            ^^^^^^
        = hint: settings are \`dim\`, \`int\`, \`float\`, \`bool\` or \`string\`; tensors are inputs of \`forward\`
      "
    `);
  });

  test("dimensions on a setting", () => {
    expect(errorsOf("fn f(x: float[3]) -> f32 = x")).toMatchInlineSnapshot(`
      "
      error: \`float\` is a setting and has no dimensions
        --> t.bert:1:9
      1 | fn f(x: float[3]) -> f32 = x
        |         ^^^^^^^^
        = hint: a tensor of floats is \`f32[...]\`
      "
    `);
  });

  test("a setting as a param", () => {
    expect(inLayer("param w: float = zeros()")).toMatchInlineSnapshot(`
      "
      error: expected a tensor type, found \`float\`
        --> t.bert:2:12
      2 |   param w: float = zeros()
        |            ^^^^^
        = hint: for instance \`f32[B, T, hidden]\`
      "
    `);
  });

  test("two ellipses", () => {
    expect(inLayer("param w: f32[..., n, ...] = zeros()")).toMatchInlineSnapshot(`
      "
      error: \`...\` can stand only once here
        --> t.bert:2:24
      2 |   param w: f32[..., n, ...] = zeros()
        |                ---     ^^^
        |                the first
      "
    `);
  });

  test("a parameter without a type", () => {
    expect(errorsOf("layer L(n) {}")).toMatchInlineSnapshot(`
      "
      error: expected \`:\` and a type, found \`)\`
        --> t.bert:1:10
      1 | layer L(n) {}
        |          ^
        = hint: parameters are written \`name: type\`
      "
    `);
  });

  test("a comma missing", () => {
    expect(errorsOf("layer L(a: dim b: dim) {}")).toMatchInlineSnapshot(`
      "
      error: expected \`,\` or \`)\`, found \`b\`
        --> t.bert:1:16
      1 | layer L(a: dim b: dim) {}
        |                ^
        = hint: is a \`,\` or an operator missing?
      "
    `);
  });

  test("a comma too many", () => {
    expect(errorsOf("layer L(a: dim,, b: dim) {}")).toMatchInlineSnapshot(`
      "
      error: expected a parameter, found \`,\`
        --> t.bert:1:16
      1 | layer L(a: dim,, b: dim) {}
        |                ^
      "
    `);
  });

  test("no parameters", () => {
    expect(errorsOf("layer L {}")).toMatchInlineSnapshot(`
      "
      error: expected \`(\` and a list of parameters, found \`{\`
        --> t.bert:1:9
      1 | layer L {}
        |         ^
      "
    `);
  });

  test("a function without a result", () => {
    expect(errorsOf("fn f(x: f32) = x")).toMatchInlineSnapshot(`
      "
      error: expected \`->\` and the type of the result, found \`=\`
        --> t.bert:1:14
      1 | fn f(x: f32) = x
        |              ^
        = hint: for instance \`-> f32[..., n]\`
      "
    `);
  });

  test("a result without a type", () => {
    expect(errorsOf("fn f(x: f32) -> = x")).toMatchInlineSnapshot(`
      "
      error: expected a type, found \`=\`
        --> t.bert:1:17
      1 | fn f(x: f32) -> = x
        |                 ^
      "
    `);
  });
});

describe("expressions", () => {
  test("an operand missing", () => {
    expect(inBody("return x +")).toMatchInlineSnapshot(`
      "
      error: expected an expression, found the end of the line
        --> t.bert:3:15
      3 |     return x +
        |               ^
      "
    `);
  });

  test("an operand missing between operators", () => {
    expect(inBody("return x + * 3")).toMatchInlineSnapshot(`
      "
      error: expected an expression, found \`*\`
        --> t.bert:3:16
      3 |     return x + * 3
        |                ^
      "
    `);
  });

  test("an operator missing", () => {
    expect(inBody("return 2 x")).toMatchInlineSnapshot(`
      "
      error: expected the end of this \`return\`, found \`x\`
        --> t.bert:3:14
      3 |     return 2 x
        |              ^
        = hint: is an operator missing, or a new line?
      "
    `);
  });

  test("a comma missing", () => {
    expect(inBody("return f(a b)")).toMatchInlineSnapshot(`
      "
      error: expected \`,\` or \`)\`, found \`b\`
        --> t.bert:3:16
      3 |     return f(a b)
        |                ^
        = hint: is a \`,\` or an operator missing?
      "
    `);
  });

  test("chained comparisons", () => {
    expect(inBody("return a < b < c")).toMatchInlineSnapshot(`
      "
      error: comparisons cannot be chained
        --> t.bert:3:18
      3 |     return a < b < c
        |              -   ^
        |              the first comparison
        = hint: write \`a < b and b < c\`
      "
    `);
  });

  test("`not` in an operand", () => {
    expect(inBody("return a == not b")).toMatchInlineSnapshot(`
      "
      error: \`not\` binds less tightly than the operator before it
        --> t.bert:3:17
      3 |     return a == not b
        |                 ^^^
        = hint: put it in parentheses: \`(not a)\`
      "
    `);
  });

  test("an `if` without `else`", () => {
    expect(inBody("return if a then b")).toMatchInlineSnapshot(`
      "
      error: expected \`else\`, found the end of the line
        --> t.bert:3:23
      3 |     return if a then b
        |                       ^
        = hint: an \`if\` expression is written \`if c then a else b\`
      "
    `);
  });

  test("an `if` without `then`", () => {
    expect(inBody("return if a b else c")).toMatchInlineSnapshot(`
      "
      error: expected \`then\`, found \`b\`
        --> t.bert:3:17
      3 |     return if a b else c
        |                 ^
        = hint: an \`if\` expression is written \`if c then a else b\`
      "
    `);
  });

  test("a named argument with `=`", () => {
    expect(inBody("return f(x, axis=1)")).toMatchInlineSnapshot(`
      "
      error: a named argument is written with \`:\`
        --> t.bert:3:21
      3 |     return f(x, axis=1)
        |                     ^
        = hint: write \`axis: ...\`
      "
    `);
  });

  test("a positional argument after a named one", () => {
    expect(inBody("return f(axis: 1, x)")).toMatchInlineSnapshot(`
      "
      error: an argument without a name follows one with a name
        --> t.bert:3:23
      3 |     return f(axis: 1, x)
        |              ----     ^
        |              \`axis\` is named
        = hint: arguments given by position come first
      "
    `);
  });

  test("an argument twice", () => {
    expect(inBody("return f(a: 1, a: 2)")).toMatchInlineSnapshot(`
      "
      error: the argument \`a\` is given twice
        --> t.bert:3:20
      3 |     return f(a: 1, a: 2)
        |              -     ^
        |              the first
      "
    `);
  });

  test("an empty index", () => {
    expect(inBody("return x[]")).toMatchInlineSnapshot(`
      "
      error: expected an expression, found \`]\`
        --> t.bert:3:14
      3 |     return x[]
        |              ^
      "
    `);
  });

  test("an element missing in an index", () => {
    expect(inBody("return x[1, , 2]")).toMatchInlineSnapshot(`
      "
      error: expected an index or a slice, found \`,\`
        --> t.bert:3:17
      3 |     return x[1, , 2]
        |                 ^
      "
    `);
  });

  test("two ellipses in an index", () => {
    expect(inBody("return x[..., 1, ...]")).toMatchInlineSnapshot(`
      "
      error: \`...\` can stand only once here
        --> t.bert:3:22
      3 |     return x[..., 1, ...]
        |              ---     ^^^
        |              the first
      "
    `);
  });

  test("no name after a point", () => {
    expect(inBody("return x.3")).toMatchInlineSnapshot(`
      "
      error: expected a name after \`.\`, found \`3\`
        --> t.bert:3:14
      3 |     return x.3
        |              ^
      "
    `);
  });

  test("an argument missing", () => {
    expect(inBody("return f(, a)")).toMatchInlineSnapshot(`
      "
      error: expected an argument, found \`,\`
        --> t.bert:3:14
      3 |     return f(, a)
        |              ^
      "
    `);
  });
});

describe("several errors in one run", () => {
  test("each statement with its own, and the rest is read", () => {
    const text = [
      "setting vocab int = 20256",
      "layer A(n: dim {",
      "  param w: f32[n = zeros()",
      "  use b = Linear(n, n",
      "  forward(x: f32[n]) -> f32[n] {",
      "    let y = x + * 3",
      "    return y y",
      "  }",
      "}",
      "trian M { steps 3 }",
      "train M { steps: 3 }",
    ].join("\n");
    const { ast } = parse({ name: "t.bert", text });
    expect(ast.items.map((item) => item.kind)).toEqual(["setting", "layer", "train"]);
    expect(errorsOf(text)).toMatchInlineSnapshot(`
      "
      error: expected \`:\` and a type, found \`int\`
        --> t.bert:1:15
      1 | setting vocab int = 20256
        |               ^^^
        = hint: for instance \`setting vocab: int = 20256\`

      error: expected \`)\` to close the \`(\` opened at 2:8
        --> t.bert:2:16
      2 | layer A(n: dim {
        |        -       ^ found \`{\`
        |        opened here

      error: expected \`]\` to close the \`[\` opened at 3:15
        --> t.bert:3:27
      3 |   param w: f32[n = zeros()
        |               -           ^ found the end of the line
        |               opened here

      error: expected \`)\` to close the \`(\` opened at 4:17
        --> t.bert:4:22
      4 |   use b = Linear(n, n
        |                 -    ^ found the end of the line
        |                 opened here

      error: expected an expression, found \`*\`
        --> t.bert:6:17
      6 |     let y = x + * 3
        |                 ^

      error: expected the end of this \`return\`, found \`y\`
        --> t.bert:7:14
      7 |     return y y
        |              ^
        = hint: is an operator missing, or a new line?

      error: expected a declaration, found \`trian\`
         --> t.bert:10:1
      10 | trian M { steps 3 }
         | ^^^^^
         = hint: did you mean \`train\`?

      error: no \`:\` stands between \`steps\` and its value
         --> t.bert:11:16
      11 | train M { steps: 3 }
         |                ^
         = hint: write \`steps ...\`
      "
    `);
  });

  test("a `{` never closed: the next declaration at the margin is still read", () => {
    const text =
      "layer A() {\n  forward(x: f32) -> f32 {\n    return x\n\nlayer B() {\n  forward(x: f32) -> f32 = x\n}\nlayer C() {}";
    const { ast } = parse({ name: "t.bert", text });
    expect(ast.items.map((item) => ("name" in item ? item.name.text : ""))).toEqual(["A", "B", "C"]);
    expect(errorsOf(text)).toMatchInlineSnapshot(`
      "
      error: expected \`}\` to close the \`{\` opened at 2:26
        --> t.bert:3:13
      2 |   forward(x: f32) -> f32 {
        |                          - opened here
      3 |     return x
        |             ^ found the end of the line

      error: expected \`}\` to close the \`{\` opened at 1:11
        --> t.bert:3:13
      1 | layer A() {
        |           - opened here
        ...
      3 |     return x
        |             ^ found the end of the line
      "
    `);
  });

  test("at most 50 are shown", () => {
    const { diagnostics } = parse({ name: "t.bert", text: "foo\n".repeat(80) });
    expect(diagnostics).toHaveLength(51);
    expect(diagnostics.at(-1)?.message).toBe("30 more errors in this file after the first 50");
  });
});

describe("limits", () => {
  test("file size", () => {
    const { diagnostics } = parse({ name: "t.bert", text: " ".repeat(250_001) });
    expect(diagnostics.map((d) => d.message)).toEqual(["the file has more than 250000 characters"]);
  });

  test.each([
    ["brackets", (n: number) => `${"(".repeat(n)}x${")".repeat(n)}`],
    ["calls", (n: number) => `${"f(".repeat(n)}x${")".repeat(n)}`],
    ["conditions", (n: number) => "if a then b else ".repeat(n) + "x"],
    ["conditions behind calls", (n: number) => "if f(a) then b else ".repeat(n) + "x"],
  ])("nesting of %s: 60 are read, 70 are an error", (_, nest) => {
    const read = (n: number) =>
      parse({ name: "t.bert", text: `fn f(x: f32) -> f32 = ${nest(n)}` }).diagnostics;
    expect(read(60)).toEqual([]);
    expect(read(70).map((d) => d.code)).toEqual(["nested-too-deeply"]);
    expect(read(10_000).map((d) => d.code)).toEqual(["nested-too-deeply"]);
  });

  test.each([
    ["sums", (n: number) => "x + ".repeat(n) + "x"],
    ["powers", (n: number) => "x ** ".repeat(n) + "x"],
    ["signs", (n: number) => "- ".repeat(n) + "x"],
    ["calls", (n: number) => `x${"()".repeat(n)}`],
    ["members", (n: number) => `x${".y".repeat(n)}`],
  ])("length of %s: 250 are read, 260 are an error", (_, chain) => {
    const read = (n: number) =>
      parse({ name: "t.bert", text: `fn f(x: f32) -> f32 = ${chain(n)}` }).diagnostics;
    expect(read(250)).toEqual([]);
    expect(read(260).map((d) => d.code)).toContain("nested-too-deeply");
    expect(read(10_000).map((d) => d.code)).toContain("nested-too-deeply");
  });

  test("`else if`: 60 are read, 70 are an error", () => {
    const read = (n: number) =>
      parse({ name: "t.bert", text: `layer L() {\n if a {} ${"else if a {} ".repeat(n)}\n}` }).diagnostics;
    expect(read(60)).toEqual([]);
    expect(read(70).map((d) => d.code)).toEqual(["nested-too-deeply"]);
  });
});
