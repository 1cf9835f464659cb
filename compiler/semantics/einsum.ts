import type { Diagnostic } from "../diagnostics/index.ts";
import type { CallExpression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { axisSizes, operandKinds, patternProblem, patternRank, primitiveUsage } from "./errors.ts";
import { type PatternItem, parsePattern } from "./patterns.ts";
import type { Given } from "./signature.ts";
import { type Dim, errorValue, type TensorValue, type Value } from "./value.ts";

export const einsumUsage = 'einsum("b i d, b j d -> b i j", x, y)';

/** `einsum(pattern, x, y)`: one or two operands; an axis that is not in the result is summed over. */
export function einsum(
  a: Analysis,
  call: CallExpression,
  given: readonly Given[],
  env: Env,
  label: string,
): Value {
  const [pattern, ...operands] = given;
  if (given.some((g) => g.value.kind === "error")) return errorValue;
  if (pattern?.value.kind !== "string" || given.some((g) => g.name !== undefined)) {
    return a.fail(primitiveUsage(call.span, "einsum", einsumUsage));
  }
  const parsed = parsePattern(pattern.value.value, pattern.span);
  if (!("left" in parsed)) return a.fail(patternProblem(parsed));
  if (operands.length < 1 || operands.length > 2 || parsed.left.length !== operands.length) {
    const text = `${parsed.left.length} operands here, ${operands.length} in the call (one or two)`;
    return a.fail(patternProblem({ span: pattern.span, text }));
  }
  const labels = new Map<string, { readonly label: number; readonly dim: Dim; readonly item: PatternItem }>();
  const rest: number[] = [];
  const dimOf: Dim[] = [];
  const sides: number[][] = [];
  const tensors: TensorValue[] = [];
  for (const [i, operand] of operands.entries()) {
    const items = parsed.left[i] ?? [];
    const tensor = operand.value;
    if (tensor.kind !== "tensor" || tensor.dtype !== "f32") {
      return a.fail(operandKinds(operand.span, "einsum", [operand], "f32 tensors"));
    }
    tensors.push(tensor);
    const odd = items.find((item) => item.kind !== "axis" && item.kind !== "ellipsis");
    if (odd !== undefined) return a.fail(namesOnly(odd));
    const ellipsis = items.some((item) => item.kind === "ellipsis");
    const extra = tensor.dims.length - items.length + (ellipsis ? 1 : 0);
    if (ellipsis ? extra < 0 : extra !== 0) {
      return a.fail(patternRank(operand.span, tensor, items, pattern.span));
    }
    const side: number[] = [];
    let axis = 0;
    for (const item of items) {
      if (item.kind === "ellipsis") {
        const problem = takeEllipsis(tensor.dims.slice(axis, axis + extra), rest, dimOf, side);
        if (problem !== undefined) return a.fail(patternProblem({ span: item.span, text: problem }));
        axis += extra;
        continue;
      }
      if (item.kind !== "axis") {
        return a.fail(namesOnly(item));
      }
      const dim = tensor.dims[axis++];
      if (dim === undefined) return errorValue;
      const known = labels.get(item.name);
      if (known === undefined) {
        labels.set(item.name, { label: dimOf.length, dim, item });
        side.push(dimOf.length);
        dimOf.push(dim);
        continue;
      }
      if (side.includes(known.label)) {
        return a.fail(
          patternProblem({ span: item.span, text: `\`${item.name}\` occurs twice in one operand` }),
        );
      }
      if (known.dim.size !== dim.size)
        return a.fail(axisSizes(item.name, item.span, dim, known.item.span, known.dim));
      side.push(known.label);
    }
    sides.push(side);
  }
  const out: number[] = [];
  for (const item of parsed.right) {
    if (item.kind === "ellipsis") {
      if (!parsed.left.flat().some((i) => i.kind === "ellipsis")) {
        return a.fail(patternProblem({ span: item.span, text: "`...` stands only on the right" }));
      }
      out.push(...rest);
      continue;
    }
    const known = item.kind === "axis" ? labels.get(item.name) : undefined;
    if (item.kind !== "axis") {
      return a.fail(namesOnly(item));
    }
    if (known === undefined) {
      return a.fail(patternProblem({ span: item.span, text: `\`${item.name}\` is on the right only` }));
    }
    if (out.includes(known.label))
      return a.fail(patternProblem({ span: item.span, text: `\`${item.name}\` occurs twice` }));
    out.push(known.label);
  }
  const lost = parsed.left.flat().find((i) => i.kind === "ellipsis");
  if (lost !== undefined && !parsed.right.some((i) => i.kind === "ellipsis")) {
    return a.fail(patternProblem({ span: lost.span, text: "`...` stands only on the left" }));
  }
  const dims = out.flatMap((l) => dimOf[l] ?? []);
  const origin = { path: env.path, span: call.span, label };
  return a.emit(
    { op: "einsum", labels: sides, out },
    tensors.map((t) => t.id),
    "f32",
    dims,
    origin,
  );
}

/** The labels of the axes behind `...`: the same for every operand that has it. */
function takeEllipsis(
  dims: readonly Dim[],
  rest: number[],
  dimOf: Dim[],
  side: number[],
): string | undefined {
  if (rest.length === 0) {
    for (const dim of dims) {
      rest.push(dimOf.length);
      dimOf.push(dim);
    }
  } else if (rest.length !== dims.length || rest.some((l, i) => dimOf[l]?.size !== dims[i]?.size)) {
    return "`...` stands for other axes here than in the first operand";
  }
  side.push(...rest);
  return undefined;
}

function namesOnly(item: PatternItem): Diagnostic {
  const hint = "use `rearrange` to split or join axes";
  return patternProblem({ span: item.span, text: "einsum takes names of axes only", hint });
}
