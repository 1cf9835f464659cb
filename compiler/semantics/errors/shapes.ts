import type { Diagnostic, Label, Span } from "../../diagnostics/index.ts";
import type { Expression, IndexExpression, TensorType } from "../../syntax/index.ts";
import type { Env } from "../analysis.ts";
import { type Dim, describe, formatDim, formatTensor, type TensorValue, type Value } from "../value.ts";
import { error, plural, suggestion } from "./diagnostic.ts";

interface Typed {
  readonly value: Value;
  readonly span: Span;
}

/** Where a size was learnt, unless that is where we point anyway. */
function sourceOf(dim: Dim, ...shown: readonly Span[]): readonly Label[] {
  const known = dim.outer?.at !== undefined ? dim.outer : dim;
  const { at } = known;
  if (at === undefined || shown.some((s) => s.file === at.file && s.start === at.start)) return [];
  const [inner, outer] = [dim.name ?? known.name, known.name];
  const size =
    inner === undefined || inner === outer || outer === undefined
      ? `${known.size}`
      : `\`${outer}\`, ${known.size}`;
  return [
    { span: at, text: inner === undefined ? `${size} from here` : `\`${inner}\` is ${size} from here` },
  ];
}

/** Related places without repetition of one place. */
function distinct(labels: readonly Label[]): readonly Label[] {
  const same = (a: Label, b: Label): boolean => a.span.start === b.span.start && a.span.file === b.span.file;
  return labels.filter((label, i) => labels.findIndex((other) => same(other, label)) === i);
}

/** "`hidden` is 128, `ffn` is 256"; "6 (`n`) and 12" where not both have names */
function differ(a: Dim, b: Dim): string {
  if (a.name !== undefined && b.name !== undefined && a.name !== b.name) {
    return `\`${a.name}\` is ${a.size}, \`${b.name}\` is ${b.size}`;
  }
  return `${sizeAndName(a)} and ${sizeAndName(b)}`;
}

function sizeAndName(dim: Dim): string {
  return dim.name === undefined ? `${dim.size}` : `${dim.size} (\`${dim.name}\`)`;
}

export function dimensionMismatch(
  place: { readonly what: string; readonly span: Span; readonly typeSpan: Span },
  tensor: TensorValue,
  dimension: Expression,
  wanted: Dim,
  got: Dim,
): Diagnostic {
  const shown: Dim = dimension.kind === "name" ? { ...wanted, name: dimension.text } : wanted;
  const named = shown.name !== undefined && got.name !== undefined && shown.name !== got.name;
  const sizes = named ? differ(shown, got) : `${sizeAndName(shown)} is needed, this is ${sizeAndName(got)}`;
  return error("dimension-mismatch", `${place.what} does not fit: ${sizes}`, place.span, describe(tensor), {
    related: distinct([
      { span: dimension.span, text: `must be ${shown.size} here` },
      ...sourceOf(wanted, dimension.span, place.span),
      ...sourceOf(got, dimension.span, place.span),
    ]),
  });
}

export function rankMismatch(span: Span, tensor: TensorValue, type: TensorType, what: string): Diagnostic {
  const fixed = type.dims.filter((d) => d.kind !== "ellipsis").length;
  const least =
    fixed < type.dims.length
      ? `${plural(fixed, "axis").replace("axiss", "axes")} or more`
      : plural(fixed, "axis").replace("axiss", "axes");
  return error(
    "rank-mismatch",
    `${what} has ${least}, this has ${tensor.dims.length}`,
    span,
    describe(tensor),
    {
      related: [{ span: type.span, text: "declared here" }],
    },
  );
}

export function dtypeMismatch(span: Span, tensor: TensorValue, type: TensorType): Diagnostic {
  const castable = type.dtype === "f32" || type.dtype === "i32";
  return error(
    "dtype-mismatch",
    `a tensor of ${type.dtype} is needed, this is ${tensor.dtype}`,
    span,
    describe(tensor),
    {
      related: [{ span: type.span, text: "declared here" }],
      hint: castable ? `\`${type.dtype}(x)\` converts` : undefined,
    },
  );
}

export function notTensor(span: Span, value: Value, typeSpan: Span): Diagnostic {
  return error("not-a-tensor", `a tensor is needed, this is ${describe(value)}`, span, describe(value), {
    related: [{ span: typeSpan, text: "declared here" }],
  });
}

export function ellipsisMismatch(
  span: Span,
  tensor: TensorValue,
  what: string,
  got: { readonly dims: readonly Dim[]; readonly span: Span },
  bound: { readonly dims: readonly Dim[]; readonly span: Span; readonly what: string },
): Diagnostic {
  const show = (dims: readonly Dim[]): string => `[${dims.map(formatDim).join(", ")}]`;
  const message = `\`...\` is ${show(bound.dims)} in ${bound.what}, ${show(got.dims)} in ${what}`;
  return error("dimension-mismatch", message, span, describe(tensor), {
    related: distinct([
      { span: bound.span, text: `bound to ${show(bound.dims)}` },
      { span: got.span, text: "must be the same here" },
    ]),
  });
}

export function unboundDimension(dimension: Expression, env: Env): Diagnostic {
  const name = dimension.kind === "name" ? dimension.text : "";
  return error("unknown-dimension", `no dimension \`${name}\` is known here`, dimension.span, "not bound", {
    hint: suggestion(name, env.scope.names()),
  });
}

export function unboundEllipsis(span: Span): Diagnostic {
  return error(
    "unknown-dimension",
    "`...` of a result must be bound by a parameter",
    span,
    "stands for nothing",
    {
      hint: "let a tensor of the parameters have `...` too",
    },
  );
}

export function compoundDimension(span: Span, unbound: Expression): Diagnostic {
  const name = unbound.kind === "name" ? unbound.text : "";
  return error(
    "unknown-dimension",
    `\`${name}\` cannot be found from this`,
    span,
    "an equation is not solved",
    {
      hint: `let another tensor have \`${name}\` by itself, or make it a parameter`,
    },
  );
}

export function notDimension(span: Span, value: Value): Diagnostic {
  const quotient = value.kind === "float" && value.quotient === true;
  return error(
    "not-a-dimension",
    `a dimension is an int of 1 or more, this is ${describe(value)}`,
    span,
    "used as a size",
    {
      hint: quotient ? "the division must be exact" : undefined,
    },
  );
}

export function parameterDtype(type: TensorType): Diagnostic {
  return error(
    "parameter-type",
    "a parameter is an f32 tensor whose sizes are all known",
    type.span,
    "not such a type",
  );
}

export function broadcastMismatch(
  span: Span,
  shown: string,
  a: Typed,
  b: Typed,
  mismatch: readonly [Dim, Dim],
): Diagnostic {
  const [x, y] = mismatch;
  return error(
    "shape-mismatch",
    `\`${shown}\`: dimensions differ: ${differ(x, y)}`,
    span,
    "shapes are aligned at the right; only 1 repeats",
    {
      related: distinct([
        { span: a.span, text: describe(a.value) },
        { span: b.span, text: describe(b.value) },
        ...sourceOf(x, span, a.span, b.span),
        ...sourceOf(y, span, a.span, b.span),
      ]),
    },
  );
}

export function matmulMismatch(span: Span, a: Typed, b: Typed, inner: Dim, rows: Dim): Diagnostic {
  return error(
    "shape-mismatch",
    `\`@\`: dimensions differ: ${differ(inner, rows)}`,
    span,
    "last axis of the left, second-to-last of the right",
    {
      related: distinct([
        { span: a.span, text: describe(a.value) },
        { span: b.span, text: describe(b.value) },
        ...sourceOf(inner, span, a.span, b.span),
        ...sourceOf(rows, span, a.span, b.span),
      ]),
    },
  );
}

export function operandKinds(
  span: Span,
  shown: string,
  operands: readonly Typed[],
  wanted: string,
): Diagnostic {
  const got = operands.map((o) => describe(o.value)).join(" and ");
  const single = operands.length === 1;
  const related = operands
    .filter((o) => o.span !== span)
    .map((o) => ({ span: o.span, text: describe(o.value) }));
  return error("wrong-operands", `\`${shown}\` takes ${wanted}, not ${got}`, span, single ? "" : "of these", {
    related,
  });
}

export function mixedDtypes(span: Span, shown: string, a: Typed, b: Typed): Diagnostic {
  return error("dtype-mismatch", `\`${shown}\` takes two tensors of one dtype`, span, "dtypes differ", {
    related: [
      { span: a.span, text: describe(a.value) },
      { span: b.span, text: describe(b.value) },
    ],
    hint: "`f32(x)` and `i32(x)` convert",
  });
}

export function integerTensorNeeded(operand: Typed, other: Typed, shown: string): Diagnostic {
  return error(
    "dtype-mismatch",
    `\`${shown}\`: a float meets an i32 tensor`,
    operand.span,
    describe(operand.value),
    {
      related: [{ span: other.span, text: describe(other.value) }],
      hint: "convert the tensor: `f32(x)`",
    },
  );
}

export function axisOutOfRange(span: Span, axis: number, tensor: TensorValue): Diagnostic {
  const rank = tensor.dims.length;
  const message = rank === 0 ? "a scalar has no axes" : `axis ${axis} of a tensor with ${rank}`;
  return error("axis-range", message, span, describe(tensor), {
    hint: rank === 0 ? undefined : `axes are ${-rank} to ${rank - 1}`,
  });
}

export function indexRange(span: Span, value: Value, size: number, stop?: number): Diagnostic {
  const shown = value.kind === "int" ? String(value.value) : describe(value);
  if (stop !== undefined)
    return error("index-range", `the slice ${shown}:${stop} is empty`, span, "from here to there is nothing");
  return error("index-range", `${shown} is no place in an axis of ${size}`, span, "out of range");
}

export function indexCount(expression: IndexExpression, tensor: TensorValue): Diagnostic {
  const count = expression.items.filter((i) => i.kind !== "ellipsis").length;
  return error(
    "index-count",
    `${count} indices for ${tensor.dims.length} axes`,
    expression.span,
    formatTensor(tensor.dtype, tensor.dims),
  );
}

export function concatMismatch(span: Span, axis: number, first: TensorValue, other: TensorValue): Diagnostic {
  const message = `\`concat\`: ${describe(first)} and ${describe(other)} differ beside axis ${axis}`;
  return error("shape-mismatch", message, span, "joined here");
}

export function gatherMismatch(span: Span, x: Typed, indices: Typed): Diagnostic {
  return error("shape-mismatch", "`gather`: the first axes differ", span, "rows are picked per example", {
    related: [
      { span: x.span, text: describe(x.value) },
      { span: indices.span, text: describe(indices.value) },
    ],
  });
}

export function numberRange(span: Span, value: number, dtype: string): Diagnostic {
  return error("number-range", `${value} is out of the range of ${dtype}`, span, "meets a tensor here");
}
