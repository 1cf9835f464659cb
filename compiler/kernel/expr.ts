import type { DType } from "../program/index.ts";
import type { ScalarFn } from "./scalar-builder.ts";

/** Fields of every expression. `id` is unique within one builder: equal expressions are the same object. */
interface ExprBase {
  readonly id: number;
  readonly dtype: DType;
  /** Inclusive bounds, exact for index arithmetic; the dtype's range otherwise (f32: infinite). */
  readonly min: number;
  readonly max: number;
}

/**
 * A loop variable over 0 .. extent - 1. Where it stands for a tile or vector origin it is a multiple of `multiple`, and the
 * elements behind it are reached by adding.
 */
export interface AxisExpr extends ExprBase {
  readonly kind: "axis";
  readonly name: string;
  readonly extent: number;
  readonly multiple: number;
}

export interface Term {
  readonly coefficient: number;
  readonly atom: Expr;
}

/** i32 `constant + sum(coefficient * atom)`, atoms distinct, sorted by id, no atom itself a sum or a constant. */
export interface SumExpr extends ExprBase {
  readonly kind: "sum";
  readonly terms: readonly Term[];
  readonly constant: number;
}

/** The loop IR's scalars: what one invocation computes. A DAG of plain data. */
export type Expr =
  | (ExprBase & { readonly kind: "constant"; readonly value: number })
  | AxisExpr
  | SumExpr
  /** Floored quotient and non-negative remainder by a positive constant, i32. */
  | (ExprBase & { readonly kind: "div"; readonly of: Expr; readonly by: number })
  | (ExprBase & { readonly kind: "mod"; readonly of: Expr; readonly by: number })
  /** Element `index` (row-major) of tensor `tensor` (an id that the schedule gives meaning). */
  | (ExprBase & { readonly kind: "load"; readonly tensor: number; readonly index: Expr })
  | (ExprBase & { readonly kind: "call"; readonly fn: ScalarFn; readonly args: readonly Expr[] })
  | (ExprBase & {
      readonly kind: "select";
      readonly condition: Expr;
      readonly then: Expr;
      readonly otherwise: Expr;
    })
  | (ExprBase & { readonly kind: "cast"; readonly of: Expr })
  /** A value made earlier in the kernel: an accumulator or a finished reduction. Varies along `over`. */
  | (ExprBase & { readonly kind: "value"; readonly name: string; readonly over: readonly AxisExpr[] });

export type ReduceKind = "sum" | "max" | "min" | "logsumexp";

/** Children of an expression, in order. */
export function childrenOf(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case "constant":
    case "axis":
      return [];
    case "value":
      return e.over;
    case "sum":
      return e.terms.map((t) => t.atom);
    case "div":
    case "mod":
    case "cast":
      return [e.of];
    case "load":
      return [e.index];
    case "call":
      return e.args;
    case "select":
      return [e.condition, e.then, e.otherwise];
    default:
      return e satisfies never;
  }
}

/** Calls `visit` once for every expression reachable from `roots`, children first. */
export function walk(roots: Iterable<Expr>, visit: (e: Expr) => void): void {
  const seen = new Set<Expr>();
  const go = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    switch (e.kind) {
      case "constant":
      case "axis":
        break;
      case "sum":
        for (const { atom } of e.terms) go(atom);
        break;
      case "load":
        go(e.index);
        break;
      default:
        for (const child of childrenOf(e)) go(child);
    }
    visit(e);
  };
  for (const root of roots) go(root);
}

/** Whether `e` contains `axis`. Answers are remembered for the life of the expressions. */
export function dependsOn(e: Expr, axis: AxisExpr): boolean {
  let perAxis = dependence.get(axis);
  if (perAxis === undefined) {
    perAxis = new WeakMap();
    dependence.set(axis, perAxis);
  }
  const known = perAxis.get(e);
  if (known !== undefined) return known;
  const found = e === axis || childrenOf(e).some((child) => dependsOn(child, axis));
  perAxis.set(e, found);
  return found;
}
const dependence = new WeakMap<AxisExpr, WeakMap<Expr, boolean>>();

/** The greatest power of two up to 16 that divides every value of the index `e`. */
export function alignmentOf(e: Expr): number {
  switch (e.kind) {
    case "constant":
      return powerOfTwoIn(e.value);
    case "axis":
      return powerOfTwoIn(e.multiple);
    case "sum":
      return e.terms.reduce(
        (least, t) => Math.min(least, powerOfTwoIn(t.coefficient) * alignmentOf(t.atom)),
        powerOfTwoIn(e.constant),
      );
    case "mod":
      return Math.min(alignmentOf(e.of), powerOfTwoIn(e.by));
    case "div":
      // Only where the division is exact does the quotient keep what is left of the alignment.
      return alignmentOf(e.of) % e.by === 0 ? alignmentOf(e.of) / e.by : 1;
    default:
      return 1;
  }
}

function powerOfTwoIn(n: number): number {
  if (n === 0) return 16;
  let p = 1;
  while (p < 16 && n % (p * 2) === 0) p *= 2;
  return p;
}

/**
 * By how much the index `e` grows when `axis`, which stands at a multiple of `width`, advances by one, staying
 * within that block of `width`. `undefined` where it does not grow evenly.
 */
export function laneStride(e: Expr, axis: AxisExpr, width: number): number | undefined {
  if (!dependsOn(e, axis)) return 0;
  switch (e.kind) {
    case "axis":
      return 1;
    case "sum": {
      let total = 0;
      for (const t of e.terms) {
        const stride = laneStride(t.atom, axis, width);
        if (stride === undefined) return undefined;
        total += t.coefficient * stride;
      }
      return total;
    }
    case "div":
    case "mod": {
      // Within an aligned block of `width` neither the quotient changes nor the remainder wraps.
      if (laneStride(e.of, axis, width) !== 1 || e.by % width !== 0) return undefined;
      if (alignmentOf(e.of) % width !== 0) return undefined;
      return e.kind === "div" ? 0 : 1;
    }
    default:
      return undefined;
  }
}
