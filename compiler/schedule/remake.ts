import {
  type AxisExpr,
  type Expr,
  type KernelBuilder,
  type MapKernel,
  type MatmulKernel,
  type PartKernel,
  Rewriter,
  type RowKernel,
  type Store,
} from "../kernel/index.ts";

/** Kernels whose every access is an expression of theirs. */
export type RemadeKernel = MapKernel | RowKernel | MatmulKernel;

export function canBeRemade(kernel: PartKernel): kernel is RemadeKernel {
  return kernel.kind === "map" || kernel.kind === "row" || kernel.kind === "matmul";
}

export interface Target {
  readonly tensor: number;
  readonly index: Expr;
}

export interface Remaking {
  /** The loop that takes an axis' place; undefined: one like it. */
  readonly axis: (axis: AxisExpr) => AxisExpr | undefined;
  /** What stands for an axis in expressions; undefined: its loop. */
  readonly position: (axis: AxisExpr) => Expr | undefined;
  /** Where an element that was read or written at `index` of `tensor` is now. */
  readonly place: (tensor: number, index: Expr) => Target;
}

/** The same kernel with other axes and tensors, its expressions made again in `b`. Bindings stay to be named. */
export function remade(b: KernelBuilder, kernel: RemadeKernel, remaking: Remaking): RemadeKernel {
  const axes = new Map<AxisExpr, AxisExpr>();
  const axis = (e: AxisExpr): AxisExpr => {
    let made = axes.get(e);
    if (made === undefined) {
      made = remaking.axis(e) ?? b.axis(e.name, e.extent, e.multiple);
      axes.set(e, made);
    }
    return made;
  };
  const rewriter = new Rewriter(b, {
    axis: (e) => remaking.position(e) ?? axis(e),
    load: (e, index) => {
      const to = remaking.place(e.tensor, index);
      return b.load(e.dtype, to.tensor, to.index);
    },
  });
  const expr = (e: Expr): Expr => rewriter.expr(e);
  const target = ({ tensor, index }: Target): Target => remaking.place(tensor, expr(index));
  const store = (s: Store): Store => ({ ...target(s), value: expr(s.value) });
  switch (kernel.kind) {
    case "map":
      return { ...kernel, axis: axis(kernel.axis), stores: kernel.stores.map(store) };
    case "row":
      return {
        ...kernel,
        row: axis(kernel.row),
        inner: axis(kernel.inner),
        blocks: kernel.blocks && { ...kernel.blocks, block: axis(kernel.blocks.block) },
        sweeps: kernel.sweeps.map(({ reductions, stores, columns }) => ({
          reductions: reductions.map((r) => ({ ...r, body: expr(r.body) })),
          stores: stores.map(store),
          columns: columns.map(store),
        })),
        rowStores: kernel.rowStores.map(store),
      };
    case "matmul":
      return {
        ...kernel,
        batch: axis(kernel.batch),
        m: axis(kernel.m),
        n: axis(kernel.n),
        k: axis(kernel.k),
        lhs: expr(kernel.lhs),
        rhs: expr(kernel.rhs),
        rhsSum: kernel.rhsSum && target(kernel.rhsSum),
        stores: kernel.stores.map(store),
      };
    default:
      return kernel satisfies never;
  }
}
