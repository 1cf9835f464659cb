import type {
  BufferRange,
  Program,
  ProgramBuffer,
  ProgramEntry,
  ProgramParameter,
  ProgramStep,
} from "../../compiler/program/index.ts";
import { bufferUsage, type KilnDevice } from "../device/index.ts";
import { KilnError } from "../errors.ts";
import { drawInitial } from "./initialize.ts";
import { ReadBackRing } from "./read-back.ts";

/** The entries of a program that exist. */
export type EntryName = keyof Program["entries"];
export const entryNames = [
  "train",
  "accumulate",
  "evaluate",
  "encode",
] as const satisfies readonly EntryName[];

/** Elements drawn or bytes moved at a time, so that a large state never lies whole in the processor's memory. */
const chunkElements = 4 * 1024 * 1024;
const chunkBytes = 4 * chunkElements;

/** The state buffers beside the parameters' that the runtime fills or reads itself. See `Program`. */
export const seedBuffer = "seed";
export const stepBuffer = "step";
/** i32[1]: steps that changed nothing because their gradient was not finite. */
export const skippedBuffer = "skipped";
/** f32[1], of mixed precision: what the objective is multiplied with. */
export const lossScaleBuffer = "loss_scale";

/** A program's buffers on a device. Destroy it: the collector does not see the device's memory. */
export class DeviceMemory {
  readonly readBack: ReadBackRing;
  /** Bytes of all buffers, without the read-back ring. */
  readonly sizeBytes: number;
  readonly #kiln: KilnDevice;
  readonly #program: Program;
  readonly #buffers: ReadonlyMap<string, GPUBuffer>;

  private constructor(program: Program, kiln: KilnDevice, buffers: ReadonlyMap<string, GPUBuffer>) {
    this.#kiln = kiln;
    this.#program = program;
    this.#buffers = buffers;
    this.readBack = new ReadBackRing(kiln);
    this.sizeBytes = [...buffers.values()].reduce((sum, buffer) => sum + buffer.size, 0);
  }

  /**
   * Makes the buffers that the given entries touch, all zero.
   * @throws KilnError `machine` naming the buffer that does not fit
   */
  static async create(
    program: Program,
    kiln: KilnDevice,
    entries: readonly EntryName[],
  ): Promise<DeviceMemory> {
    const needed = buffersOf(program, entries);
    const wanted = program.buffers.filter((buffer) => needed.has(buffer.name));
    const totalBytes = wanted.reduce((sum, buffer) => sum + buffer.sizeBytes, 0);
    const buffers = new Map<string, GPUBuffer>();
    try {
      for (const buffer of wanted) buffers.set(buffer.name, await createBuffer(buffer, kiln, totalBytes));
    } catch (thrown) {
      for (const buffer of buffers.values()) buffer.destroy();
      throw thrown;
    }
    return new DeviceMemory(program, kiln, buffers);
  }

  has(name: string): boolean {
    return this.#buffers.has(name);
  }

  /** @throws Error for a name that no entry of this memory touches: a bug of the caller or of the program */
  buffer(name: string): GPUBuffer {
    const found = this.#buffers.get(name);
    if (found === undefined) throw new Error(`no buffer \`${name}\` in this program's memory`);
    return found;
  }

  /** Writes bytes (a multiple of 4, at a multiple of 4) in the order of the queue. */
  write(name: string, offsetBytes: number, data: ArrayBufferView): void {
    const bytes = unshared(data);
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      const piece = bytes.subarray(at, Math.min(bytes.length, at + chunkBytes));
      this.#kiln.device.queue.writeBuffer(this.buffer(name), offsetBytes + at, piece);
    }
  }

  /** The bytes of a range as they are after the work submitted so far, in pieces of at most 16 MiB. */
  async *read(name: string, offsetBytes: number, sizeBytes: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let at = 0; at < sizeBytes; at += chunkBytes) {
      const range = {
        source: this.buffer(name),
        offsetBytes: offsetBytes + at,
        sizeBytes: Math.min(chunkBytes, sizeBytes - at),
      };
      const encoder = this.#kiln.device.createCommandEncoder({ label: `read ${name}` });
      const pending = this.readBack.encode(encoder, [range]);
      this.#kiln.device.queue.submit([encoder.finish()]);
      yield* await pending.after().bytes;
    }
  }

  /**
   * Sets a parameter (or one of its slots) to the given values.
   * @param values f32, row-major, as many as the parameter has elements
   * @throws KilnError `usage` for an unknown name or another number of values
   */
  writeParameter(name: string, values: Float32Array, slot?: string): void {
    const { parameter, buffer } = this.#place(name, slot);
    if (values.length !== elementsOf(parameter)) {
      throw new KilnError("usage", `\`${name}\` has ${elementsOf(parameter)} elements, not ${values.length}`);
    }
    this.write(buffer, parameter.offsetBytes, values);
  }

  /** @returns f32, row-major. @throws KilnError `usage` for an unknown name */
  async readParameter(name: string, slot?: string): Promise<Float32Array<ArrayBuffer>> {
    const { parameter, buffer } = this.#place(name, slot);
    const bytes = new Uint8Array(4 * elementsOf(parameter));
    let at = 0;
    for await (const piece of this.read(buffer, parameter.offsetBytes, bytes.length)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return new Float32Array(bytes.buffer);
  }

  #place(
    name: string,
    slot: string | undefined,
  ): { readonly parameter: ProgramParameter; readonly buffer: string } {
    const parameter = this.#program.parameters.find((candidate) => candidate.name === name);
    const buffer = slot === undefined ? parameter?.buffer : parameter?.slots[slot];
    if (parameter === undefined || buffer === undefined || !this.has(buffer)) {
      throw new KilnError(
        "usage",
        `no parameter \`${name}\`${slot === undefined ? "" : ` with the slot \`${slot}\``}`,
      );
    }
    return { parameter, buffer };
  }

  /**
   * Fills the state for a first step: every parameter by its initialiser, the seed, and zero for all else (which
   * WebGPU does by itself).
   * @param seed u32
   */
  async initialize(seed: number): Promise<void> {
    for (const parameter of this.#program.parameters) {
      if (!this.has(parameter.buffer)) continue;
      const elements = elementsOf(parameter);
      for (let start = 0; start < elements; start += chunkElements) {
        const count = Math.min(chunkElements, elements - start);
        const values = drawInitial(parameter.init, seed, parameter.name, start, count);
        this.write(parameter.buffer, parameter.offsetBytes + 4 * start, values);
        // A turn of the event loop lets a progress line and Ctrl-C through.
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
    if (this.has(seedBuffer)) this.write(seedBuffer, 0, Uint32Array.of(seed));
    this.initializeLossScale();
  }

  /** Sets the loss scale to the one that a run begins with, where the program scales its objective. */
  initializeLossScale(): void {
    const { lossScaling } = this.#program.settings;
    if (lossScaling !== undefined && this.has(lossScaleBuffer))
      this.write(lossScaleBuffer, 0, Float32Array.of(lossScaling.initial));
  }

  destroy(): void {
    this.readBack.destroy();
    for (const buffer of this.#buffers.values()) buffer.destroy();
  }
}

/** The bytes of a view; memory shared with a worker is copied, for the queue takes none. */
function unshared(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = view;
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength);
  return Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength));
}

export function elementsOf(parameter: ProgramParameter): number {
  return parameter.shape.reduce((product, size) => product * size, 1);
}

function rangesOf(step: ProgramStep): readonly BufferRange[] {
  switch (step.kind) {
    case "dispatch":
      return step.bindings;
    case "clear":
      return [step.range];
    case "copy":
      return [step.from, step.to];
    default:
      return step satisfies never;
  }
}

/** Every buffer that the entries bind, clear, copy, feed or read. */
export function buffersOf(program: Program, entries: readonly EntryName[]): ReadonlySet<string> {
  const names = new Set<string>();
  const places = new Map(program.inputs.map((input) => [input.name, input]));
  const add = (entry: ProgramEntry) => {
    for (const step of entry.steps) {
      for (const range of rangesOf(step)) names.add(range.buffer);
    }
    for (const output of entry.outputs) names.add(output.buffer);
    for (const input of entry.inputs) names.add(places.get(input)?.buffer ?? "");
  };
  for (const name of entries) {
    const entry = program.entries[name];
    if (entry !== undefined) add(entry);
  }
  return names;
}

async function createBuffer(buffer: ProgramBuffer, kiln: KilnDevice, totalBytes: number): Promise<GPUBuffer> {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const what = `the buffer \`${buffer.name}\` of ${mib(buffer.sizeBytes)} (the program needs ${mib(totalBytes)})`;
  if (buffer.sizeBytes > kiln.profile.maxBufferSize) {
    throw new KilnError(
      "machine",
      `${what} is larger than the device allows: ${mib(kiln.profile.maxBufferSize)}`,
      "use a smaller batch or a smaller model",
    );
  }
  return kiln.checked(what, () =>
    kiln.device.createBuffer({
      label: buffer.name,
      // A binding of size 0 is an error in WebGPU, so an empty buffer is one word long.
      size: Math.max(4, buffer.sizeBytes),
      usage: bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyDestination,
    }),
  );
}
