import type { Node, NodeId } from "../graph/index.ts";
import type { Kernel } from "../kernel/index.ts";
import type { BufferRange, TensorPlace, Tuning } from "../program/index.ts";
import type { DispatchValues } from "./dispatch-values.ts";

/** One dispatch: a kernel, and the range that each of its tensors is bound to, in order. */
export interface ScheduledDispatch {
  readonly kind: "dispatch";
  readonly kernel: Kernel;
  readonly bindings: readonly BufferRange[];
  readonly label: string;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Positions in `bindings` of what the kernel reads, and of what it writes; a tensor may be both. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** What it computes: ids in `Schedule.nodes`. */
  readonly nodes: readonly NodeId[];
}

export type ScheduledStep =
  | ScheduledDispatch
  | { readonly kind: "clear"; readonly range: BufferRange }
  | { readonly kind: "copy"; readonly from: BufferRange; readonly to: BufferRange };

/** Why one kernel did not take in another. */
export interface Unfused {
  readonly producer: string;
  readonly consumer: string;
  /** Their kernels, by the number of the dispatch, counted from 0. */
  readonly producerDispatch: number;
  readonly consumerDispatch: number;
  readonly reason: string;
}

/** Why kernels that do not wait for each other, and share something or are small, take a dispatch each. */
export interface Apart {
  readonly first: string;
  readonly second: string;
  readonly reason: string;
}

/** A tensor in an arena: its place, and the first and last dispatch that touches it, counted from 0. */
export interface ArenaTensor {
  readonly label: string;
  readonly buffer: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly first: number;
  /** The number of dispatches where it is read after all of them: an output, or an update that is copied. */
  readonly last: number;
}

export interface Schedule {
  readonly steps: readonly ScheduledStep[];
  readonly outputs: readonly TensorPlace[];
  readonly inputs: readonly TensorPlace[];
  /** Buffers that this schedule needs beside the states and inputs, by name and bytes. */
  readonly scratch: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** The graph as it was scheduled, with long reductions split and copies added. */
  readonly nodes: readonly Node[];
  /** What dispatches compute of what, for who wants to compute it another way. Those without a stored result have no row. */
  readonly values: readonly DispatchValues[];
  readonly unfused: readonly Unfused[];
  readonly apart: readonly Apart[];
  readonly arenaTensors: readonly ArenaTensor[];
  /** The kernels' variants that tuning data decided, where they are not those of the cost model. Default: none. */
  readonly tuned?: Tuning;
  /** Choices of the tuning data that their kernels cannot have. Default: none. */
  readonly ignored?: Tuning;
}
