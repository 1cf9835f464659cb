import type { AxisExpr, Expr, KernelBuilder } from "../kernel/index.ts";
import { type Emitter, splat } from "./emitter.ts";

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** A block of products: rows along `m`, columns along `n` as vec4s, summed over `k`. */
export interface TileProduct {
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly k: AxisExpr;
  /** The loop variable of `k`. */
  readonly kName: string;
  readonly tile: { readonly m: number; readonly n: number; readonly k: 1 | 4 };
  readonly lhs: Expr;
  readonly rhs: Expr;
  readonly lhsVector: "m" | "k" | "none";
  readonly rhsVector: "n" | "k" | "none";
  /** The vec4 variable of row i and quad j, declared and zero. */
  readonly accumulator: (i: number, j: number) => string;
  /** Statements at the end of a step, given the names of the columns of the right operand, step by step. */
  readonly alsoEachStep?: (columns: readonly (readonly string[])[]) => void;
}

/**
 * Accumulates the block in registers. Each operand is read four at a time along the axis in which its elements are neighbours;
 * `m` and `n` are bound at the block's origin.
 */
export function emitTileProduct(emitter: Emitter, b: KernelBuilder, product: TileProduct): void {
  const { m, n, k, tile, lhs, rhs } = product;
  const moved = (e: Expr, by: { readonly m?: number; readonly n?: number; readonly k?: number }): Expr => {
    const to = new Map<Expr, Expr>();
    if (by.m) to.set(m, b.addIndex(m, b.constant("i32", by.m)));
    if (by.n) to.set(n, b.addIndex(n, b.constant("i32", by.n)));
    if (by.k) to.set(k, b.addIndex(k, b.constant("i32", by.k)));
    return to.size === 0 ? e : b.substitute(e, to);
  };
  const rows = Array.from({ length: tile.m }, (_, i) => i);
  const quads = Array.from({ length: tile.n / 4 }, (_, j) => j);
  const { kName } = product;
  emitter.block(`for (var ${kName} = 0; ${kName} < ${k.extent}; ${kName} += ${tile.k})`, () => {
    emitter.bindAxis(k, kName);
    const names = new Map<string, string>();
    const nameOf = (text: string): string => {
      if (/^\w+$/.test(text)) return text;
      let name = names.get(text);
      if (name === undefined) {
        name = emitter.name(text, "t_");
        names.set(text, name);
      }
      return name;
    };
    const left = (i: number, step: number): string => {
      if (product.lhsVector === "k") {
        const value = emitter.emit(moved(lhs, { m: i }), k);
        return value.width === 4 ? `${nameOf(value.text)}.${COMPONENTS[step]}` : value.text;
      }
      if (product.lhsVector === "m") {
        const value = emitter.emit(moved(lhs, { m: i - (i % 4), k: step }), m);
        return value.width === 4 ? `${nameOf(value.text)}.${COMPONENTS[i % 4]}` : value.text;
      }
      return emitter.emit(moved(lhs, { m: i, k: step })).text;
    };
    const right = (j: number, step: number): string => {
      if (product.rhsVector === "n") {
        return splat(emitter.emit(moved(rhs, { n: 4 * j, k: step }), n), "f32", 4);
      }
      const parts = COMPONENTS.map((_, c) => {
        if (product.rhsVector !== "k") return emitter.emit(moved(rhs, { n: 4 * j + c, k: step })).text;
        const value = emitter.emit(moved(rhs, { n: 4 * j + c }), k);
        return value.width === 4 ? `${nameOf(value.text)}.${COMPONENTS[step]}` : value.text;
      });
      return `vec4<f32>(${parts.join(", ")})`;
    };
    const columns: string[][] = [];
    for (let step = 0; step < tile.k; step++) {
      const ofStep = quads.map((j) => nameOf(right(j, step)));
      columns.push(ofStep);
      for (const i of rows) {
        const a = nameOf(left(i, step));
        for (const j of quads) emitter.line(`${product.accumulator(i, j)} += ${a} * ${ofStep[j]};`);
      }
    }
    product.alsoEachStep?.(columns);
  });
}
