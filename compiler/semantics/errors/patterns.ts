import type { Diagnostic, Span } from "../../diagnostics/index.ts";
import type { Name } from "../../syntax/index.ts";
import type { PatternItem, PatternProblem } from "../patterns.ts";
import { type Dim, describe, formatDim, type TensorValue } from "../value.ts";
import { error, suggestion } from "./diagnostic.ts";

export function patternProblem(problem: PatternProblem): Diagnostic {
  return error("pattern", `pattern: ${problem.text}`, problem.span, "here", { hint: problem.hint });
}

export function primitiveUsage(span: Span, name: string, usage: string): Diagnostic {
  return error("usage", `\`${name}\` is called as \`${usage}\``, span, "not so");
}

export function patternRank(
  span: Span,
  tensor: TensorValue,
  items: readonly PatternItem[],
  pattern: Span,
): Diagnostic {
  const [only] = items;
  const packed = items.length === 1 && only?.kind === "axis" && only.name.length === tensor.dims.length;
  const side = items.length === 1 ? "1 axis" : `${items.length} axes`;
  return error(
    "pattern-rank",
    `the pattern has ${side}, the tensor ${tensor.dims.length}`,
    span,
    describe(tensor),
    {
      related: [{ span: pattern, text: side }],
      hint: packed ? `axes are separated by spaces: \`${[...only.name].join(" ")}\`` : undefined,
    },
  );
}

export function axisSizes(name: string, span: Span, dim: Dim, other: Span, wanted: Dim): Diagnostic {
  const message = `axis \`${name}\` has two sizes: ${formatDim(dim)} and ${formatDim(wanted)}`;
  if (name === "1") return error("axis-sizes", `this axis is ${formatDim(dim)}, not 1`, span, "must be 1");
  const same = other.file === span.file && other.start === span.start;
  return error("axis-sizes", message, span, formatDim(dim), {
    related: same ? [] : [{ span: other, text: formatDim(wanted) }],
  });
}

export function splitMismatch(span: Span, whole: Dim, parts: readonly Dim[], target: Span): Diagnostic {
  const product = parts.map(formatDim).join(" * ");
  return error(
    "axis-sizes",
    `${formatDim(whole)} cannot be split by ${product === "" ? "1" : product}`,
    span,
    "split here",
    {
      related: [{ span: target, text: `its axis is ${formatDim(whole)}` }],
    },
  );
}

export function unknownAxis(name: Name, known: readonly string[]): Diagnostic {
  return error(
    "unknown-axis",
    `the pattern has no axis \`${name.text}\` on its left side`,
    name.span,
    "given here",
    {
      hint: suggestion(name.text, known),
    },
  );
}
