import {
  type AxisExpr,
  type Expr,
  KernelBuilder,
  type MatmulKernel,
  type PartKernel,
  Rewriter,
  type RowKernel,
  type ScoreSumKernel,
  type Store,
  type StreamKernel,
} from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { subgroupsOf } from "./kernels.ts";
import { remade } from "./remake.ts";
import { withVectors } from "./stream-kernel.ts";
import {
  BLOCK_TILES,
  blockFits,
  chooseNeighbours,
  matmulAccess,
  matrixTiles,
  originMultiple,
  type TileChoice,
  tileMultiple,
} from "./tile.ts";

/** One of the ways in which a kernel can be written: what it computes is the same but for the order of sums. */
export interface Variant {
  /** What is different, in words; equal for equal variants of one kernel, whatever kernel it is made from. */
  readonly name: string;
  readonly make: () => PartKernel;
}

/**
 * The variants of a kernel that are right on a device and may be fast there, the kernel as it is first, then by how likely
 * they are to win.
 * @param isAlone false for a part of a dispatch: all parts have workgroups of one size and share the workgroup's memory
 */
export function variantsOf(kernel: PartKernel, profile: DeviceProfile, isAlone: boolean): readonly Variant[] {
  const mostInvocations = Math.min(
    profile.maxComputeInvocationsPerWorkgroup,
    profile.maxComputeWorkgroupSizeX,
  );
  const software = profile.deviceClass === "software";
  const sizes = isAlone
    ? (software ? [1, 4, 16, 64] : [32, 64, 128, 256]).filter((size) => size <= mostInvocations)
    : [kernel.workgroupSize];
  const found = new Map<string, Variant>();
  const offer = (made: PartKernel): void => {
    const name = variantName(made);
    if (!found.has(name)) found.set(name, { name, make: () => made });
  };
  offer(kernel);
  switch (kernel.kind) {
    case "map":
      for (const vectorsPerInvocation of [1, 4, 16])
        for (const workgroupSize of sizes) offer({ ...kernel, vectorsPerInvocation, workgroupSize });
      break;
    case "row":
      for (const made of rowVariants(kernel, profile, sizes)) offer(made);
      break;
    case "matmul":
      for (const made of matmulVariants(kernel, profile, sizes, isAlone)) offer(made);
      break;
    case "stream":
    case "score_sum":
      for (const made of walkVariants(kernel, sizes)) offer(made);
      break;
    case "segment":
      // Its stages agree on blocks and chunks: none can change alone.
      break;
    default:
      kernel satisfies never;
  }
  return [...found.values()];
}

/** The kernel in a form that does not depend on what chose its variant: what its key is made of. */
export function neutral(kernel: PartKernel): PartKernel {
  const workgroupSize = 1;
  switch (kernel.kind) {
    case "map":
      return { ...kernel, vectorsPerInvocation: 1, workgroupSize };
    case "row":
      return { ...kernel, invocationsPerRow: 1, subgroups: undefined, workgroupSize };
    case "matmul":
      return {
        ...tiled(kernel, { m: 4, n: 4, k: 1, block: undefined, workgroupSize }),
        neighbours: "n",
      };
    case "stream":
    case "score_sum":
      return walked(kernel, { outer: 1, stream: 4, k: 1 }, workgroupSize);
    case "segment":
      return kernel;
    default:
      return kernel satisfies never;
  }
}

/** What is different between the variants of a kernel, in words. */
export function variantName(kernel: PartKernel): string {
  const workgroups = `workgroups of ${kernel.workgroupSize}`;
  switch (kernel.kind) {
    case "map":
      return `${kernel.vectorsPerInvocation} vectors an invocation, ${workgroups}`;
    case "row":
      return `${kernel.invocationsPerRow} invocations a row${kernel.subgroups === undefined ? "" : " joined in subgroups"}, ${workgroups}`;
    case "matmul": {
      const { tile, block, matrices, neighbours } = kernel;
      if (block !== undefined && matrices !== undefined) {
        const { m, n, k } = matrices.shape;
        return `${block.m}x${block.n}x${block.k} in workgroup memory, ${m}x${n}x${k} matrices of subgroups of ${matrices.subgroupSize}, neighbours along ${neighbours}`;
      }
      return block === undefined
        ? `${tile.m}x${tile.n}x${tile.k} in registers, neighbours along ${neighbours}, ${workgroups}`
        : `${block.m}x${block.n}x${block.k} in workgroup memory, ${tile.m}x${tile.n} in registers, neighbours along ${neighbours}`;
    }
    case "stream": {
      const { outer, stream, k } = kernel.tile;
      return `blocks of ${outer}x${stream}, ${k} terms at once, ${workgroups}`;
    }
    case "score_sum": {
      const k = termsAtOnce(kernel);
      return `blocks of ${kernel.tile.m}x${kernel.tile.n}, ${k} terms at once, ${workgroups}`;
    }
    case "segment":
      return `as the device's class has it, ${workgroups}`;
    default:
      return kernel satisfies never;
  }
}

function rowVariants(
  kernel: RowKernel,
  profile: DeviceProfile,
  sizes: readonly number[],
): readonly RowKernel[] {
  const alone = sizes.map(
    (workgroupSize): RowKernel => ({ ...kernel, invocationsPerRow: 1, subgroups: undefined, workgroupSize }),
  );
  // Barriers are dear on a processor, and rows that run four at a time have no room for them.
  if (profile.deviceClass === "software" || kernel.vector === "row") return alone;
  const subgroups = subgroupsOf(profile);
  const joins = subgroups === undefined ? [undefined] : [subgroups, undefined];
  const together = joins.flatMap((join) =>
    sizes.map(
      (workgroupSize): RowKernel => ({
        ...kernel,
        invocationsPerRow: workgroupSize,
        subgroups: join,
        workgroupSize,
      }),
    ),
  );
  return [...together, ...alone];
}

/** Register tiles, rows by columns. */
const TILES = [
  [8, 16],
  [16, 8],
  [8, 8],
  [4, 16],
  [4, 8],
  [8, 4],
  [4, 4],
] as const;

function matmulVariants(
  kernel: MatmulKernel,
  profile: DeviceProfile,
  sizes: readonly number[],
  isAlone: boolean,
): readonly MatmulKernel[] {
  const [m, n, k] = [kernel.m.extent, kernel.n.extent, kernel.k.extent];
  const software = profile.deviceClass === "software";
  const usual = sizes.includes(software ? 4 : 64) ? (software ? 4 : 64) : sizes[0]!;
  const made: MatmulKernel[] = [];
  for (const terms of k % 4 === 0 ? ([4, 1] as const) : ([1] as const))
    for (const [rows, columns] of TILES) {
      if (rows > m || columns > n || (!software && rows * columns > 64)) continue;
      made.push(tiled(kernel, { m: rows, n: columns, k: terms, block: undefined, workgroupSize: usual }));
    }
  // Blocks in company would have to share the workgroup's memory.
  if (isAlone)
    for (const tile of [...(isOfHalves(kernel) ? matrixTiles(profile) : []), ...BLOCK_TILES])
      if (blockFits(profile, tile, m, n, k)) made.push(tiled(kernel, tile));
  const registers = made.filter((variant) => variant.block === undefined);
  for (const workgroupSize of sizes)
    made.push(...registers.map((variant) => ({ ...variant, workgroupSize })));
  return [
    ...made,
    ...made.map(
      (variant): MatmulKernel => ({ ...variant, neighbours: variant.neighbours === "m" ? "n" : "m" }),
    ),
  ];
}

/** Whether a matmul's operands are there in f16. */
function isOfHalves({ lhs, rhs }: MatmulKernel): boolean {
  return [lhs, rhs].every((e) => e.kind === "cast" && e.of.dtype === "f16");
}

/** The same matmul with another tile. */
export function tiled(kernel: MatmulKernel, tile: TileChoice): MatmulKernel {
  const { block } = tile;
  const b = new KernelBuilder();
  const [m, n] = [kernel.m.extent, kernel.n.extent];
  const made = remade(b, kernel, {
    axis: (axis) => {
      if (axis === kernel.m) return b.axis(axis.name, m, originMultiple(m, tile.m, block?.m));
      if (axis === kernel.n) return b.axis(axis.name, n, originMultiple(n, tile.n, block?.n));
      return axis === kernel.k ? b.axis(axis.name, axis.extent, tile.k) : undefined;
    },
    position: () => undefined,
    place: (tensor, index) => ({ tensor, index }),
  });
  if (made.kind !== "matmul") throw new Error("schedule: a matmul became something else");
  return {
    ...made,
    tile: { m: tile.m, n: tile.n, k: tile.k },
    block,
    matrices: tile.matrices,
    neighbours: chooseNeighbours(m, n, block ?? tile),
    workgroupSize: tile.workgroupSize,
    ...matmulAccess(made, made.stores, tile),
  };
}

type WalkKernel = StreamKernel | ScoreSumKernel;
type WalkTile = StreamKernel["tile"];

/** Blocks of scores: those of the cost model and their neighbours. */
const BLOCKS = [
  [8, 8],
  [4, 8],
  [4, 4],
  [8, 4],
  [2, 8],
  [8, 16],
] as const;

function walkVariants(kernel: WalkKernel, sizes: readonly number[]): readonly WalkKernel[] {
  const [rows, columns] =
    kernel.kind === "stream"
      ? [kernel.outer.extent, kernel.stream.extent]
      : [kernel.m.extent, kernel.n.extent];
  const made: WalkKernel[] = [];
  for (const workgroupSize of new Set([kernel.workgroupSize, ...sizes]))
    for (const k of [4, 1] as const)
      for (const [outer, stream] of BLOCKS)
        if (outer <= rows && stream <= columns)
          made.push(walked(kernel, { outer, stream, k }, workgroupSize));
  return made;
}

function termsAtOnce(kernel: WalkKernel): 1 | 4 {
  return kernel.scores.some((score) => score.k.multiple === 4) ? 4 : 1;
}

/** The same walk over scores in other blocks. */
export function walked(kernel: WalkKernel, tile: WalkTile, workgroupSize: number): WalkKernel {
  const b = new KernelBuilder();
  const contracted = new Set(kernel.scores.map((score) => score.k));
  const [outer, stream] = kernel.kind === "stream" ? [kernel.outer, kernel.stream] : [kernel.m, kernel.n];
  const multipleOf = (axis: AxisExpr): number => {
    if (axis === outer) return tileMultiple(axis.extent, tile.outer);
    if (axis === stream) return tileMultiple(axis.extent, tile.stream);
    if (contracted.has(axis)) return axis.extent % 4 === 0 ? tile.k : 1;
    return axis.multiple;
  };
  const axes = new Map<AxisExpr, AxisExpr>();
  const axis = (e: AxisExpr): AxisExpr => {
    const made = axes.get(e) ?? b.axis(e.name, e.extent, multipleOf(e));
    axes.set(e, made);
    return made;
  };
  const rewriter = new Rewriter(b, { axis, load: (e, index) => b.load(e.dtype, e.tensor, index) });
  const expr = (e: Expr): Expr => rewriter.expr(e);
  const stores = (list: readonly Store[]): readonly Store[] =>
    list.map((s) => ({ tensor: s.tensor, index: expr(s.index), value: expr(s.value) }));
  const [batch, newOuter, newStream] = [axis(kernel.batch), axis(outer), axis(stream)];
  const scores = kernel.scores.map((score) =>
    withVectors(newOuter, newStream, {
      ...score,
      k: axis(score.k),
      lhs: expr(score.lhs),
      rhs: expr(score.rhs),
    }),
  );
  if (kernel.kind === "score_sum")
    return {
      ...kernel,
      batch,
      over: axis(kernel.over),
      m: newOuter,
      n: newStream,
      tile: { m: tile.outer, n: tile.stream },
      scores,
      sums: kernel.sums.map((sum) => ({ ...sum, body: expr(sum.body), stores: stores(sum.stores) })),
      workgroupSize,
    };
  return {
    ...kernel,
    batch,
    outer: newOuter,
    stream: newStream,
    tile: { ...tile, k: tile.k },
    scores,
    reductions: kernel.reductions.map((r) => ({ ...r, body: expr(r.body) })),
    rowStores: stores(kernel.rowStores),
    sums: kernel.sums.map((sum) => ({
      ...sum,
      n: axis(sum.n),
      weight: expr(sum.weight),
      operand: expr(sum.operand),
      stores: stores(sum.stores),
    })),
    workgroupSize,
  };
}
