// In: a kernel, which is data.
// Out: its WGSL module, as text.
// Assumes: all choices (tiles, vectors, workgroups) are in the kernel already.
// Guarantees: the same kernel prints the same bytes; one entry point `main`; bindings are the kernel's tensors in order.
// Start reading at: module.ts, then emitter.ts.
import type { Kernel } from "../kernel/index.ts";
import { printMap } from "./map.ts";
import { printMatmul } from "./matmul.ts";
import { printRow } from "./row.ts";
import { printScoreSum } from "./score-sum.ts";
import { printSegment } from "./segment.ts";
import { printStream } from "./stream.ts";

export function printKernel(kernel: Kernel): string {
  switch (kernel.kind) {
    case "map":
      return printMap(kernel);
    case "row":
      return printRow(kernel);
    case "matmul":
      return printMatmul(kernel);
    case "score_sum":
      return printScoreSum(kernel);
    case "stream":
      return printStream(kernel);
    case "segment":
      return printSegment(kernel);
    default:
      return kernel satisfies never;
  }
}
