// In: a kernel, which is data.
// Out: its WGSL module, as text.
// Assumes: all choices (tiles, vectors, workgroups) are in the kernel already.
// Guarantees: equal kernels print equal bytes; entry point `main`; bindings are its tensors in order; no access leaves its tensor.
// Start reading at: module.ts, then emitter.ts.
import { checkBounds, type Kernel, type PartKernel } from "../kernel/index.ts";
import { printMap } from "./map.ts";
import { printMatmul } from "./matmul.ts";
import { type KernelBody, writeModule, writeModuleOfParts } from "./module.ts";
import { printRow } from "./row.ts";
import { printScoreSum } from "./score-sum.ts";
import { printSegment } from "./segment.ts";
import { printStream } from "./stream.ts";

/** @throws Error where an index can leave its tensor, see `checkBounds` */
export function printKernel(kernel: Kernel): string {
  checkBounds(kernel);
  if (kernel.kind !== "beside") return writeModule(kernel, bodyOf(kernel, new Set()));
  const alone = kernel.parts.map((part) => bodyOf(part, new Set()));
  // A buffer has one type in a module: where one part reads it as vec4s, all do.
  const bound = new Set(alone.flatMap((body) => [...body.vectorTensors]));
  const bodies = kernel.parts.map((part, i) => {
    const body = alone[i]!;
    const own = part.tensors.filter((t) => bound.has(t.tensor));
    return own.every((t) => body.vectorTensors.has(t.tensor)) ? body : bodyOf(part, bound);
  });
  return writeModuleOfParts(kernel, bodies);
}

/** @param bound tensors that are arrays of vec4 whether this kernel reads them so or not */
function bodyOf(kernel: PartKernel, bound: ReadonlySet<number>): KernelBody {
  switch (kernel.kind) {
    case "map":
      return printMap(kernel, bound);
    case "row":
      return printRow(kernel, bound);
    case "matmul":
      return printMatmul(kernel, bound);
    case "score_sum":
      return printScoreSum(kernel, bound);
    case "stream":
      return printStream(kernel, bound);
    case "segment":
      return printSegment(kernel, bound);
    default:
      return kernel satisfies never;
  }
}
