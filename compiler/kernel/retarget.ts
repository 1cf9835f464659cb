import type { Expr } from "./expr.ts";
import type {
  MapKernel,
  MatmulKernel,
  RowKernel,
  Score,
  ScoreSumKernel,
  Store,
  StreamKernel,
} from "./kernel.ts";

/** Kernels whose every access is an expression of theirs. */
export type ExpressionKernel = MapKernel | RowKernel | MatmulKernel | StreamKernel | ScoreSumKernel;

/**
 * The same kernel on other tensors: expressions that read none are shared with the given one. Its bindings stay to be named.
 * @param tensorOf different tensors for different tensors, so that equal expressions stay one object
 */
export function retargeted(kernel: ExpressionKernel, tensorOf: (tensor: number) => number): ExpressionKernel {
  const memo = new Map<Expr, Expr>();
  const expr = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known !== undefined) return known;
    const made = withChildren(e, expr, tensorOf);
    memo.set(e, made);
    return made;
  };
  const target = ({ tensor, index }: { readonly tensor: number; readonly index: Expr }) => ({
    tensor: tensorOf(tensor),
    index: expr(index),
  });
  const store = (s: Store): Store => ({ ...target(s), value: expr(s.value) });
  const score = (s: Score): Score => ({ ...s, lhs: expr(s.lhs), rhs: expr(s.rhs) });
  const bodied = <T extends { readonly body: Expr }>(x: T): T => ({ ...x, body: expr(x.body) });
  switch (kernel.kind) {
    case "map":
      return { ...kernel, stores: kernel.stores.map(store) };
    case "row":
      return {
        ...kernel,
        sweeps: kernel.sweeps.map(({ reductions, stores, columns }) => ({
          reductions: reductions.map(bodied),
          stores: stores.map(store),
          columns: columns.map(store),
        })),
        rowStores: kernel.rowStores.map(store),
      };
    case "matmul":
      return {
        ...kernel,
        lhs: expr(kernel.lhs),
        rhs: expr(kernel.rhs),
        rhsSum: kernel.rhsSum && target(kernel.rhsSum),
        stores: kernel.stores.map(store),
      };
    case "stream":
      return {
        ...kernel,
        scores: kernel.scores.map(score),
        reductions: kernel.reductions.map(bodied),
        rowStores: kernel.rowStores.map(store),
        sums: kernel.sums.map((sum) => ({
          ...sum,
          weight: expr(sum.weight),
          operand: expr(sum.operand),
          stores: sum.stores.map(store),
        })),
      };
    case "score_sum":
      return {
        ...kernel,
        scores: kernel.scores.map(score),
        sums: kernel.sums.map((sum) => ({ ...bodied(sum), stores: sum.stores.map(store) })),
      };
    default:
      return kernel satisfies never;
  }
}

/** The expression with other children, itself where they are the same ones. */
function withChildren(e: Expr, expr: (e: Expr) => Expr, tensorOf: (tensor: number) => number): Expr {
  switch (e.kind) {
    case "constant":
    case "axis":
    case "value":
      return e;
    case "sum": {
      const terms = e.terms.map((t) => ({ coefficient: t.coefficient, atom: expr(t.atom) }));
      return terms.every((t, i) => t.atom === e.terms[i]!.atom) ? e : { ...e, terms };
    }
    case "div":
    case "mod":
    case "cast": {
      const of = expr(e.of);
      return of === e.of ? e : { ...e, of };
    }
    case "load":
      return { ...e, tensor: tensorOf(e.tensor), index: expr(e.index) };
    case "call": {
      const args = e.args.map(expr);
      return args.every((arg, i) => arg === e.args[i]) ? e : { ...e, args };
    }
    case "select": {
      const [condition, then, otherwise] = [expr(e.condition), expr(e.then), expr(e.otherwise)];
      const isSame = condition === e.condition && then === e.then && otherwise === e.otherwise;
      return isSame ? e : { ...e, condition, then, otherwise };
    }
    default:
      return e satisfies never;
  }
}
