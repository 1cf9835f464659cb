import type { KernelBuilder } from "./build.ts";
import { type AxisExpr, type Expr, walk } from "./expr.ts";

/** What becomes of an expression's leaves in another builder. */
export interface LeafRules {
  readonly axis: (axis: AxisExpr) => Expr;
  readonly load: (load: Extract<Expr, { kind: "load" }>, index: Expr) => Expr;
  /** Asked first, for any expression: undefined leaves it to the other rules. */
  readonly whole?: (e: Expr) => Expr | undefined;
}

/** Expressions made again in another builder, renormalised, with other axes and loads. */
export class Rewriter {
  readonly #b: KernelBuilder;
  readonly #rules: LeafRules;
  readonly #memo = new Map<Expr, Expr>();

  constructor(b: KernelBuilder, rules: LeafRules) {
    this.#b = b;
    this.#rules = rules;
  }

  expr(e: Expr): Expr {
    const known = this.#memo.get(e);
    if (known !== undefined) return known;
    const made = this.#rules.whole?.(e) ?? this.#make(e);
    this.#memo.set(e, made);
    return made;
  }

  #make(e: Expr): Expr {
    const b = this.#b;
    switch (e.kind) {
      case "constant":
        return b.constant(e.dtype, e.value);
      case "axis":
        return this.#rules.axis(e);
      case "value": {
        const over = new Set<AxisExpr>();
        walk(
          e.over.map((axis) => this.expr(axis)),
          (x) => {
            if (x.kind === "axis") over.add(x);
          },
        );
        return b.value(e.dtype, e.name, [...over]);
      }
      case "sum":
        return e.terms.reduce(
          (sum, t) => b.addIndex(sum, b.scaleIndex(this.expr(t.atom), t.coefficient)),
          b.constant("i32", e.constant),
        );
      case "div":
        return b.floorDiv(this.expr(e.of), e.by);
      case "mod":
        return b.modulo(this.expr(e.of), e.by);
      case "load":
        return this.#rules.load(e, this.expr(e.index));
      case "call":
        return b.call(e.fn, ...e.args.map((arg) => this.expr(arg)));
      case "select":
        return b.select(this.expr(e.condition), this.expr(e.then), this.expr(e.otherwise));
      case "cast":
        return b.cast(e.dtype, this.expr(e.of));
      default:
        return e satisfies never;
    }
  }
}
