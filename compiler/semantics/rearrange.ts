import type { CallExpression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import {
  axisSizes,
  notSetting,
  operandKinds,
  patternProblem,
  patternRank,
  primitiveUsage,
  rankTooHigh,
  splitMismatch,
  unknownAxis,
} from "./errors.ts";
import { limits } from "./limits.ts";
import { exactInt } from "./numbers.ts";
import { type PatternItem, parsePattern } from "./patterns.ts";
import type { Given } from "./signature.ts";
import { type Dim, errorValue, type TensorValue, type Value } from "./value.ts";

export const rearrangeUsage = 'rearrange(x, "b t (h d) -> b h t d", h: 2)';

interface Atom {
  readonly dim: Dim;
  readonly item: PatternItem;
}

/** `rearrange(x, pattern, name: size, ...)`: splits, joins, reorders, inserts and removes axes of size 1. */
export function rearrange(
  a: Analysis,
  call: CallExpression,
  given: readonly Given[],
  env: Env,
  label: string,
): Value {
  if (given.some((g) => g.value.kind === "error")) return errorValue;
  const [target, pattern, ...others] = given;
  if (
    target === undefined ||
    pattern?.value.kind !== "string" ||
    others.some((g) => g.name === undefined) ||
    pattern.name !== undefined
  ) {
    return a.fail(primitiveUsage(call.span, "rearrange", rearrangeUsage));
  }
  const tensor = target.value;
  if (tensor.kind !== "tensor") return a.fail(operandKinds(target.span, "rearrange", [target], "a tensor"));
  const parsed = parsePattern(pattern.value.value, pattern.span);
  if (!("left" in parsed)) return a.fail(patternProblem(parsed));
  const [left, second] = parsed.left;
  if (left === undefined || second !== undefined) {
    return a.fail(patternProblem({ span: pattern.span, text: "rearrange takes one operand" }));
  }
  const sizes = readSizes(a, others, left);
  if (sizes === undefined) return errorValue;
  const atoms = splitAxes(a, tensor, target, left, sizes, pattern);
  if (atoms === undefined) return errorValue;
  return arrange(a, tensor, atoms, parsed.right, left, call, env, label);
}

function readSizes(
  a: Analysis,
  given: readonly Given[],
  left: readonly PatternItem[],
): ReadonlyMap<string, Dim> | undefined {
  const names = left.flatMap(atomsOf).flatMap((item) => (item.kind === "axis" ? [item.name] : []));
  const sizes = new Map<string, Dim>();
  for (const { name, value, span } of given) {
    if (name === undefined) continue;
    if (!names.includes(name.text)) {
      a.report(unknownAxis(name, names));
      return undefined;
    }
    const size = exactInt(value);
    if (size === undefined || size < 1) {
      a.report(notSetting(span, `axis \`${name.text}\``, "dim", value, undefined));
      return undefined;
    }
    sizes.set(
      name.text,
      value.kind === "int" && value.dim !== undefined ? value.dim : { size, name: name.text, at: span },
    );
  }
  return sizes;
}

function atomsOf(item: PatternItem): readonly PatternItem[] {
  return item.kind === "group" ? item.items : [item];
}

/** The atomic axes of the left side, those of `...` under its key; undefined where they do not fit. */
function splitAxes(
  a: Analysis,
  tensor: TensorValue,
  target: Given,
  left: readonly PatternItem[],
  sizes: ReadonlyMap<string, Dim>,
  pattern: Given,
):
  | {
      readonly named: ReadonlyMap<string, Atom & { readonly position: number }>;
      readonly rest: readonly number[];
      readonly split: readonly Dim[];
    }
  | undefined {
  const ellipsis = left.some((item) => item.kind === "ellipsis");
  const extra = tensor.dims.length - left.length + (ellipsis ? 1 : 0);
  if (ellipsis ? extra < 0 : extra !== 0) {
    a.report(patternRank(target.span, tensor, left, pattern.span));
    return undefined;
  }
  const named = new Map<string, Atom & { readonly position: number }>();
  const rest: number[] = [];
  const split: Dim[] = [];
  let axis = 0;
  for (const item of left) {
    if (item.kind === "ellipsis") {
      for (const dim of tensor.dims.slice(axis, axis + extra)) {
        rest.push(split.length);
        split.push(dim);
      }
      axis += extra;
      continue;
    }
    const whole = tensor.dims[axis++];
    if (whole === undefined) return undefined;
    const parts = splitAxis(a, whole, item, sizes, target);
    if (parts === undefined) return undefined;
    for (const part of parts) {
      if (part.item.kind !== "axis") continue;
      const known = named.get(part.item.name);
      if (known !== undefined) {
        a.report(
          patternProblem({ span: part.item.span, text: `\`${part.item.name}\` occurs twice on the left` }),
        );
        return undefined;
      }
      named.set(part.item.name, { ...part, position: split.length });
      split.push(part.dim);
    }
  }
  return { named, rest, split };
}

function splitAxis(
  a: Analysis,
  whole: Dim,
  item: PatternItem,
  sizes: ReadonlyMap<string, Dim>,
  target: Given,
): readonly Atom[] | undefined {
  if (item.kind === "one") {
    if (whole.size === 1) return [{ dim: whole, item }];
    a.report(axisSizes("1", item.span, whole, item.span, { size: 1 }));
    return undefined;
  }
  if (item.kind === "axis") {
    const given = sizes.get(item.name);
    if (given === undefined || given.size === whole.size) return [{ dim: whole, item }];
    a.report(axisSizes(item.name, item.span, whole, given.at ?? item.span, given));
    return undefined;
  }
  if (item.kind !== "group") return undefined;
  const known = item.items.map((part) => (part.kind === "axis" ? sizes.get(part.name) : { size: 1 }));
  const product = known.reduce((n, dim) => n * (dim?.size ?? 1), 1);
  const unknown = item.items.filter((_, i) => known[i] === undefined);
  const [first, second] = unknown;
  if (second !== undefined) {
    const names = unknown.map((part) => (part.kind === "axis" ? part.name : "1"));
    const text = `sizes of ${names.map((n) => `\`${n}\``).join(" and ")} are not known`;
    a.report(patternProblem({ span: item.span, text, hint: `give all but one: \`${names[0]}: 2\`` }));
    return undefined;
  }
  const left = whole.size / product;
  if (first === undefined ? left !== 1 : !Number.isInteger(left)) {
    a.report(
      splitMismatch(
        item.span,
        whole,
        known.flatMap((d) => d ?? []),
        target.span,
      ),
    );
    return undefined;
  }
  return item.items.map((part, i): Atom => {
    const name = part.kind === "axis" ? part.name : "1";
    return { dim: known[i] ?? { size: left, name, at: part.span }, item: part };
  });
}

function arrange(
  a: Analysis,
  tensor: TensorValue,
  atoms: NonNullable<ReturnType<typeof splitAxes>>,
  right: readonly PatternItem[],
  left: readonly PatternItem[],
  call: CallExpression,
  env: Env,
  label: string,
): Value {
  const perm: number[] = [];
  const dims: Dim[] = [];
  const used = new Set<string>();
  const place = (item: PatternItem): Dim | undefined => {
    if (item.kind === "one") return { size: 1 };
    const atom = item.kind === "axis" ? atoms.named.get(item.name) : undefined;
    if (item.kind !== "axis" || atom === undefined) {
      const text = item.kind === "axis" ? `\`${item.name}\` is on the right only` : "a group inside a group";
      a.report(patternProblem({ span: item.span, text }));
      return undefined;
    }
    if (used.has(item.name)) {
      a.report(patternProblem({ span: item.span, text: `\`${item.name}\` occurs twice on the right` }));
      return undefined;
    }
    used.add(item.name);
    perm.push(atom.position);
    return atom.dim;
  };
  for (const item of right) {
    if (item.kind === "ellipsis") {
      if (!left.some((i) => i.kind === "ellipsis")) {
        return a.fail(patternProblem({ span: item.span, text: "`...` stands only on the right" }));
      }
      perm.push(...atoms.rest);
      dims.push(...atoms.rest.flatMap((position) => atoms.split[position] ?? []));
      continue;
    }
    const parts = atomsOf(item).map(place);
    if (parts.some((part) => part === undefined)) return errorValue;
    const known = parts.flatMap((part) => part ?? []);
    const [only] = known;
    dims.push(
      only !== undefined && known.length === 1 ? only : { size: known.reduce((n, d) => n * d.size, 1) },
    );
  }
  const lost = left.flatMap(atomsOf).find((item) => item.kind === "axis" && !used.has(item.name));
  if (lost?.kind === "axis") {
    const hint = "`rearrange` keeps every axis; sum over one with `sum` or `einsum`";
    return a.fail(patternProblem({ span: lost.span, text: `\`${lost.name}\` is on the left only`, hint }));
  }
  const dots = left.find((item) => item.kind === "ellipsis");
  if (dots !== undefined && !right.some((item) => item.kind === "ellipsis")) {
    return a.fail(patternProblem({ span: dots.span, text: "`...` stands only on the left" }));
  }
  if (atoms.split.length > limits.rank) return a.fail(rankTooHigh(call.span, atoms.split));
  const split = atoms.split.map((dim) => dim.size);
  return a.emit({ op: "rearrange", split, perm }, [tensor.id], tensor.dtype, dims, {
    path: env.path,
    span: call.span,
    label,
  });
}
