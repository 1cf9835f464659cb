import type { AxisExpr, Expr, KernelBuilder, Score } from "../kernel/index.ts";
import type { Emitter } from "./emitter.ts";
import type { Adopted } from "./module.ts";
import { collectVectorLoads } from "./module.ts";
import { emitTileProduct } from "./tile-product.ts";

/**
 * A block of scores, rows along `m` and vec4s along `n`, and a walk over its points. What is made of the scores is written for
 * one vec4 in a loop: short code, which compiles fast. (A GPU's compiler unrolls loops of so few turns.)
 */
export class ScoreBlock {
  readonly rows: readonly number[];
  readonly quads: readonly number[];
  /** vec4s in the block. */
  readonly points: number;
  /** A row of the block and a vec4 of the row: bound inside {@link eachPoint}. */
  readonly row: AxisExpr;
  readonly quad: AxisExpr;
  /** Moves an expression from the block's origin to a point. */
  readonly toPoint: ReadonlyMap<Expr, Expr>;
  readonly #emitter: Emitter;
  readonly #b: KernelBuilder;
  readonly #m: AxisExpr;
  readonly #n: AxisExpr;
  readonly #tile: { readonly m: number; readonly n: number };
  readonly #scores: readonly Score[];

  constructor(
    emitter: Emitter,
    b: KernelBuilder,
    axes: { readonly m: AxisExpr; readonly n: AxisExpr },
    tile: { readonly m: number; readonly n: number },
    scores: readonly Score[],
  ) {
    this.#emitter = emitter;
    this.#b = b;
    this.#m = axes.m;
    this.#n = axes.n;
    this.#tile = tile;
    this.#scores = scores;
    this.rows = Array.from({ length: tile.m }, (_, i) => i);
    this.quads = Array.from({ length: tile.n / 4 }, (_, j) => j);
    this.points = tile.m * this.quads.length;
    this.row = b.axis("i", tile.m);
    this.quad = b.axis("j", this.quads.length);
    this.toPoint = new Map<Expr, Expr>([
      [axes.m, b.addIndex(axes.m, this.row)],
      [axes.n, b.addIndex(axes.n, b.scaleIndex(this.quad, 4))],
    ]);
  }

  /** Contracts the scores of the block whose origin is bound; they lie in arrays `block_<name>` afterwards. */
  compute(): void {
    for (const s of this.#scores) {
      const names = this.rows.flatMap((i) => this.quads.map((j) => `${s.name}_${i}_${j}`));
      for (const name of names) this.#emitter.line(`var ${name} = vec4<f32>();`);
      emitTileProduct(this.#emitter, this.#b, {
        m: this.#m,
        n: this.#n,
        k: s.k,
        kName: "k",
        tile: { ...this.#tile, k: s.k.multiple === 4 ? 4 : 1 },
        lhs: s.lhs,
        rhs: s.rhs,
        lhsVector: s.lhsVector === "outer" ? "m" : s.lhsVector,
        rhsVector: s.rhsVector === "stream" ? "n" : s.rhsVector,
        accumulator: (i, j) => `${s.name}_${i}_${j}`,
      });
      this.#emitter.line(`var block_${s.name} = array<vec4<f32>, ${this.points}>(${names.join(", ")});`);
    }
  }

  /** A loop over the vec4s of the block; `at` is their number in row-major order, `i` the row. */
  eachPoint(body: () => void): void {
    const perRow = this.quads.length;
    this.#emitter.block(`for (var at = 0; at < ${this.points}; at++)`, () => {
      this.#emitter.line(`let i = at / ${perRow};`);
      this.#emitter.line(`let j = at % ${perRow};`);
      this.#emitter.bindAxis(this.row, "i");
      this.#emitter.bindAxis(this.quad, "j");
      for (const s of this.#scores) this.#emitter.bindValue(s.name, `block_${s.name}[at]`, 4);
      body();
    });
  }
}

/** Scores in the printer's own builder. */
export function adoptScores(adopted: Adopted, scores: readonly Score[]): readonly Score[] {
  return scores.map((s) => ({
    ...s,
    k: adopted.axis(s.k),
    lhs: adopted.expr(s.lhs),
    rhs: adopted.expr(s.rhs),
  }));
}

/** Adds the tensors that scores read as whole vec4s. */
export function collectScoreLoads(
  scores: readonly Score[],
  outer: AxisExpr,
  stream: AxisExpr,
  found: Set<number>,
): void {
  const lane = (vector: Score["lhsVector"] | Score["rhsVector"], side: AxisExpr, k: AxisExpr) =>
    vector === "none" ? undefined : vector === "k" ? k : side;
  for (const s of scores) {
    collectVectorLoads([s.lhs], lane(s.lhsVector, outer, s.k), found);
    collectVectorLoads([s.rhs], lane(s.rhsVector, stream, s.k), found);
  }
}
