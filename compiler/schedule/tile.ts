import { type AxisExpr, alignmentOf, type Expr, laneStride, walk } from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";

/** Register tile of a matmul and how many invocations a workgroup has. */
export interface TileChoice {
  readonly m: number;
  readonly n: number;
  /** Terms of the contraction that are written out side by side. */
  readonly k: 1 | 4;
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
  return { m: tileM, n: tileN, k: isLarge ? 4 : 1, workgroupSize: software ? 4 : 64 };
}

/**
 * Which way neighbouring invocations go: along n each tile of rows of the left operand is read once and the whole right
 * operand once a row of tiles, along m the other way round; the way with less traffic is taken.
 */
export function chooseNeighbours(m: number, n: number, tile: TileChoice): "m" | "n" {
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
