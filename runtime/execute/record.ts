import type {
  BufferRange,
  Program,
  ProgramEntry,
  ProgramStep,
  TensorPlace,
} from "../../compiler/program/index.ts";
import type { KilnDevice } from "../device/index.ts";
import { KilnError } from "../errors.ts";
import { buffersOf, type DeviceMemory, type EntryName } from "../memory/index.ts";
import type { CompiledKernel } from "./pipelines.ts";

/** A step with its device objects, made once. */
export type RecordedStep =
  | {
      readonly kind: "dispatch";
      /** Read at every run: its stages may change in between. */
      readonly compiled: CompiledKernel;
      readonly group: GPUBindGroup;
      readonly workgroups: readonly [number, number, number];
      readonly label: string;
      readonly kernel: string;
    }
  | {
      readonly kind: "clear";
      readonly buffer: GPUBuffer;
      readonly offsetBytes: number;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: "copy";
      readonly from: GPUBuffer;
      readonly fromOffsetBytes: number;
      readonly to: GPUBuffer;
      readonly toOffsetBytes: number;
      readonly sizeBytes: number;
    };

export interface RecordedEntry {
  readonly entry: ProgramEntry;
  readonly steps: readonly RecordedStep[];
  readonly inputs: readonly TensorPlace[];
}

/** What would fail in the middle of a run, and with less clear words. */
export function checkLimits(program: Program, kiln: KilnDevice, entries: readonly EntryName[]): void {
  const { maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize } = kiln.profile;
  const hint = "compile the spec for this device";
  if (program.precision === "mixed" && program.profile.f16 && !kiln.profile.f16)
    throw new KilnError("machine", "the program computes with f16, which this device has not", hint);
  for (const name of entries) {
    for (const step of program.entries[name]?.steps ?? []) {
      if (step.kind !== "dispatch") continue;
      if (step.workgroups.some((count) => count > maxComputeWorkgroupsPerDimension)) {
        throw new KilnError(
          "machine",
          `\`${step.label}\` needs ${step.workgroups.join(" x ")} workgroups, the device allows ${maxComputeWorkgroupsPerDimension} a dimension`,
          hint,
        );
      }
      const large = step.bindings.find((binding) => binding.sizeBytes > maxStorageBufferBindingSize);
      if (large !== undefined) {
        throw new KilnError(
          "machine",
          `\`${step.label}\` binds ${large.sizeBytes} bytes of \`${large.buffer}\`, the device allows ${maxStorageBufferBindingSize}`,
          hint,
        );
      }
    }
  }
  const present = new Set(program.buffers.map((buffer) => buffer.name));
  for (const name of buffersOf(program, entries)) {
    if (!present.has(name))
      throw new KilnError("user", `the program names no buffer \`${name}\`: it is damaged`);
  }
}

/** Makes device objects for steps; dispatches of one kernel on the same ranges share a bind group. */
export class Recorder {
  readonly #program: Program;
  readonly #kiln: KilnDevice;
  readonly #memory: DeviceMemory;
  readonly #compiled: ReadonlyMap<number, CompiledKernel>;
  readonly #groups = new Map<string, GPUBindGroup>();

  constructor(
    program: Program,
    kiln: KilnDevice,
    memory: DeviceMemory,
    compiled: ReadonlyMap<number, CompiledKernel>,
  ) {
    this.#program = program;
    this.#kiln = kiln;
    this.#memory = memory;
    this.#compiled = compiled;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  recordAll(names: readonly EntryName[]): ReadonlyMap<EntryName, RecordedEntry> {
    const places = new Map(this.#program.inputs.map((input) => [input.name, input]));
    const recorded = new Map<EntryName, RecordedEntry>();
    for (const name of names) {
      const entry = this.#program.entries[name];
      if (entry === undefined) continue;
      const inputs = entry.inputs.flatMap((input) => places.get(input) ?? []);
      recorded.set(name, { entry, inputs, steps: entry.steps.map((step) => this.#record(step)) });
    }
    return recorded;
  }

  #record(step: ProgramStep): RecordedStep {
    if (step.kind === "clear") {
      const { buffer, offsetBytes, sizeBytes } = step.range;
      return { kind: "clear", buffer: this.#memory.buffer(buffer), offsetBytes, sizeBytes };
    }
    if (step.kind === "copy") {
      return {
        kind: "copy",
        from: this.#memory.buffer(step.from.buffer),
        fromOffsetBytes: step.from.offsetBytes,
        to: this.#memory.buffer(step.to.buffer),
        toOffsetBytes: step.to.offsetBytes,
        sizeBytes: step.to.sizeBytes,
      };
    }
    const kernel = this.#program.kernels[step.kernel];
    const compiled = this.#compiled.get(step.kernel);
    if (kernel === undefined || compiled === undefined)
      throw new Error(`kernel ${step.kernel} was not compiled`);
    return {
      kind: "dispatch",
      compiled,
      group: this.#group(step.kernel, compiled, step.bindings, step.label),
      workgroups: step.workgroups,
      label: step.label,
      kernel: kernel.name,
    };
  }

  #group(
    kernel: number,
    compiled: CompiledKernel,
    ranges: readonly BufferRange[],
    label: string,
  ): GPUBindGroup {
    const key = `${kernel} ${ranges.map((range) => `${range.buffer}@${range.offsetBytes}+${range.sizeBytes}`).join()}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = this.#kiln.device.createBindGroup({
      label,
      layout: compiled.layout,
      entries: ranges.map((range, binding) => ({
        binding,
        resource: {
          buffer: this.#memory.buffer(range.buffer),
          offset: range.offsetBytes,
          size: Math.max(4, range.sizeBytes),
        },
      })),
    });
    this.#groups.set(key, group);
    return group;
  }
}

/** Encodes a step that is no dispatch; it may not stand inside a compute pass. */
export function encodeTransfer(
  encoder: GPUCommandEncoder,
  step: Exclude<RecordedStep, { readonly kind: "dispatch" }>,
): void {
  if (step.kind === "clear") encoder.clearBuffer(step.buffer, step.offsetBytes, step.sizeBytes);
  else
    encoder.copyBufferToBuffer(step.from, step.fromOffsetBytes, step.to, step.toOffsetBytes, step.sizeBytes);
}
