import type { Kernel } from "../kernel/index.ts";
import type { BufferRange, TensorPlace } from "../program/index.ts";

/** One dispatch: a kernel, and the range that each of its tensors is bound to, in order. */
export interface ScheduledDispatch {
  readonly kind: "dispatch";
  readonly kernel: Kernel;
  readonly bindings: readonly BufferRange[];
  readonly label: string;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export type ScheduledStep =
  | ScheduledDispatch
  | { readonly kind: "clear"; readonly range: BufferRange }
  | { readonly kind: "copy"; readonly from: BufferRange; readonly to: BufferRange };

/** Why one kernel did not take in another. */
export interface Unfused {
  readonly producer: string;
  readonly consumer: string;
  readonly reason: string;
}

export interface Schedule {
  readonly steps: readonly ScheduledStep[];
  readonly outputs: readonly TensorPlace[];
  readonly inputs: readonly TensorPlace[];
  /** Buffers that this schedule needs beside the states and inputs, by name and bytes. */
  readonly scratch: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly unfused: readonly Unfused[];
}
