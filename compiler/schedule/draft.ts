import type { Kernel, PartKernel } from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import { tiled, walked } from "./variants.ts";

/**
 * A kernel in less code: the same bindings, workgroups and tiles, the same sums in the same order, and so the same results bit for
 * bit, but one term of a contraction at a time instead of four side by side. A processor behind the driver compiles it in a third
 * of the time and runs it a quarter slower (SwiftShader), so that it serves while the kernel itself is being compiled.
 * @returns undefined where the kernel is no longer than that, and on a GPU, whose drivers compile either at once
 */
export function draftOf(kernel: Kernel, profile: DeviceProfile): Kernel | undefined {
  if (profile.deviceClass !== "software") return undefined;
  if (kernel.kind !== "beside") return shorter(kernel);
  const parts = kernel.parts.map((part) => shorter(part) ?? part);
  const isShorter = parts.some((part, i) => part !== kernel.parts[i]);
  return isShorter ? { ...kernel, parts } : undefined;
}

function shorter(kernel: PartKernel): PartKernel | undefined {
  switch (kernel.kind) {
    case "matmul": {
      if (kernel.tile.k === 1 || kernel.block !== undefined) return undefined;
      const { neighbours, workgroupSize, tile } = kernel;
      return { ...tiled(kernel, { ...tile, k: 1, block: undefined, workgroupSize }), neighbours };
    }
    case "stream":
      return kernel.tile.k === 1 ? undefined : walked(kernel, { ...kernel.tile, k: 1 }, kernel.workgroupSize);
    case "score_sum": {
      if (kernel.scores.every((score) => score.k.multiple === 1)) return undefined;
      const { m, n } = kernel.tile;
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
