import type { BufferRange } from "../program/index.ts";
import type { Schedule, ScheduledDispatch } from "./schedule.ts";

/** What one kernel computes and a later one reads, and why the two are not one. */
export interface DataFlow {
  /** Numbers of the dispatches, counted from 0. */
  readonly producer: number;
  readonly consumer: number;
  /** As the consumer calls them. */
  readonly tensors: readonly string[];
  readonly bytes: number;
  readonly reason: string;
}

/**
 * The edges between the kernels of a schedule, found from the memory that they bind: a range is read from whoever wrote its
 * bytes last. Ascending by consumer, then producer.
 */
export function dataFlowOf(schedule: Schedule): readonly DataFlow[] {
  const dispatches = schedule.steps.filter((step) => step.kind === "dispatch");
  const reasons = new Map<string, string>();
  for (const { producerDispatch, consumerDispatch, reason } of schedule.unfused) {
    const pair = `${producerDispatch} ${consumerDispatch}`;
    if (!reasons.has(pair)) reasons.set(pair, reason);
  }
  /** Writes of each buffer, in order. */
  const written = new Map<string, { readonly dispatch: number; readonly range: BufferRange }[]>();
  return dispatches.flatMap((step, consumer) => {
    const found = new Map<number, { tensors: string[]; bytes: number; isDirect: boolean }>();
    for (const position of step.reads) {
      const range = step.bindings[position]!;
      // The chains of a scatter are no nodes.
      const op = schedule.nodes[step.kernel.tensors[position]!.tensor]?.op;
      for (const { dispatch, bytes } of lastWriters(written.get(range.buffer) ?? [], range)) {
        const flow = found.get(dispatch) ?? { tensors: [], bytes: 0, isDirect: false };
        if (op !== "pack" && op !== "view") flow.isDirect = true;
        flow.tensors.push(nameAt(step, position));
        flow.bytes += bytes;
        found.set(dispatch, flow);
      }
    }
    for (const position of step.writes) {
      const range = step.bindings[position]!;
      const list = written.get(range.buffer);
      if (list === undefined) written.set(range.buffer, [{ dispatch: consumer, range }]);
      else list.push({ dispatch: consumer, range });
    }
    return [...found]
      .sort(([a], [b]) => a - b)
      .map(([producer, { tensors, bytes, isDirect }]) => {
        const untold = isDirect
          ? untoldReason(step)
          : "it is read as a piece, or as a whole that several kernels fill";
        const reason = reasons.get(`${producer} ${consumer}`) ?? untold;
        return { producer, consumer, tensors, bytes, reason };
      });
  });
}

/** Where nobody was asked: most ops join one of the kernels that they read, the latest that can take them. */
function untoldReason({ kernel }: ScheduledDispatch): string {
  return kernel.kind === "stream" || kernel.kind === "score_sum"
    ? "a walk over scores starts a kernel of its own"
    : "its reader is part of another kernel already";
}

/** A tensor's name in the WGSL, without the prefix that keeps it clear of reserved words. */
export function nameAt(step: ScheduledDispatch, position: number): string {
  return step.kernel.tensors[position]!.name.replace(/^t_/, "");
}

/** Who wrote the bytes of `range` last, latest first, with how many of them. */
function lastWriters(
  writes: readonly { readonly dispatch: number; readonly range: BufferRange }[],
  range: BufferRange,
): readonly { readonly dispatch: number; readonly bytes: number }[] {
  const found: { dispatch: number; bytes: number }[] = [];
  let missing = [{ first: range.offsetBytes, end: range.offsetBytes + range.sizeBytes }];
  for (let i = writes.length - 1; i >= 0 && missing.length > 0; i--) {
    const { dispatch, range: candidate } = writes[i]!;
    const first = candidate.offsetBytes;
    const end = first + candidate.sizeBytes;
    let bytes = 0;
    missing = missing.flatMap((piece) => {
      const overlap = Math.min(piece.end, end) - Math.max(piece.first, first);
      if (overlap <= 0) return [piece];
      bytes += overlap;
      return [
        { first: piece.first, end: first },
        { first: end, end: piece.end },
      ].filter((rest) => rest.first < rest.end);
    });
    if (bytes > 0) found.push({ dispatch, bytes });
  }
  return found;
}
