import type { Program, ProgramEntry, ProgramStep } from "../compiler/program/index.ts";

export function entriesOf(program: Program): (readonly [string, ProgramEntry])[] {
  const { train, accumulate, evaluate, encode } = program.entries;
  return Object.entries({ train, accumulate, evaluate, encode }).flatMap(([name, entry]) =>
    entry === undefined ? [] : [[name, entry] as const],
  );
}

/** What one run of an entry costs by the plan. */
export interface EntryFigures {
  readonly dispatches: number;
  /** Distinct kernels: each is compiled once, however often it is dispatched. */
  readonly pipelines: number;
  /** Bytes read and written, each bound tensor once a dispatch; with those that are cleared or copied. */
  readonly bytesMoved: number;
  readonly flops: number;
  readonly peakBytes: number;
}

export function entryFigures(entry: ProgramEntry): EntryFigures {
  const dispatches = entry.steps.filter((step) => step.kind === "dispatch");
  return {
    dispatches: dispatches.length,
    pipelines: distinctKernels([entry]),
    bytesMoved: entry.steps.reduce((sum, step) => sum + bytesOf(step), 0),
    flops: dispatches.reduce((sum, step) => sum + step.flops, 0),
    peakBytes: entry.peakBytes,
  };
}

function bytesOf(step: ProgramStep): number {
  switch (step.kind) {
    case "dispatch":
      return step.bytesRead + step.bytesWritten;
    case "clear":
      return step.range.sizeBytes;
    case "copy":
      return 2 * step.from.sizeBytes;
    default:
      return step satisfies never;
  }
}

/** Kernels that the entries dispatch, each counted once: what must be compiled to run them. */
export function distinctKernels(entries: readonly (ProgramEntry | undefined)[]): number {
  const kernels = new Set<number>();
  for (const entry of entries) {
    for (const step of entry?.steps ?? []) if (step.kind === "dispatch") kernels.add(step.kernel);
  }
  return kernels.size;
}
