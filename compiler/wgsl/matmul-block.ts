import type { AxisExpr, Expr, KernelBuilder, MatmulBlock } from "../kernel/index.ts";
import { type Emitter, splat } from "./emitter.ts";
import { valueType } from "./spelling.ts";
import type { TileProduct } from "./tile-product.ts";

const COMPONENTS = ["x", "y", "z", "w"] as const;
const FOUR = [0, 1, 2, 3] as const;

/** A tile product whose operands a workgroup brings into its memory together. */
export interface BlockProduct extends TileProduct {
  readonly block: MatmulBlock;
}

/** One operand of a block: vec4s along its outer axis, one row of them a term. */
export interface BlockOperand {
  readonly name: "lhs" | "rhs";
  readonly e: Expr;
  readonly outer: AxisExpr;
  /** Rows of the left or columns of the right operand. */
  readonly size: number;
  readonly vector: "outer" | "k" | "none";
  /** The workgroup's array. */
  readonly array: string;
  /** The invocations from this one on bring it, each a patch of 4 x 4, as long as there are enough of them. */
  readonly firstInvocation: number;
}

/**
 * Accumulates the block: the workgroup copies `block.k` terms of both operands (with what is computed on the way to them) into
 * its memory, in patches of 4 x 4 that are turned so that vec4s run along the outer axes, then each invocation multiplies what
 * its tile needs of them. The emitter has `block_m`, `block_n`, and `tile_m`, `tile_n` of the invocation within the block.
 * @returns declarations of the workgroup's arrays
 */
export function emitBlockProduct(
  emitter: Emitter,
  b: KernelBuilder,
  product: BlockProduct,
  workgroupSize: number,
): readonly string[] {
  const { block, tile, k, kName } = product;
  const bothAtOnce = patchesOf(block.m, block.k) + patchesOf(block.n, block.k) <= workgroupSize;
  // Kernels side by side share workgroup memory by name, so that the size is part of it.
  const arrayOf = (name: string, size: number): string => `${name}_block_${(size * block.k) / 4}`;
  const operands: readonly BlockOperand[] = [
    {
      name: "lhs",
      e: product.lhs,
      outer: product.m,
      size: block.m,
      vector: product.lhsVector === "m" ? "outer" : product.lhsVector,
      array: arrayOf("lhs", block.m),
      firstInvocation: 0,
    },
    {
      name: "rhs",
      e: product.rhs,
      outer: product.n,
      size: block.n,
      vector: product.rhsVector === "n" ? "outer" : product.rhsVector,
      array: arrayOf("rhs", block.n),
      firstInvocation: bothAtOnce ? patchesOf(block.m, block.k) : 0,
    },
  ];
  const loads = operands.map((operand) =>
    patchLoads(emitter, b, product, operand, workgroupSize, ({ outer, term }, columns) => {
      columns.forEach((column, step) => {
        const row = `(${term} + ${step}) * ${operand.size / 4} + (${outer} >> 2u)`;
        emitter.line(`${operand.array}[${row}] = ${column};`);
      });
    }),
  );
  const [lhs, rhs] = operands;
  if (lhs === undefined || rhs === undefined) throw new Error("wgsl: a matmul has two operands");
  const rows = Array.from({ length: tile.m / 4 }, (_, i) => i);
  const quads = Array.from({ length: tile.n / 4 }, (_, j) => j);
  emitter.block(`for (var ${kName} = 0; ${kName} < ${k.extent}; ${kName} += ${block.k})`, () => {
    for (const load of loads) load();
    emitter.line("workgroupBarrier();");
    emitter.block(`for (var term = 0; term < ${block.k}; term++)`, () => {
      for (const i of rows)
        emitter.line(`let a_${i} = ${lhs.array}[term * ${block.m / 4} + (tile_m >> 2u) + ${i}];`);
      const columns = quads.map((j) => `b_${j}`);
      for (const j of quads)
        emitter.line(`let b_${j} = ${rhs.array}[term * ${block.n / 4} + (tile_n >> 2u) + ${j}];`);
      for (let i = 0; i < tile.m; i++)
        for (const j of quads)
          emitter.line(
            `${product.accumulator(i, j)} += a_${Math.floor(i / 4)}.${COMPONENTS[i % 4]} * ${columns[j]};`,
          );
      product.alsoEachStep?.([columns]);
    });
    // The next terms overwrite what others may still read.
    emitter.line("workgroupBarrier();");
  });
  return operands.map(
    ({ array, size }) => `var<workgroup> ${array}: array<vec4<f32>, ${(size * block.k) / 4}>;`,
  );
}

/**
 * Computes, before the loop over terms, where the patches of this invocation lie.
 * @param put writes the statements that store a patch: its first row or column within the block, its first term, and a vec4 along the
 * outer axis for each of four terms
 * @returns what copies them, to be called inside that loop
 */
export function patchLoads(
  emitter: Emitter,
  b: KernelBuilder,
  { block, k, kName }: Pick<BlockProduct, "block" | "k" | "kName">,
  operand: BlockOperand,
  workgroupSize: number,
  put: (place: { readonly outer: string; readonly term: string }, columns: readonly string[]) => void,
): () => void {
  const { name, size, vector, firstInvocation } = operand;
  const across = size / 4;
  const deep = block.k / 4;
  const patches = across * deep;
  const rounds = Math.ceil(patches / workgroupSize);
  const places = Array.from({ length: rounds }, (_, round) => {
    const [at, outerName, termName] = [`${name}_patch_${round}`, `${name}_at_${round}`, `${name}_k_${round}`];
    const isPartial = firstInvocation > 0 || (round + 1) * workgroupSize > patches;
    const number = shifted("local", round * workgroupSize - firstInvocation);
    // What a patch's place decides is read before the loop, by invocations without a patch too: they read another's.
    emitter.line(`let ${at} = ${isPartial ? `clamp(${number}, 0, ${patches - 1})` : number};`);
    // Neighbouring invocations read neighbours in memory.
    const alongK = vector === "k";
    const [outer, term] = alongK
      ? [`${at} / ${deep}`, `${at} % ${deep}`]
      : [`${at} % ${across}`, `${at} / ${across}`];
    emitter.line(`let ${outerName} = (${outer}) * 4;`);
    emitter.line(`let ${termName} = (${term}) * 4;`);
    const axis = b.axis(outerName, operand.outer.extent, Math.min(4, operand.outer.multiple));
    emitter.line(`let ${name}_from_${round} = block_${name === "lhs" ? "m" : "n"} + ${outerName};`);
    emitter.bindAxis(axis, `${name}_from_${round}`);
    return { guard: isPartial ? `if (${at} == ${number})` : undefined, outerName, termName, axis };
  });
  return () => {
    for (const { guard, outerName, termName, axis } of places) {
      const load = (): void => {
        const terms = b.axis(termName, k.extent, 4);
        emitter.line(`let from_${termName} = ${kName} + ${termName};`);
        emitter.bindAxis(terms, `from_${termName}`);
        const e = b.substitute(
          operand.e,
          new Map<Expr, Expr>([
            [operand.outer, axis],
            [k, terms],
          ]),
        );
        put({ outer: outerName, term: termName }, patchColumns(emitter, b, e, axis, terms, vector));
      };
      if (guard === undefined) load();
      else emitter.block(guard, load);
    }
  };
}

/** Patches of 4 x 4 in so many rows (or columns) and terms. */
export function patchesOf(size: number, terms: number): number {
  return (size / 4) * (terms / 4);
}

function shifted(name: string, by: number): string {
  return by === 0 ? name : by > 0 ? `${name} + ${by}` : `${name} - ${-by}`;
}

/** A patch of 4 x 4, as a vec4 along `outer` for each of its four terms. */
function patchColumns(
  emitter: Emitter,
  b: KernelBuilder,
  e: Expr,
  outer: AxisExpr,
  terms: AxisExpr,
  vector: BlockOperand["vector"],
): readonly string[] {
  const moved = (axis: AxisExpr, by: number, of: Expr): Expr =>
    by === 0 ? of : b.substitute(of, new Map<Expr, Expr>([[axis, b.addIndex(axis, b.constant("i32", by))]]));
  const type = valueType(e.dtype, 4);
  if (vector === "outer")
    return FOUR.map((step) => splat(emitter.emit(moved(terms, step, e), outer), e.dtype, 4));
  if (vector === "k") {
    const rows = FOUR.map((i) => {
      const value = emitter.emit(moved(outer, i, e), terms);
      return value.width === 4 ? { name: emitter.name(value.text, "row_"), width: 4 } : { name: value.text };
    });
    return FOUR.map((step) => {
      const parts = rows.map(({ name, width }) => (width === 4 ? `${name}.${COMPONENTS[step]}` : name));
      return `${type}(${parts.join(", ")})`;
    });
  }
  return FOUR.map((step) => {
    const parts = FOUR.map((i) => emitter.emit(moved(terms, step, moved(outer, i, e))).text);
    return `${type}(${parts.join(", ")})`;
  });
}
