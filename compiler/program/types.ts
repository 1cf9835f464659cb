/**
 * Element types. `bool` lives only inside kernels: in a buffer it is stored as u32 0 or 1. `f16` (IEEE 754 binary16) is a format
 * of values between kernels and of a contraction's operands, made by casts alone. An f16 takes 2 bytes, all others 4.
 */
export type DType = "f32" | "f16" | "i32" | "u32" | "bool";
export type Shape = readonly number[];

/**
 * What the compiler needs to know of a device. Found by `runtime/device`, handed to `compile` as plain data,
 * so that compilation stays pure. Limits carry their WebGPU names.
 */
export interface DeviceProfile {
  /** `software`: few scalar-ish cores, barriers dear, register tiles best. `gpu`: everything else. */
  readonly deviceClass: "software" | "gpu";
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
  readonly maxComputeWorkgroupStorageSize: number;
  readonly minStorageBufferOffsetAlignment: number;
  /** Whether WGSL has `f16` there (`shader-f16`). Where it has not, mixed precision is emulated in f32. */
  readonly f16: boolean;
  /** Invocations that make a subgroup: the least and the most a kernel may get. Absent without `subgroups`. */
  readonly subgroupSizes?: { readonly min: number; readonly max: number };
  /** Shapes of matrices that a subgroup multiplies at once, f16 into f32. Absent where there are none. */
  readonly subgroupMatrices?: readonly MatrixShape[];
}

/** m x n results, k terms of each. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/**
 * How kernels are written, where it was measured: a kernel's key (see `compiler/schedule/variants.ts`) to the name of one of
 * the variants that it can have, or to `one op a kernel` where it was wrong on the device. Keys of kernels that a program does not have are ignored.
 */
export type Tuning = Readonly<Record<string, string>>;

/** What contractions take: f32, or f16 with sums in f32. Everything else is f32 in both. */
export type Precision = "f32" | "mixed";

/** The objective is multiplied by `initial` at first, by less after gradients that are not finite, by more after many that are. */
export interface LossScaling {
  readonly initial: number;
  readonly growthFactor: number;
  readonly backoffFactor: number;
  /** Steps with finite gradients in a row, after which the scale grows. */
  readonly growthInterval: number;
}

/** How a parameter starts, drawn by the runtime from the run's seed. Bounds and deviations are final numbers. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "normal"; readonly mean: number; readonly std: number }
  /** Normal cut at `cut` standard deviations either side and not rescaled. */
  | { readonly kind: "truncated_normal"; readonly mean: number; readonly std: number; readonly cut: number };

/** A trainable parameter: a row-major slice of a state buffer. */
export interface ProgramParameter {
  /** Path in the spec, for instance `encoder.blocks.0.attention.query.weight`. Unique. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initializer;
  /** The state buffers that hold it, all with the same offset: the value and the optimizer's moments. */
  readonly buffer: string;
  readonly offsetBytes: number;
  /** e.g. `{ "adam.m": "moment1.0", "adam.v": "moment2.0" }`: slot name to buffer name. Empty for plain SGD. */
  readonly slots: Readonly<Record<string, string>>;
}

/** A buffer of the program. Everything a kernel binds is a range of one of these. */
export interface ProgramBuffer {
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * `state` lives from step to step (parameters, moments, step count, seed) and is saved; `scratch` also keeps
   * its contents between dispatches of one entry only; `input` is written by the runtime before each submit.
   */
  readonly role: "state" | "scratch" | "input";
}

/** A named tensor inside a buffer. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly buffer: string;
  readonly offsetBytes: number;
}

export interface KernelBinding {
  /** Name of the variable in the WGSL, as in the spec where there is one. */
  readonly name: string;
  readonly access: "read" | "read_write";
}

/** One WGSL module with the entry point `main`. Bindings are @group(0) @binding(0..). Compiled once, dispatched often. */
export interface ProgramKernel {
  /** What it computes, e.g. `linear_bias_gelu`. */
  readonly name: string;
  readonly wgsl: string;
  /**
   * Modules that, run one after the other with the same bindings, compute the same bit for bit: slower to run, and so much faster
   * to compile that a run may start with them. Absent where `wgsl` is short itself.
   */
  readonly drafts?: readonly KernelDraft[];
  readonly bindings: readonly KernelBinding[];
}

export interface KernelDraft {
  readonly wgsl: string;
  readonly workgroups: readonly [number, number, number];
}

export interface BufferRange {
  readonly buffer: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export type ProgramStep =
  | {
      readonly kind: "dispatch";
      /** Index into `Program.kernels`. */
      readonly kernel: number;
      readonly workgroups: readonly [number, number, number];
      readonly bindings: readonly BufferRange[];
      /** What this dispatch computes and from which lines of the spec; for profiles, no part of the hash. */
      readonly label: string;
      /** Bytes read and written by the plan (each bound tensor once), floating-point operations. */
      readonly bytesRead: number;
      readonly bytesWritten: number;
      readonly flops: number;
    }
  /** Fill a range with zero bytes. */
  | { readonly kind: "clear"; readonly range: BufferRange }
  /** Copy between different buffers; both ranges have one size. */
  | { readonly kind: "copy"; readonly from: BufferRange; readonly to: BufferRange };

/** A sequence of steps encoded into one command buffer and submitted once. */
export interface ProgramEntry {
  readonly steps: readonly ProgramStep[];
  /** Named results, valid after the submit: `loss.mlm`, `loss.nsp`, `objective`, `output.encoded`, ... */
  readonly outputs: readonly TensorPlace[];
  /** The inputs this entry reads; a subset of `Program.inputs`. */
  readonly inputs: readonly string[];
  /** Most bytes alive at once: the sum of all buffers that this entry touches. */
  readonly peakBytes: number;
}

/** What the training loop must know of the spec's `train` block. */
export interface TrainSettings {
  readonly steps: number;
  /** Micro-batches a step: the `accumulate` entry runs this many times less one, then `train` once. */
  readonly accumulate: number;
  readonly losses: readonly string[];
  /** Path of the checkpoint whose parameters a run starts with, relative to the spec. */
  readonly initFrom?: string;
  /** Of mixed precision alone. */
  readonly lossScaling?: LossScaling;
}

/** The data declaration that feeds the inputs, e.g. `PretrainingPairs` with `{ batch: 32, max_len: 64, ... }`. */
export interface DataRequest {
  readonly kind: string;
  readonly settings: Readonly<Record<string, number | string>>;
}

/**
 * Plain serializable data, the same for Node and the browser: all that the runtime knows of the compiler.
 *
 * State buffers the runtime must fill before the first step: every parameter by its `init` (or from `settings.initFrom`); `seed` (u32[1]) with
 * the run's seed; `loss_scale` (f32[1], with `settings.lossScaling`) with its initial value; `step` (i32[1]) starts at 0 and is
 * advanced by the `train` entry itself; all else zero. Where the
 * gradient is not finite, `train` changes no parameter, slot or `step` and counts the step in `skipped` (i32[1]), also an
 * output.
 */
export interface Program {
  readonly format: "kiln-program";
  readonly version: 1;
  /** SHA-256 (hex) of the canonical JSON of all fields but this one and the labels. */
  readonly hash: string;
  readonly name: string;
  readonly profile: DeviceProfile;
  readonly data: DataRequest;
  readonly settings: TrainSettings;
  readonly parameters: readonly ProgramParameter[];
  readonly inputs: readonly TensorPlace[];
  readonly buffers: readonly ProgramBuffer[];
  readonly kernels: readonly ProgramKernel[];
  readonly entries: Readonly<{
    train?: ProgramEntry;
    accumulate?: ProgramEntry;
    /** Losses and outputs without dropout. */
    evaluate?: ProgramEntry;
    /** Outputs only, without dropout: what `encode` runs. Reads only the inputs the outputs need. */
    encode?: ProgramEntry;
  }>;
  /** The spec's files, root first, so that a checkpoint can be compiled again anywhere. */
  readonly sources: readonly { readonly path: string; readonly text: string }[];
  /** `--set` overrides in force when it was compiled. */
  readonly overrides: Readonly<Record<string, string>>;
  /** Absent: f32. */
  readonly precision?: Precision;
  /** The limit on the bytes of all buffers together that it was compiled for. */
  readonly memoryBytes?: number;
  /** What measurements decided about its kernels; absent where the cost model decided all. */
  readonly tuning?: Tuning;
}
