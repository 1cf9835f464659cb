import type { Diagnostic, Span } from "../../diagnostics/index.ts";
import { limits } from "../limits.ts";
import { type Dim, describe, formatTensor, type Value } from "../value.ts";
import { error } from "./diagnostic.ts";

export function tensorTooLarge(span: Span, dtype: string, dims: readonly Dim[]): Diagnostic {
  const count = dims.reduce((n, d) => n * d.size, 1);
  const shown = formatTensor(dtype === "i32" || dtype === "bool" ? dtype : "f32", dims);
  return error(
    "tensor-too-large",
    `this tensor has ${count} elements, the limit is ${limits.elements}`,
    span,
    shown,
    {
      hint: "take a smaller batch, or shorter texts, or split the tensor",
    },
  );
}

export function rankTooHigh(span: Span, dims: readonly Dim[]): Diagnostic {
  return error(
    "rank-limit",
    `this tensor has ${dims.length} axes, the limit is ${limits.rank}`,
    span,
    "made here",
  );
}

export function tooMuch(
  span: Span,
  limit: "evaluations" | "nesting" | "instances" | "instructions",
  bound: number,
): Diagnostic {
  const what = {
    evaluations: `the spec evaluates more than ${bound} expressions`,
    nesting: `calls, layers and expressions nest deeper than ${bound}`,
    instances: `the model has more than ${bound} layer instances`,
    instructions: `the model has more than ${bound} operations`,
  }[limit];
  return error("too-much", what, span, "the limit is reached here", {
    hint: limit === "nesting" ? "does a layer or function use itself without end?" : undefined,
  });
}

export function repeatCount(span: Span, value: Value, most: number): Diagnostic {
  return error(
    "repeat-count",
    `\`repeat\` takes an int from 1 to ${most}, not ${describe(value)}`,
    span,
    describe(value),
  );
}
