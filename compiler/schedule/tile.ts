import {
  type AxisExpr,
  alignmentOf,
  blockBytes,
  type Expr,
  laneStride,
  type MatmulBlock,
  type MatmulKernel,
  type Store,
  type SubgroupMatrices,
  walk,
} from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";

/** Register tile of a matmul, how many invocations a workgroup has, and what they compute together, if anything. */
export interface TileChoice {
  readonly m: number;
  readonly n: number;
  /** Terms of the contraction that are written out side by side. */
  readonly k: 1 | 4;
  readonly block: MatmulBlock | undefined;
  readonly matrices?: SubgroupMatrices | undefined;
  readonly workgroupSize: number;
}

/**
 * Below this many operations a large tile gains less than a millisecond a step, and its long code costs the driver
 * hundreds once (SwiftShader: 8x16 compiles in 0.3 s, 4x8 in 0.1 s).
 */
export const SMALL_FLOPS = 2e6;
/**
 * From here on four terms side by side gain more in a hundred steps than their longer code costs once (SwiftShader: a fifth
 * of the time, and 0.2 s to compile instead of 0.1 s).
 */
const LARGE_FLOPS = 4e6;

/** The largest power of two that is at most both. */
export function largestPowerOfTwo(limit: number, most: number): number {
  let p = 1;
  while (p * 2 <= limit && p * 2 <= most) p *= 2;
  return p;
}

/**
 * A CPU behind the driver wants tiles as large as its registers hold and few invocations; a GPU wants enough
 * invocations to fill it, so the tile shrinks while there are too few.
 */
export function chooseTile(
  profile: DeviceProfile,
  batch: number,
  m: number,
  n: number,
  k: number,
): TileChoice {
  const software = profile.deviceClass === "software";
  const isSmall = 2 * batch * m * n * k < SMALL_FLOPS;
  let tileM = largestPowerOfTwo(m, isSmall ? 4 : 8);
  let tileN = largestPowerOfTwo(n, software && !isSmall ? 16 : 8);
  const tiles = () => batch * Math.ceil(m / tileM) * Math.ceil(n / tileN);
  const wanted = software ? 16 : 4096;
  while (tiles() < wanted && (tileM > 4 || tileN > 4)) {
    if (tileN > tileM) tileN /= 2;
    else tileM /= 2;
  }
  const isLarge = !software || 2 * batch * m * n * k >= LARGE_FLOPS;
  return { m: tileM, n: tileN, k: isLarge ? 4 : 1, block: undefined, workgroupSize: software ? 4 : 64 };
}

/** Tiles whose operands go through workgroup memory, the most reuse first. */
export const BLOCK_TILES: readonly TileChoice[] = [
  blockTile(128, 128, 16, 8),
  blockTile(64, 64, 16, 8),
  blockTile(64, 64, 16, 4),
  blockTile(32, 64, 16, 4),
  blockTile(32, 32, 16, 4),
];

/** `rows` x `columns` of the result and `terms` of it a workgroup, squares of `tile` an invocation. */
function blockTile(rows: number, columns: number, terms: number, tile: 4 | 8): TileChoice {
  const block = { m: rows, n: columns, k: terms };
  return { m: tile, n: tile, k: 4, block, workgroupSize: (rows * columns) / tile ** 2 };
}

/** Rows and columns of a block that one subgroup multiplies matrices for: as many accumulators as its registers hold. */
const SUBGROUP_TILE = 32;
/** Subgroups of a workgroup, down and across the block, the most reuse first. */
const SUBGROUPS = [
  [4, 2],
  [2, 2],
  [2, 1],
  [1, 1],
] as const;

/**
 * Blocks whose products subgroups compute as matrices. Where a device chooses the size of subgroups anew for each kernel nothing
 * says how many there are: no blocks.
 */
export function matrixTiles({ subgroupSizes, subgroupMatrices = [] }: DeviceProfile): readonly TileChoice[] {
  if (subgroupSizes === undefined || subgroupSizes.min !== subgroupSizes.max) return [];
  const subgroupSize = subgroupSizes.max;
  return subgroupMatrices
    .filter(({ m, n }) => SUBGROUP_TILE % m === 0 && SUBGROUP_TILE % n === 0)
    .flatMap((shape) =>
      SUBGROUPS.flatMap(([rows, columns]) =>
        [32, 16].flatMap((k): readonly TileChoice[] => {
          if (k % shape.k !== 0) return [];
          const block = { m: rows * SUBGROUP_TILE, n: columns * SUBGROUP_TILE, k };
          const matrices = { shape, subgroupSize };
          const workgroupSize = rows * columns * subgroupSize;
          return [{ m: SUBGROUP_TILE, n: SUBGROUP_TILE, k: 4, block, matrices, workgroupSize }];
        }),
      ),
    );
}

/** Whether a block divides the contraction and fits into the result and into a workgroup of the device. */
export function blockFits(
  profile: DeviceProfile,
  { block, matrices, workgroupSize }: TileChoice,
  m: number,
  n: number,
  k: number,
): boolean {
  if (block === undefined) return true;
  const most = Math.min(profile.maxComputeInvocationsPerWorkgroup, profile.maxComputeWorkgroupSizeX);
  const bytes = blockBytes(block, matrices !== undefined);
  const isInside = m >= block.m && n >= block.n && k % block.k === 0;
  return isInside && workgroupSize <= most && bytes <= profile.maxComputeWorkgroupStorageSize;
}

/** So many workgroups keep a GPU busy. */
export const FILLING_WORKGROUPS = 96;
/** A shorter contraction is over before the operands that a block shares are read again. */
const SHORTEST_BLOCKED = 32;
/** The last block is shifted back over its neighbour: no more than this is computed twice. */
const MOST_OVERLAP = 1.25;

/**
 * The tile that reads operands most seldom among those that a GPU has enough workgroups of: from memory each is read once a
 * block instead of once a tile. On a processor behind a driver a barrier ends a loop over the invocations, and all they hold
 * goes to memory: blocks are five to thirty times slower there.
 */
export function chooseBlock(
  profile: DeviceProfile,
  batch: number,
  m: number,
  n: number,
  k: number,
): TileChoice | undefined {
  if (profile.deviceClass === "software" || k < SHORTEST_BLOCKED) return undefined;
  return findBlock(profile, BLOCK_TILES, batch, m, n, k);
}

/** As {@link chooseBlock}, with matrices of subgroups: for operands in f16. */
export function chooseMatrices(
  profile: DeviceProfile,
  batch: number,
  m: number,
  n: number,
  k: number,
): TileChoice | undefined {
  if (profile.deviceClass === "software" || k < SHORTEST_BLOCKED) return undefined;
  return findBlock(profile, matrixTiles(profile), batch, m, n, k);
}

function findBlock(
  profile: DeviceProfile,
  tiles: readonly TileChoice[],
  batch: number,
  m: number,
  n: number,
  k: number,
): TileChoice | undefined {
  return tiles.find((tile) => {
    if (tile.block === undefined || !blockFits(profile, tile, m, n, k)) return false;
    const [rows, columns] = [Math.ceil(m / tile.block.m), Math.ceil(n / tile.block.n)];
    const computed = rows * tile.block.m * columns * tile.block.n;
    return batch * rows * columns >= FILLING_WORKGROUPS && computed <= MOST_OVERLAP * m * n;
  });
}

/**
 * Which way neighbouring invocations go: along n each tile of rows of the left operand is read once and the whole right
 * operand once a row of tiles, along m the other way round; the way with less traffic is taken.
 */
export function chooseNeighbours(
  m: number,
  n: number,
  tile: { readonly m: number; readonly n: number },
): "m" | "n" {
  const alongN = m + n * Math.ceil(m / tile.m);
  const alongM = n + m * Math.ceil(n / tile.n);
  return alongM < alongN ? "m" : "n";
}

/** The greatest power of two, at most 16, that divides every tile's origin: the last tile ends at the extent. */
export function tileMultiple(extent: number, tile: number): number {
  let p = 1;
  while (p < 16 && tile % (p * 2) === 0 && (extent - tile) % (p * 2) === 0) p *= 2;
  return p;
}

/** What every origin along an axis is a multiple of: of tiles, and of the blocks that they lie in. */
export function originMultiple(extent: number, tile: number, block: number | undefined): number {
  return block === undefined
    ? tileMultiple(extent, tile)
    : Math.min(tileMultiple(extent, block), largestPowerOfTwo(tile, 16));
}

/** How a matmul of these expressions reads and writes, with axes as its tile has them. */
export function matmulAccess(
  { m, n, k, lhs, rhs }: Pick<MatmulKernel, "m" | "n" | "k" | "lhs" | "rhs">,
  stores: readonly Store[],
  tile: { readonly m: number; readonly n: number },
): Pick<MatmulKernel, "lhsVector" | "rhsVector" | "vectorStores"> {
  const choose = (e: Expr, outer: AxisExpr, tileSize: number): "outer" | "k" | "none" => {
    const alongK = k.multiple === 4 ? vectorGain([e], k) : -1;
    const alongOuter = tileSize % 4 === 0 && outer.multiple % 4 === 0 ? vectorGain([e], outer) : -1;
    if (alongOuter > 0 && alongOuter >= alongK) return "outer";
    return alongK > 0 ? "k" : "none";
  };
  const [lhsChoice, rhsChoice] = [choose(lhs, m, tile.m), choose(rhs, n, tile.n)];
  return {
    lhsVector: lhsChoice === "outer" ? "m" : lhsChoice,
    rhsVector: rhsChoice === "outer" ? "n" : rhsChoice,
    vectorStores:
      tile.n % 4 === 0 && n.multiple % 4 === 0 && stores.every((store) => isVectorIndex(store.index, n)),
  };
}

/** Loads among `roots` that can be read four at a time along `axis`, less those that would be gathered one by one. */
export function vectorGain(roots: Iterable<Expr>, axis: AxisExpr): number {
  let gain = 0;
  walk(roots, (e) => {
    if (e.kind !== "load") return;
    const stride = laneStride(e.index, axis, 4);
    if (stride === 0) return;
    gain += stride === 1 && alignmentOf(e.index) % 4 === 0 ? 1 : -1;
  });
  return gain;
}

/** Whether the index `e` runs through four neighbours along `axis`, from a multiple of four. */
export function isVectorIndex(e: Expr, axis: AxisExpr): boolean {
  return laneStride(e, axis, 4) === 1 && alignmentOf(e) % 4 === 0;
}

/** Floating-point operations of one evaluation. */
export function flopsOf(roots: Iterable<Expr>): number {
  let count = 0;
  walk(roots, (e) => {
    if (e.dtype === "f32" && (e.kind === "call" || e.kind === "select")) count += 1;
  });
  return count;
}
