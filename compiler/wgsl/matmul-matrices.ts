import {
  type AxisExpr,
  type Expr,
  type KernelBuilder,
  MATRIX_PADDING,
  type SubgroupMatrices,
} from "../kernel/index.ts";
import type { Emitter } from "./emitter.ts";
import { type BlockOperand, type BlockProduct, patchesOf, patchLoads } from "./matmul-block.ts";

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** A block product that subgroups compute as matrices of f16. */
export interface MatrixProduct extends Omit<BlockProduct, "accumulator" | "alsoEachStep"> {
  readonly matrices: SubgroupMatrices;
  /** Whether the workgroups at m = 0 also sum the right operand, into `rhs_sum`, for the column of the block that is `local`. */
  readonly sumsRhs: boolean;
}

/**
 * Multiplies the block: the workgroup copies `block.k` terms of both operands into its memory as f16, in rows along their outer axes,
 * each subgroup multiplies what its tile needs of them, in f32, and all put their sums into workgroup memory: an element of a
 * matrix cannot be read where it is. The emitter has `block_m`, `block_n` and `subgroup`.
 * @returns declarations of the workgroup's arrays, and the name of that of the sums, [block.m, block.n]
 */
export function emitMatrixProduct(
  emitter: Emitter,
  b: KernelBuilder,
  product: MatrixProduct,
  workgroupSize: number,
): { readonly declarations: readonly string[]; readonly sums: string } {
  const { block, tile, k, kName } = product;
  const { shape } = product.matrices;
  const operandOf = (
    name: "lhs" | "rhs",
    e: Expr,
    outer: AxisExpr,
    size: number,
    vector: BlockOperand["vector"],
  ): BlockOperand & { readonly stride: number } => {
    const stride = size + MATRIX_PADDING;
    // Kernels side by side share workgroup memory by name, so that the size is part of it.
    return {
      name,
      e,
      outer,
      size,
      vector,
      array: `${name}_halves_${stride * block.k}`,
      firstInvocation: 0,
      stride,
    };
  };
  const vectorOf = (vector: "m" | "n" | "k" | "none"): BlockOperand["vector"] =>
    vector === "m" || vector === "n" ? "outer" : vector;
  const lhs = operandOf("lhs", halfOf(product.lhs), product.m, block.m, vectorOf(product.lhsVector));
  const rhs = {
    ...operandOf("rhs", halfOf(product.rhs), product.n, block.n, vectorOf(product.rhsVector)),
    firstInvocation:
      patchesOf(block.m, block.k) + patchesOf(block.n, block.k) <= workgroupSize
        ? patchesOf(block.m, block.k)
        : 0,
  };
  const loads = [lhs, rhs].map((operand) =>
    patchLoads(emitter, b, product, operand, workgroupSize, ({ outer, term }, columns) => {
      columns.forEach((column, step) => {
        const name = emitter.name(column, "half_");
        const at = emitter.name(`(${term} + ${step}) * ${operand.stride} + ${outer}`, "at_");
        COMPONENTS.forEach((component, c) => {
          emitter.line(`${operand.array}[${at} + ${c}] = ${name}.${component};`);
        });
      });
    }),
  );
  const down = Array.from({ length: tile.m / shape.m }, (_, i) => i);
  const across = Array.from({ length: tile.n / shape.n }, (_, j) => j);
  const perRow = block.n / tile.n;
  emitter.line(`let tile_m = (subgroup / ${perRow}) * ${tile.m};`);
  emitter.line(`let tile_n = (subgroup % ${perRow}) * ${tile.n};`);
  // WGSL names columns before rows.
  for (const i of down)
    for (const j of across)
      emitter.line(`var matrix_${i}_${j} = subgroup_matrix_result<f32, ${shape.n}, ${shape.m}>();`);
  if (product.sumsRhs) emitter.line("var rhs_sum = 0f;");
  emitter.block(`for (var ${kName} = 0; ${kName} < ${k.extent}; ${kName} += ${block.k})`, () => {
    for (const load of loads) load();
    emitter.line("workgroupBarrier();");
    emitter.block(`for (var term = 0; term < ${block.k}; term += ${shape.k})`, () => {
      for (const i of down) {
        const type = `subgroup_matrix_left<f16, ${shape.k}, ${shape.m}>`;
        const at = `term * ${lhs.stride} + tile_m + ${i * shape.m}`;
        emitter.line(
          `let left_${i} = subgroupMatrixLoad<${type}, col_major>(&${lhs.array}, ${at}, ${lhs.stride});`,
        );
      }
      for (const j of across) {
        const type = `subgroup_matrix_right<f16, ${shape.n}, ${shape.k}>`;
        const at = `term * ${rhs.stride} + tile_n + ${j * shape.n}`;
        emitter.line(
          `let right_${j} = subgroupMatrixLoad<${type}, row_major>(&${rhs.array}, ${at}, ${rhs.stride});`,
        );
      }
      for (const i of down)
        for (const j of across)
          emitter.line(
            `matrix_${i}_${j} = subgroupMatrixMultiplyAccumulate(left_${i}, right_${j}, matrix_${i}_${j});`,
          );
    });
    if (product.sumsRhs)
      emitter.block(`if (block_m == 0 && local < ${block.n})`, () => {
        emitter.block(`for (var term = 0; term < ${block.k}; term++)`, () => {
          emitter.line(`rhs_sum += f32(${rhs.array}[term * ${rhs.stride} + local]);`);
        });
      });
    // The next terms overwrite what others may still read.
    emitter.line("workgroupBarrier();");
  });
  const sums = `matrix_sums_${block.m * block.n}`;
  for (const i of down)
    for (const j of across) {
      const at = `(tile_m + ${i * shape.m}) * ${block.n} + tile_n + ${j * shape.n}`;
      emitter.line(`subgroupMatrixStore<row_major>(&${sums}, ${at}, matrix_${i}_${j}, ${block.n});`);
    }
  emitter.line("workgroupBarrier();");
  const halves = [lhs, rhs].map(
    ({ array, stride }) => `var<workgroup> ${array}: array<f16, ${stride * block.k}>;`,
  );
  return { declarations: [...halves, `var<workgroup> ${sums}: array<f32, ${block.m * block.n}>;`], sums };
}

/** An operand before it was widened. */
function halfOf(e: Expr): Expr {
  if (e.kind !== "cast" || e.of.dtype !== "f16")
    throw new Error("wgsl: matrices of operands that are not f16");
  return e.of;
}
