import type { AxisExpr, Expr, KernelBuilder, MatmulBlock, MatmulKernel, Store } from "../kernel/index.ts";
import { Emitter } from "./emitter.ts";
import { emitBlockProduct } from "./matmul-block.ts";
import { emitMatrixProduct } from "./matmul-matrices.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";
import { emitTileProduct } from "./tile-product.ts";

/** The expressions of a matmul, in the printer's builder. */
interface Matmul {
  readonly kernel: MatmulKernel;
  readonly b: KernelBuilder;
  readonly m: AxisExpr;
  readonly n: AxisExpr;
  readonly k: AxisExpr;
  readonly lhs: Expr;
  readonly rhs: Expr;
  readonly stores: readonly Store[];
  readonly sum: { readonly tensor: number; readonly index: Expr } | undefined;
}

/**
 * A register tile of `tile.m` x `tile.n` outputs an invocation, accumulated as vec4s along n in steps of `tile.k`. Each
 * operand is read four at a time along the axis in which its elements are neighbours.
 */
export function printMatmul(kernel: MatmulKernel, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const { b } = adopted;
  const [batch, m, n, k] = [kernel.batch, kernel.m, kernel.n, kernel.k].map((axis) => adopted.axis(axis));
  if (batch === undefined || m === undefined || n === undefined || k === undefined)
    throw new Error("wgsl: no axes");
  const lhs = adopted.expr(kernel.lhs);
  const rhs = adopted.expr(kernel.rhs);
  const stores = adopted.stores(kernel.stores);
  const { tile, block } = kernel;
  const lhsLane = kernel.lhsVector === "m" ? m : kernel.lhsVector === "k" ? k : undefined;
  const rhsLane = kernel.rhsVector === "n" ? n : kernel.rhsVector === "k" ? k : undefined;
  const vectors = new Set(bound);
  collectVectorLoads([lhs], lhsLane, vectors);
  collectVectorLoads([rhs], rhsLane, vectors);
  collectVectorLoads(
    stores.map((s) => s.value),
    n,
    vectors,
  );
  collectVectorStores(stores, n, vectors);
  const sum = kernel.rhsSum && { tensor: kernel.rhsSum.tensor, index: adopted.expr(kernel.rhsSum.index) };
  if (sum !== undefined) collectVectorStores([{ ...sum, value: sum.index }], n, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  const matmul: Matmul = { kernel, b, m, n, k, lhs, rhs, stores, sum };

  const place = block ?? tile;
  const tilesN = Math.ceil(n.extent / place.n);
  const tilesM = Math.ceil(m.extent / place.m);
  const origin = (index: string, size: number, extent: number) =>
    extent % size === 0 ? `${index} * ${size}` : `min(${index} * ${size}, ${extent - size})`;
  const [inner, outer] = kernel.neighbours === "n" ? [tilesN, tilesM] : [tilesM, tilesN];
  const number = block === undefined ? "invocation" : "workgroup";
  const [fast, slow] = [`(${number} % ${inner})`, `(${number} / ${inner} % ${outer})`];
  const [placeM, placeN] = kernel.neighbours === "n" ? [slow, fast] : [fast, slow];
  const [originM, originN] = [origin(placeM, place.m, m.extent), origin(placeN, place.n, n.extent)];
  if (block === undefined) {
    emitter.line(`let m = ${originM};`);
    emitter.line(`let n = ${originN};`);
  } else if (kernel.matrices !== undefined) {
    // Places of elements are those of the block: a tile is a whole subgroup's.
    emitter.line(`let block_m = ${originM};`);
    emitter.line(`let block_n = ${originN};`);
    emitter.line("let m = block_m;");
    emitter.line("let n = block_n;");
  } else {
    const across = block.n / tile.n;
    emitter.line(`let block_m = ${originM};`);
    emitter.line(`let block_n = ${originN};`);
    emitter.line(`let tile_m = (local / ${across}) * ${tile.m};`);
    emitter.line(`let tile_n = (local % ${across}) * ${tile.n};`);
    emitter.line("let m = block_m + tile_m;");
    emitter.line("let n = block_n + tile_n;");
  }
  emitter.line(`let batch = ${number} / ${tilesN * tilesM};`);
  emitter.bindAxis(batch, "batch");
  emitter.bindAxis(m, "m");
  emitter.bindAxis(n, "n");

  if (block !== undefined && kernel.matrices !== undefined) {
    const { matrices, lhsVector, rhsVector } = kernel;
    const product = { m, n, k, kName: "k", tile, block, matrices, lhs, rhs, lhsVector, rhsVector };
    const sumsRhs = sum !== undefined;
    const made = emitMatrixProduct(emitter, b, { ...product, sumsRhs }, kernel.workgroupSize);
    emitMatrixSums(emitter, matmul, block, made.sums);
    return { vectorTensors: vectors, emitter, wholeWorkgroups: true, workgroupVariables: made.declarations };
  }
  const rows = Array.from({ length: tile.m }, (_, i) => i);
  const quads = Array.from({ length: tile.n / 4 }, (_, j) => j);
  for (const i of rows) for (const j of quads) emitter.line(`var acc_${i}_${j} = vec4<f32>();`);
  if (sum !== undefined) for (const j of quads) emitter.line(`var rhs_sum_${j} = vec4<f32>();`);
  const product = {
    m,
    n,
    k,
    kName: "k",
    tile,
    lhs,
    rhs,
    lhsVector: kernel.lhsVector,
    rhsVector: kernel.rhsVector,
    accumulator: (i: number, j: number) => `acc_${i}_${j}`,
    alsoEachStep: (columns: readonly (readonly string[])[]) => {
      if (sum === undefined) return;
      emitter.block("if (m == 0)", () => {
        for (const ofStep of columns)
          ofStep.forEach((column, j) => {
            emitter.line(`rhs_sum_${j} += ${column};`);
          });
      });
    },
  };
  const workgroupVariables: string[] = [];
  if (block === undefined) emitTileProduct(emitter, b, product);
  else workgroupVariables.push(...emitBlockProduct(emitter, b, { ...product, block }, kernel.workgroupSize));
  emitSum(emitter, matmul, quads);
  emitEpilogue(emitter, matmul, rows, quads);
  return { vectorTensors: vectors, emitter, wholeWorkgroups: block !== undefined, workgroupVariables };
}

/** The sum of the right operand, from the tiles of the first rows. */
function emitSum(emitter: Emitter, { b, n, sum }: Matmul, quads: readonly number[]): void {
  if (sum === undefined) return;
  emitter.block("if (m == 0)", () => {
    for (const j of quads) {
      const index = b.substitute(sum.index, new Map([[n, b.addIndex(n, b.constant("i32", 4 * j))]]));
      emitter.store(sum.tensor, index, { text: `rhs_sum_${j}`, width: 4 }, n);
    }
  });
}

/** Stores what is made of the sums of a block in workgroup memory, a vec4 an invocation in turn, and of the sum of the right operand. */
function emitMatrixSums(emitter: Emitter, matmul: Matmul, block: MatmulBlock, sums: string): void {
  const { kernel, b, m, n, sum } = matmul;
  if (sum !== undefined)
    emitter.block(`if (block_m == 0 && local < ${block.n})`, () => {
      const column = b.axis("local", block.n);
      emitter.bindAxis(column, "local");
      const index = b.substitute(sum.index, new Map([[n, b.addIndex(n, column)]]));
      emitter.store(sum.tensor, index, { text: "rhs_sum", width: 1 });
    });
  const perRow = block.n / 4;
  const row = b.axis("block_row", block.m);
  const quad = b.axis("block_quad", perRow);
  const count = block.m * perRow;
  emitter.block(`for (var at = local; at < ${count}; at += ${kernel.workgroupSize})`, () => {
    emitter.line(`let block_row = at / ${perRow};`);
    emitter.line(`let block_quad = at % ${perRow};`);
    emitter.bindAxis(row, "block_row");
    emitter.bindAxis(quad, "block_quad");
    const parts = [0, 1, 2, 3].map((c) => `${sums}[4 * at + ${c}]`);
    emitter.line(`let sum = vec4<f32>(${parts.join(", ")});`);
    finish(
      emitter,
      matmul,
      "sum",
      new Map<Expr, Expr>([
        [m, b.addIndex(m, row)],
        [n, b.addIndex(n, b.scaleIndex(quad, 4))],
      ]),
    );
  });
}

/** The epilogue of four elements: their sums are the variable `accumulator`, `to` moves the kernel's axes to their place. */
function finish(
  emitter: Emitter,
  { kernel, b, m, n, stores }: Matmul,
  accumulator: string,
  to: Map<Expr, Expr>,
): void {
  emitter.bindValue(accumulator, accumulator, 4);
  to.set(b.value("f32", kernel.accumulator, [m, n]), b.value("f32", accumulator, [m, n]));
  const placed = stores.map((s) => ({
    tensor: s.tensor,
    index: b.substitute(s.index, to),
    value: b.substitute(s.value, to),
  }));
  emitter.expect(placed.flatMap((s) => [s.index, s.value]));
  for (const s of placed) emitter.store(s.tensor, s.index, emitter.emit(s.value, n), n);
}

/** Stores what is made of each vec4 `acc_<i>_<j>`, the sums at row `m + i` and column `n + 4 j`. */
function emitEpilogue(
  emitter: Emitter,
  matmul: Matmul,
  rows: readonly number[],
  quads: readonly number[],
): void {
  const { kernel, b, m, n } = matmul;
  if (kernel.epilogue === "unrolled") {
    for (const i of rows) {
      for (const j of quads) {
        const by = new Map<Expr, Expr>();
        if (i > 0) by.set(m, b.addIndex(m, b.constant("i32", i)));
        if (j > 0) by.set(n, b.addIndex(n, b.constant("i32", 4 * j)));
        finish(emitter, matmul, `acc_${i}_${j}`, by);
      }
    }
    return;
  }
  const all = rows.flatMap((i) => quads.map((j) => `acc_${i}_${j}`));
  emitter.line(`var tile = array<vec4<f32>, ${all.length}>(${all.join(", ")});`);
  const row = b.axis("tile_row", kernel.tile.m);
  const quad = b.axis("tile_quad", quads.length);
  emitter.block(`for (var tile_row = 0; tile_row < ${kernel.tile.m}; tile_row++)`, () => {
    emitter.bindAxis(row, "tile_row");
    emitter.block(`for (var tile_quad = 0; tile_quad < ${quads.length}; tile_quad++)`, () => {
      emitter.bindAxis(quad, "tile_quad");
      emitter.line(`let sum = tile[tile_row * ${quads.length} + tile_quad];`);
      const by = new Map<Expr, Expr>([
        [m, b.addIndex(m, row)],
        [n, b.addIndex(n, b.scaleIndex(quad, 4))],
      ]);
      finish(emitter, matmul, "sum", by);
    });
  });
}
