import type { Kernel, PartKernel } from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { largestPowerOfTwo } from "./tile.ts";
import { tiled, walked } from "./variants.ts";

/** A draft's tile: rows by columns. Its code compiles in a fifth of the time of 8 x 16 with four terms (SwiftShader). */
const ROWS = 4;
const COLUMNS = 8;
/** Rows of a walk over scores that an invocation of a draft has. */
const OUTER = 2;

/**
 * A kernel in less code: kernels to run one after the other in its place, on the same tensors, that compute the same sums in the same
 * order, and so the same results bit for bit. Tiles are smaller and terms of contractions come one by one; parts of a dispatch are
 * apart where they are long, as drivers take longer for two in one module than for each. A processor behind the driver
 * compiles that several times faster and runs it slower (SwiftShader: half as fast again), so that it serves while the kernel itself
 * is being compiled.
 * @returns undefined where the kernel is short itself, and on a GPU, whose drivers compile either at once
 */
export function draftsOf(kernel: Kernel, profile: DeviceProfile): readonly Kernel[] | undefined {
  if (profile.deviceClass !== "software") return undefined;
  if (kernel.kind !== "beside") {
    const draft = shorter(kernel);
    return draft && [draft];
  }
  const drafts = kernel.parts.map(shorter);
  if (drafts.every((draft) => draft === undefined)) return undefined;
  const parts = kernel.parts.map((part, i) => drafts[i] ?? part);
  const short = parts.filter((_, i) => drafts[i] === undefined);
  const long = parts.filter((_, i) => drafts[i] !== undefined).map((part) => [part]);
  return [...long, ...(short.length > 0 ? [short] : [])].map((some) => ({ ...kernel, parts: some }));
}

function shorter(kernel: PartKernel): PartKernel | undefined {
  switch (kernel.kind) {
    case "matmul": {
      const { tile, block, workgroupSize } = kernel;
      const [m, n] = [largestPowerOfTwo(tile.m, ROWS), largestPowerOfTwo(tile.n, COLUMNS)];
      if ((tile.k === 1 && m === tile.m && n === tile.n) || block !== undefined) return undefined;
      return tiled(kernel, { m, n, k: 1, block: undefined, workgroupSize });
    }
    case "stream": {
      const { outer, stream, k } = kernel.tile;
      if (k === 1 && outer <= OUTER) return undefined;
      return walked(kernel, { outer: Math.min(outer, OUTER), stream, k: 1 }, kernel.workgroupSize);
    }
    case "score_sum": {
      const { m, n } = kernel.tile;
      if (kernel.scores.every((score) => score.k.multiple === 1)) return undefined;
      return walked(kernel, { outer: m, stream: n, k: 1 }, kernel.workgroupSize);
    }
    case "map":
    case "row":
    case "segment":
      return undefined;
    default:
      return kernel satisfies never;
  }
}
