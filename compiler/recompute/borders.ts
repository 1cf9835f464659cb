import type { NodeId } from "../graph/index.ts";
import type { Timeline } from "./estimate.ts";

/** Between two sizes of a segment that are tried. */
const SIZE_RATIO = 1.6;
const SIZES = 10;

/**
 * Ways to divide the steps before the peak into segments, fine to coarse: for each the values that are alive from one segment to a
 * later one before the peak. Kept, they suffice to compute a segment's values without those of any other segment.
 *
 * For a given size of the largest segment (bytes that are read after the peak) the borders are those that keep fewest bytes. Where a
 * model has layers, they fall between layers, as that is where few values pass.
 */
export function chooseBorders(timeline: Timeline): readonly ReadonlySet<NodeId>[] {
  const { peakStep, early, lateReads, lastEarly } = timeline;
  const wanted = new Float64Array(peakStep + 1);
  const passing = new Float64Array(peakStep + 2);
  for (const { node, step, sizeBytes, place } of early) {
    if (place !== "arena") continue;
    if (lateReads.has(node)) wanted[step]! += sizeBytes;
    // Alive behind steps `step` to `lastEarly - 1`.
    passing[step]! += sizeBytes;
    passing[lastEarly.get(node)!]! -= sizeBytes;
  }
  for (let step = 1; step <= peakStep; step++) passing[step]! += passing[step - 1]!;
  const total = wanted.reduce((sum, bytes) => sum + bytes, 0);
  const found = new Map<string, ReadonlySet<NodeId>>();
  for (let i = 0, size = total; i < SIZES; i++, size /= SIZE_RATIO) {
    const borders = cheapestBorders(wanted, passing, size);
    if (borders === undefined) break;
    const kept = early.filter(
      ({ node, step, place }) =>
        place !== "kernel" && borders.some((border) => step <= border && lastEarly.get(node)! > border),
    );
    found.set(borders.join(), new Set(kept.map(({ node }) => node)));
  }
  return [...found.values()];
}

/**
 * Steps behind which to put borders, so that no segment wants more than `most` bytes and the fewest bytes pass the borders.
 * @returns undefined where one step alone wants more
 */
function cheapestBorders(
  wanted: Float64Array,
  passing: Float64Array,
  most: number,
): readonly number[] | undefined {
  const count = wanted.length;
  const cost = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const before = new Int32Array(count).fill(-1);
  for (let end = 0; end < count; end++) {
    let bytes = 0;
    for (let border = end - 1; border >= -1; border--) {
      bytes += wanted[border + 1]!;
      if (bytes > most) break;
      const passed = (border < 0 ? 0 : cost[border]!) + (end === count - 1 ? 0 : passing[end]!);
      if (passed >= cost[end]!) continue;
      cost[end] = passed;
      before[end] = border;
    }
  }
  if (cost[count - 1] === Number.POSITIVE_INFINITY) return undefined;
  const borders: number[] = [];
  for (let at = before[count - 1]!; at >= 0; at = before[at]!) borders.push(at);
  return borders.reverse();
}
