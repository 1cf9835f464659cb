import type { Program, ProgramEntry } from "../../compiler/program/index.ts";
import type { DispatchTime } from "../../runtime/execute/index.ts";
import { distinctKernels, type EntryFigures, entryFigures } from "../entry-figures.ts";
import type { Roofline } from "./roofline.ts";

/** Of one way to compile: by the plan, and as it ran where it did. */
export interface Comparison extends EntryFigures {
  /** Submits a step. */
  readonly submits: number;
  /** Median; null where it was not run. */
  readonly msPerStep: number | null;
  /** What is minimized, step by step. */
  readonly losses: readonly number[];
  /** Dispatches of the `train` entry in order; empty where they were not timed. */
  readonly kernels: readonly KernelFigures[];
  /** The time that the device's roofline allows the kernels, as a share of the time they took; null where not measured. */
  readonly roofline: number | null;
}

export interface KernelFigures {
  /** Name, place in the model and in the spec. */
  readonly label: string;
  /** Index into `Program.kernels`. */
  readonly kernel: number;
  /** Median of several runs. */
  readonly ms: number;
  readonly bytes: number;
  readonly flops: number;
  /** As for the whole step: max(bytes / bandwidth, flops / peak) / time. Above 1 where caches hold what it reads. */
  readonly roofline: number | null;
}

/** What a training step costs by the plan. */
export function planFigures(program: Program): Comparison {
  const { train, accumulate } = program.entries;
  const last = train === undefined ? undefined : entryFigures(train);
  const before = accumulate === undefined ? undefined : entryFigures(accumulate);
  const times = program.settings.accumulate - 1;
  const sum = (of: (figures: EntryFigures) => number): number =>
    (last === undefined ? 0 : of(last)) + (before === undefined ? 0 : times * of(before));
  return {
    dispatches: sum((figures) => figures.dispatches),
    submits: program.settings.accumulate,
    pipelines: distinctKernels([train, accumulate]),
    bytesMoved: sum((figures) => figures.bytesMoved),
    flops: sum((figures) => figures.flops),
    peakBytes: Math.max(last?.peakBytes ?? 0, before?.peakBytes ?? 0),
    msPerStep: null,
    losses: [],
    kernels: [],
    roofline: null,
  };
}

/**
 * @param runs the entry timed several times, each a time for every dispatch in order
 * @returns for each dispatch the median, and what share of it the roofline would allow
 */
export function kernelFigures(
  entry: ProgramEntry,
  runs: readonly (readonly DispatchTime[])[],
  roofline: Roofline | undefined,
): Pick<Comparison, "kernels" | "roofline"> {
  if (runs.length === 0) return { kernels: [], roofline: null };
  const dispatches = entry.steps.filter((step) => step.kind === "dispatch");
  const kernels = dispatches.map((step, at): KernelFigures => {
    const ms = median(runs.map((times) => times[at]?.milliseconds ?? Number.NaN));
    const bytes = step.bytesRead + step.bytesWritten;
    const figures = { label: step.label, kernel: step.kernel, ms, bytes, flops: step.flops };
    const least = roofline === undefined ? null : leastMs(figures, roofline);
    return { ...figures, roofline: least === null || ms === 0 ? null : least / ms };
  });
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const least = kernels.reduce((sum, { ms, roofline: share }) => sum + ms * (share ?? 0), 0);
  return { kernels, roofline: roofline === undefined || total === 0 ? null : least / total };
}

/** Milliseconds in which a device could do it at best: limited by its memory or by its arithmetic. */
export function leastMs(work: Pick<KernelFigures, "bytes" | "flops">, roofline: Roofline): number {
  return 1000 * Math.max(work.bytes / roofline.bytesPerSecond, work.flops / roofline.flopsPerSecond);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The largest |a - b| / max(1, |a|, |b|) over all steps; NaN where a loss is none. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((most, value, index) => {
    const other = b[index] ?? Number.NaN;
    return Math.max(most, Math.abs(value - other) / Math.max(1, Math.abs(value), Math.abs(other)));
  }, 0);
}
