import { type Diagnostic, formatBytes } from "../diagnostics/index.ts";
import type { MemoryReport } from "./report.ts";

/** A batch that fits, and how often it is accumulated for as many examples a step. */
export interface SmallerBatch {
  readonly batch: number;
  readonly accumulate: number;
  readonly peakBytes: number;
}

/**
 * The largest batch below `batch` that divides it and fits, accumulated to the same examples a step.
 * @param peakOf bytes of the program with that batch, as few as a plan can be found for; undefined where there is no such program
 */
export function largestBatch(
  batch: number,
  accumulate: number,
  memoryBytes: number,
  peakOf: (batch: number, accumulate: number) => number | undefined,
): SmallerBatch | undefined {
  const sizes: number[] = [];
  for (let size = 1; size < batch; size++) if (batch % size === 0) sizes.push(size);
  let found: SmallerBatch | undefined;
  // A larger batch takes more bytes.
  let [low, high] = [0, sizes.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const size = sizes[middle]!;
    const times = (accumulate * batch) / size;
    const peakBytes = peakOf(size, times);
    if (peakBytes !== undefined && peakBytes <= memoryBytes) {
      found = { batch: size, accumulate: times, peakBytes };
      low = middle + 1;
    } else high = middle - 1;
  }
  return found;
}

/**
 * That a program takes more than it may, and what would fit.
 * @param stateBytes parameters and the optimizer's slots alone
 * @param canSet whether the spec has the settings `batch` and `accumulate`
 */
export function overMemoryLimit(
  file: string,
  { peakBytes, unlimitedBytes }: MemoryReport,
  stateBytes: number,
  memoryBytes: number,
  smaller: SmallerBatch | undefined,
  canSet: boolean,
): Diagnostic {
  return {
    code: "over-memory-limit",
    severity: "error",
    message:
      `the program takes ${formatBytes(peakBytes)} at least (${formatBytes(unlimitedBytes)} without recomputation), ` +
      `the limit is ${formatBytes(memoryBytes)}; parameters and optimizer alone take ${formatBytes(stateBytes)}`,
    primary: { span: { file, start: 0, end: 0 }, text: "" },
    related: [],
    hint: hintOf(peakBytes, smaller, canSet),
  };
}

function hintOf(peakBytes: number, smaller: SmallerBatch | undefined, canSet: boolean): string {
  if (smaller === undefined)
    return `no smaller batch fits either; this one fits into ${formatBytes(peakBytes)} (\`--memory ${peakBytes}\`)`;
  const { batch, accumulate } = smaller;
  const what = canSet
    ? `\`--set batch=${batch} --set accumulate=${accumulate}\` takes`
    : `a batch of ${batch}, accumulated ${accumulate} times, takes`;
  return `${what} ${formatBytes(smaller.peakBytes)} for the same examples a step; this batch fits into \`--memory ${peakBytes}\``;
}
