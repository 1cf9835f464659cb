import type { Kernel, MatmulBlock, SegmentKernel } from "./kernel.ts";

/** Invocations that a dispatch needs, and how many of them make a workgroup. */
export function launchOf(kernel: Kernel): { readonly invocations: number; readonly workgroups: number } {
  const invocations = invocationsOf(kernel);
  return { invocations, workgroups: Math.ceil(invocations / kernel.workgroupSize) };
}

/** Bytes of workgroup memory that a kernel declares; of what parts share, an upper bound. */
export function workgroupBytesOf(kernel: Kernel): number {
  switch (kernel.kind) {
    case "row": {
      if (kernel.invocationsPerRow === 1) return 0;
      // A logsumexp keeps a maximum and a sum.
      const numbers = kernel.sweeps
        .flatMap((sweep) => sweep.reductions)
        .reduce((n, reduction) => n + (reduction.op === "logsumexp" ? 2 : 1), 0);
      return 4 * numbers * Math.ceil(kernel.invocationsPerRow / (kernel.subgroups?.least ?? 1));
    }
    case "segment":
      return kernel.stage.kind === "sort" ? 4 * kernel.stage.block : 0;
    case "beside":
      return kernel.parts.reduce((n, part) => n + workgroupBytesOf(part), 0);
    case "matmul":
      return kernel.block === undefined ? 0 : blockBytes(kernel.block, kernel.matrices !== undefined);
    case "map":
    case "score_sum":
    case "stream":
      return 0;
    default:
      return kernel satisfies never;
  }
}

/** Halves between the rows of an operand of matrices in workgroup memory: rows then begin in different banks. */
export const MATRIX_PADDING = 8;

/** Bytes of workgroup memory of a matmul's block; with matrices its operands are f16, and its sums are there too. */
export function blockBytes({ m, n, k }: MatmulBlock, withMatrices: boolean): number {
  return withMatrices ? 2 * k * (m + n + 2 * MATRIX_PADDING) + 4 * m * n : 4 * k * (m + n);
}

function invocationsOf(kernel: Kernel): number {
  switch (kernel.kind) {
    case "map":
      if (kernel.vectorsPerInvocation === 1) return kernel.axis.extent / kernel.width;
      // Whole workgroups, as an invocation's vectors lie one workgroup apart; the loop has its own bound.
      return (
        Math.ceil(kernel.axis.extent / (kernel.width * kernel.vectorsPerInvocation * kernel.workgroupSize)) *
        kernel.workgroupSize
      );
    case "row": {
      const units = kernel.blocks?.block.extent ?? kernel.row.extent / (kernel.vector === "row" ? 4 : 1);
      return units * kernel.invocationsPerRow;
    }
    case "matmul": {
      const { m, n } = kernel.block ?? kernel.tile;
      const places = kernel.batch.extent * Math.ceil(kernel.m.extent / m) * Math.ceil(kernel.n.extent / n);
      return kernel.block === undefined ? places : places * kernel.workgroupSize;
    }
    case "score_sum":
      return (
        kernel.batch.extent *
        Math.ceil(kernel.m.extent / kernel.tile.m) *
        Math.ceil(kernel.n.extent / kernel.tile.n)
      );
    case "stream":
      return kernel.batch.extent * Math.ceil(kernel.outer.extent / kernel.tile.outer);
    case "segment":
      return segmentInvocations(kernel);
    case "beside":
      return kernel.workgroupSize * kernel.parts.reduce((n, part) => n + launchOf(part).workgroups, 0);
    default:
      return kernel satisfies never;
  }
}

function segmentInvocations({ item, stage, workgroupSize }: SegmentKernel): number {
  switch (stage.kind) {
    case "columns":
      return stage.column.extent / stage.width;
    case "sort":
      return Math.ceil(item.extent / stage.block) * workgroupSize;
    case "rank":
      return item.extent;
    case "sum":
      return Math.ceil(item.extent / stage.chunk) * (stage.column.extent / stage.width);
    case "join":
      // The last chunk goes on nowhere.
      return (Math.ceil(item.extent / stage.chunk) - 1) * (stage.column.extent / stage.width);
    default:
      return stage satisfies never;
  }
}
