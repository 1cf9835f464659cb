import { type Diagnostic, formatBytes } from "../diagnostics/index.ts";
import type { MemoryReport } from "./report.ts";

/** A batch that fits. */
export interface SmallerBatch {
  readonly batch: number;
  /** Micro-batches a step. */
  readonly accumulate: number;
  readonly peakBytes: number;
  /** Whether a step has as many examples as before. */
  readonly keepsExamples: boolean;
}

/** Bytes of the program with that batch, as few as a plan can be found for; undefined where there is no such program. */
export type PeakOf = (batch: number, accumulate: number) => number | undefined;

/**
 * The largest batch below `batch` that divides it and fits: accumulated to the same examples a step, or, where none does
 * (micro-batches need a buffer for the sum of their gradients), accumulated as often as before.
 */
export function largestBatch(
  batch: number,
  accumulate: number,
  memoryBytes: number,
  peakOf: PeakOf,
): SmallerBatch | undefined {
  const sizes: number[] = [];
  for (let size = 1; size < batch; size++) if (batch % size === 0) sizes.push(size);
  for (const keepsExamples of [true, false]) {
    let found: SmallerBatch | undefined;
    // A larger batch takes more bytes.
    let [low, high] = [0, sizes.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const size = sizes[middle]!;
      const times = keepsExamples ? (accumulate * batch) / size : accumulate;
      const peakBytes = peakOf(size, times);
      if (peakBytes !== undefined && peakBytes <= memoryBytes) {
        found = { batch: size, accumulate: times, peakBytes, keepsExamples };
        low = middle + 1;
      } else high = middle - 1;
    }
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * That a program takes more than it may, and what would fit.
 * @param stateBytes parameters, their sums of gradients and the optimizer's slots alone
 * @param canSet whether the settings `batch` and `accumulate` of the spec make `smaller`
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
      `the smallest plan that was found takes ${formatBytes(peakBytes)} (${formatBytes(unlimitedBytes)} without recomputation), ` +
      `the limit is ${formatBytes(memoryBytes)}; parameters and optimizer alone take ${formatBytes(stateBytes)}`,
    primary: { span: { file, start: 0, end: 0 }, text: "" },
    related: [],
    hint: hintOf(peakBytes, smaller, canSet),
  };
}

function hintOf(peakBytes: number, smaller: SmallerBatch | undefined, canSet: boolean): string {
  const asItIs = `as it is, it fits into \`--memory ${peakBytes}\``;
  if (smaller === undefined) return `no smaller batch fits either; ${asItIs}`;
  const { batch, accumulate, keepsExamples } = smaller;
  const times = keepsExamples ? ` --set accumulate=${accumulate}` : "";
  const what = canSet
    ? `\`--set batch=${batch}${times}\` takes`
    : `a batch of ${batch}${keepsExamples ? `, accumulated ${accumulate} times,` : ""} takes`;
  const examples = keepsExamples ? "as many examples a step" : "fewer examples a step";
  return `${what} ${formatBytes(smaller.peakBytes)}, with ${examples}; ${asItIs}`;
}
