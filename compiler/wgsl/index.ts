// In: a kernel, which is data.
// Out: its WGSL module, as text.
// Assumes: all choices (tiles, vectors, workgroups) are in the kernel already.
// Guarantees: equal kernels print equal bytes; entry point `main`; bindings are its tensors in order; no access leaves its tensor.
// Start reading at: module.ts, then emitter.ts.
import { type BesideKernel, checkBounds, type Kernel, type PartKernel } from "../kernel/index.ts";
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
  return printParts(kernel, [...kernel.parts.keys()]);
}

/**
 * A kernel as modules to run one after the other with its bindings and workgroups: a long part of a dispatch in one of its own,
 * as drivers take longer for two in one module than for each, and what is short together.
 * @throws Error where an index can leave its tensor, see `checkBounds`
 */
export function printApart(kernel: Kernel): readonly string[] {
  if (kernel.kind !== "beside") return [printKernel(kernel)];
  checkBounds(kernel);
  const isLong = ({ kind }: PartKernel): boolean =>
    kind === "matmul" || kind === "stream" || kind === "score_sum";
  const numbers = [...kernel.parts.keys()];
  const short = numbers.filter((i) => !isLong(kernel.parts[i]!));
  const long = numbers.filter((i) => isLong(kernel.parts[i]!)).map((i) => [i]);
  return [...long, ...(short.length > 0 ? [short] : [])].map((some) => printParts(kernel, some));
}

/** The module of some parts, by their indices. */
function printParts(kernel: BesideKernel, some: readonly number[]): string {
  const alone = new Map(some.map((i) => [i, bodyOf(kernel.parts[i]!, new Set())]));
  // A buffer has one type in a module: where one part reads it as vec4s, all do.
  const bound = new Set([...alone.values()].flatMap((body) => [...body.vectorTensors]));
  const bodies = [...alone].map(([i, body]) => {
    const part = kernel.parts[i]!;
    const own = part.tensors.filter((t) => bound.has(t.tensor));
    const agrees = own.every((t) => body.vectorTensors.has(t.tensor));
    return [i, agrees ? body : bodyOf(part, bound)] as const;
  });
  return writeModuleOfParts(kernel, new Map(bodies));
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
