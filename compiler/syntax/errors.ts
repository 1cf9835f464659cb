import { type Diagnostic, nearest, positionOf, type SourceFile, type Span } from "../diagnostics/index.ts";

/* The texts of all messages of this room. */

function error(
  code: string,
  span: Span,
  message: string,
  text: string,
  more: { readonly related?: Diagnostic["related"]; readonly hint?: string | undefined } = {},
): Diagnostic {
  return {
    code,
    severity: "error",
    message,
    primary: { span, text },
    related: more.related ?? [],
    ...(more.hint !== undefined && { hint: more.hint }),
  };
}

/** How a character is named: itself where it can be seen, and its number. */
function describeCharacter(text: string): string {
  const code = text.codePointAt(0) ?? 0;
  const number = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  if (code > 0x20 && code < 0x7f) return `\`${text}\``;
  return /^[\p{L}\p{P}\p{S}\p{N}]$/u.test(text) ? `\`${text}\` (${number})` : number;
}

// --- characters and tokens ------------------------------------------------------------------------------

export const fileTooLarge = (span: Span, limit: number): Diagnostic =>
  error("file-too-large", span, `the file has more than ${limit} characters`, "", {
    hint: "is this a `.bert` file? Split it with `import`",
  });

export const blockComment = (span: Span): Diagnostic =>
  error(
    "block-comment",
    { ...span, end: span.start + 2 },
    "comments are written with `//`",
    "not a comment here",
    {
      hint: "begin every line of the comment with `//`",
    },
  );

export const foreignLetters = (span: Span, word: string): Diagnostic =>
  error(
    "bad-name",
    span,
    `\`${word}\` is no name: names are made of the letters a to z, digits and \`_\``,
    "",
  );

export const badNumber = (span: Span, text: string): Diagnostic => {
  const plain = text.replaceAll("_", "");
  const hint = /^\d+$/.test(plain)
    ? `write \`${plain}\``
    : /^0[xX][0-9a-fA-F]{1,8}$/.test(text)
      ? `write \`${Number.parseInt(text.slice(2), 16)}\``
      : "numbers look like `64`, `0.1` and `1e-4`; a name cannot begin with a digit";
  return error("bad-number", span, `\`${text}\` is no number`, "", { hint });
};

export const unterminatedString = (span: Span): Diagnostic =>
  error(
    "unterminated-string",
    span,
    "the string is not closed",
    'a `"` is missing before the end of the line',
  );

export const singleQuotes = (span: Span, text: string): Diagnostic =>
  error("single-quotes", span, "strings stand in double quotes", "", {
    hint: `write \`"${text.slice(1, -1)}"\``,
  });

export const badEscape = (span: Span, text: string): Diagnostic =>
  error("bad-escape", span, `\`${text}\` means nothing in a string`, "", {
    hint: 'a string knows `\\"`, `\\\\`, `\\n`, `\\t`, `\\{` and `\\}`',
  });

export const foreignOperator = (span: Span, found: string, meant: string): Diagnostic =>
  error("foreign-operator", span, `\`${found}\` is not an operator`, "", { hint: `write \`${meant}\`` });

export const strayCharacters = (span: Span, first: string): Diagnostic =>
  error("stray-character", span, `${describeCharacter(first)} has no meaning here`, "", {
    hint:
      first === "#"
        ? "comments begin with `//`"
        : first === "\u201c" || first === "\u201d"
          ? 'strings stand in straight quotes: `"..."`'
          : undefined,
  });

export const numberTooLarge = (span: Span): Diagnostic =>
  error("number-range", span, "the number is too large", "", {
    hint: "integers go up to 2^53 - 1, floats up to 1.79e308",
  });

// --- brackets -------------------------------------------------------------------------------------------

const closerOf: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

export function unclosed(
  file: SourceFile,
  open: Span,
  opener: string,
  found: Span,
  where: string,
): Diagnostic {
  const { line, column } = positionOf(file, open.start);
  const message = `expected \`${closerOf[opener]}\` to close the \`${opener}\` opened at ${line}:${column}`;
  return error("unclosed-bracket", found, message, `found ${where}`, {
    related: [{ span: open, text: "opened here" }],
  });
}

export const unopened = (span: Span, closer: string): Diagnostic =>
  error("unopened-bracket", span, `this \`${closer}\` closes nothing`, "");

export const semicolonInBrackets = (span: Span, opener: string): Diagnostic =>
  error(
    "semicolon-in-brackets",
    span,
    `a statement cannot end inside \`${opener}...${closerOf[opener]}\``,
    "",
    {
      hint: "entries are separated by `,`",
    },
  );

export const tooDeep = (span: Span, limit: number): Diagnostic =>
  error("nested-too-deeply", span, `nested more than ${limit} levels deep`, "", {
    hint: "name parts of it with `let` or `const`",
  });

// --- statements -----------------------------------------------------------------------------------------

/** `expected` says what may stand here, `found` what does (both in words, code in backquotes). */
export const unexpected = (span: Span, expected: string, found: string, hint?: string): Diagnostic =>
  error("syntax", span, `expected ${expected}, found ${found}`, "", { hint });

export const reservedWord = (span: Span, word: string): Diagnostic =>
  error("reserved-word", span, `\`${word}\` is a word of the language and cannot be a name`, "");

/** A line that begins with nothing that may begin one there. */
export function unknownStatement(
  span: Span,
  found: string,
  word: string | undefined,
  place: string,
  words: readonly string[],
  belongs: string | undefined,
): Diagnostic {
  const near = word === undefined ? undefined : nearest(word, words);
  const list = words.map((w) => `\`${w}\``).join(", ");
  const hint =
    belongs !== undefined
      ? belongs
      : near !== undefined
        ? `did you mean \`${near}\`?`
        : `it begins with one of ${list}`;
  return error("unknown-statement", span, `expected ${place}, found ${found}`, "", { hint });
}

export const trailing = (span: Span, expected: string, found: string, hint?: string): Diagnostic =>
  error("trailing-text", span, `expected ${expected}, found ${found}`, "", { hint });

export const blockNotHere = (span: Span, what: string): Diagnostic =>
  error("unexpected-block", span, `${what} takes no \`{...}\``, "");

export const blockMissing = (span: Span, what: string): Diagnostic =>
  error("missing-block", span, `expected \`{\` to begin the body of ${what}`, "");

export const bodyMissing = (span: Span, what: string): Diagnostic =>
  error("missing-body", span, `expected \`= expression\` or \`{...}\`: the body of ${what}`, "");

export const bodyTwice = (span: Span, what: string): Diagnostic =>
  error("two-bodies", span, `${what} has a body after \`=\` and another in braces`, "");

export const elseWithoutIf = (span: Span): Diagnostic =>
  error("else-without-if", span, "this `else` belongs to no `if`", "");

export const elseChain = (span: Span, limit: number): Diagnostic =>
  error("nested-too-deeply", span, `more than ${limit} \`else if\` in a row`, "");

// --- inside statements ----------------------------------------------------------------------------------

export function unknownType(
  span: Span,
  found: string,
  settings: readonly string[],
  elements: readonly string[],
): Diagnostic {
  const near = nearest(found, [...settings, ...elements]);
  const list = (names: readonly string[]) => names.map((n) => `\`${n}\``).join(", ");
  return error("unknown-type", span, `there is no type \`${found}\``, "", {
    hint:
      near !== undefined
        ? `did you mean \`${near}\`?`
        : `settings are ${list(settings)}; tensors ${list(elements)}, as in \`f32[B, T]\``,
  });
}

export const dimensionsOnSetting = (span: Span, name: string): Diagnostic =>
  error("unknown-type", span, `\`${name}\` is a setting and has no dimensions`, "", {
    hint:
      name === "int"
        ? "a tensor of integers is `i32[...]`"
        : name === "float"
          ? "a tensor of floats is `f32[...]`"
          : undefined,
  });

export const tensorExpected = (span: Span, found: string): Diagnostic =>
  error("tensor-expected", span, `expected a tensor type, found \`${found}\``, "", {
    hint: "for instance `f32[B, T, hidden]`",
  });

export const settingExpected = (span: Span, found: string, what: string): Diagnostic =>
  error("setting-expected", span, `${what} cannot be a tensor (\`${found}\`)`, "", {
    hint: "settings are `dim`, `int`, `float`, `bool` or `string`; tensors are inputs of `forward`",
  });

export const ellipsisTwice = (span: Span, first: Span): Diagnostic =>
  error("two-ellipses", span, "`...` can stand only once here", "", {
    related: [{ span: first, text: "the first" }],
  });

export const positionalAfterNamed = (span: Span, named: Span, name: string): Diagnostic =>
  error("argument-order", span, "an argument without a name follows one with a name", "", {
    related: [{ span: named, text: `\`${name}\` is named` }],
    hint: "arguments given by position come first",
  });

export const argumentTwice = (span: Span, first: Span, name: string): Diagnostic =>
  error("duplicate-argument", span, `the argument \`${name}\` is given twice`, "", {
    related: [{ span: first, text: "the first" }],
  });

export const equalsInArgument = (span: Span, name: string): Diagnostic =>
  error("equals-in-argument", span, "a named argument is written with `:`", "", {
    hint: `write \`${name}: ...\``,
  });

export const punctuationInEntry = (span: Span, key: string, found: string): Diagnostic =>
  error("entry-punctuation", span, `no \`${found}\` stands between \`${key}\` and its value`, "", {
    hint: `write \`${key} ...\``,
  });

export const unknownTrainKey = (span: Span, key: string, keys: readonly string[]): Diagnostic => {
  const near = nearest(key, keys);
  return error("unknown-entry", span, `a train block has no entry \`${key}\``, "", {
    hint:
      near !== undefined ? `did you mean \`${near}\`?` : `it has ${keys.map((k) => `\`${k}\``).join(", ")}`,
  });
};

export const initWithoutFrom = (span: Span): Diagnostic =>
  error("init-without-from", span, "`init` is followed by `from`", "", {
    hint: 'for instance `init from "checkpoint.safetensors"`',
  });

export const trainKeyTwice = (span: Span, first: Span, key: string): Diagnostic =>
  error("duplicate-entry", span, `\`${key}\` is given twice`, "", {
    related: [{ span: first, text: "the first" }],
  });

export const chainedComparison = (span: Span, first: Span): Diagnostic =>
  error("chained-comparison", span, "comparisons cannot be chained", "", {
    related: [{ span: first, text: "the first comparison" }],
    hint: "write `a < b and b < c`",
  });

export const notNeedsParentheses = (span: Span): Diagnostic =>
  error("not-in-operand", span, "`not` binds less tightly than the operator before it", "", {
    hint: "put it in parentheses: `(not a)`",
  });

export const bracesInTemplate = (span: Span, message: string): Diagnostic =>
  error("bad-template", span, message, "", { hint: "a brace that is text is written `\\{` or `\\}`" });

export const tooManyErrors = (span: Span, shown: number, more: number): Diagnostic =>
  error("too-many-errors", span, `${more} more errors in this file after the first ${shown}`, "");
