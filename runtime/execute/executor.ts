import type { Program, ProgramEntry, TensorPlace } from "../../compiler/program/index.ts";
import { bufferUsage, type KilnDevice, mapModeRead, patiently } from "../device/index.ts";
import { KilnError } from "../errors.ts";
import { DeviceMemory, type EntryName, entryNames } from "../memory/index.ts";
import { type CompiledKernels, compileKernels } from "./pipelines.ts";
import { checkLimits, encodeTransfer, type RecordedEntry, type RecordedStep, Recorder } from "./record.ts";
import { asTyped, byteLength, checkInput, type InputFields, type Outputs } from "./tensors.ts";

export interface RunOptions {
  /** The outputs to bring back; without it, all. */
  readonly outputs?: readonly string[];
  /** How often the entry's steps are encoded, to time them; its inputs are written once. Default 1. */
  readonly repeat?: number;
}

/** What was done since the executor was made. */
export interface ExecutorCounters {
  readonly submits: number;
  /** A kernel that is run as several drafts counts once. */
  readonly dispatches: number;
  /** Kernels, compiled themselves or as drafts. */
  readonly pipelines: number;
  readonly bindGroups: number;
}

export interface DispatchTime {
  readonly label: string;
  readonly kernel: string;
  readonly milliseconds: number;
}

export interface ExecutorOptions {
  /** The entries that will be run: only their kernels and buffers are made. Without it, all the program has. */
  readonly entries?: readonly EntryName[];
  /**
   * Whether to start with drafts of the kernels that have any (`ProgramKernel.drafts`), which are soon compiled. The kernels
   * themselves are compiled while an entry runs for the third time and more, one by one, and take over as they are ready; results
   * are the same bit for bit. Default true.
   */
  readonly drafts?: boolean;
}

/** Runs a program's entries on a device. Destroy it to free the program's memory there. */
export interface Executor {
  readonly program: Program;
  readonly kiln: KilnDevice;
  readonly memory: DeviceMemory;
  readonly counters: ExecutorCounters;
  hasEntry(name: EntryName): boolean;
  /**
   * Writes the inputs and submits the entry at once, as one command buffer; the promise gives its outputs. Runs
   * are done in the order of the calls, and several may be under way.
   * @throws KilnError `usage` for a missing input or one of the wrong length or type; `machine` through the promise
   */
  run(entry: EntryName, inputs: InputFields, options?: RunOptions): Promise<Outputs>;
  /**
   * Runs some steps of the entry alone, on what its buffers hold: inputs are not written, nothing is brought back.
   * @param from the first step, counted from 0
   * @param to behind the last
   */
  runSteps(entry: EntryName, from: number, to: number): Promise<void>;
  /**
   * Runs the entry once with every dispatch timed on the device.
   * @throws KilnError `machine` where the device has no `timestamp-query`
   */
  profile(entry: EntryName, inputs: InputFields): Promise<readonly DispatchTime[]>;
  /**
   * Compiles what is still run as drafts, so that times measured from here on are those of long runs.
   * @throws KilnError `machine` where the device refuses a kernel
   */
  settle(): Promise<void>;
  destroy(): void;
}

/**
 * Makes the program's buffers (all zero), compiles its kernels and records its bind groups.
 * @throws KilnError `machine` where the device cannot hold or refuses the program
 */
export async function createExecutor(
  program: Program,
  kiln: KilnDevice,
  options: ExecutorOptions = {},
): Promise<Executor> {
  const wanted = options.entries ?? entryNames;
  const names = wanted.filter((name) => program.entries[name] !== undefined);
  checkLimits(program, kiln, names);
  const kernels = new Set<number>();
  for (const name of names) {
    for (const step of program.entries[name]?.steps ?? [])
      if (step.kind === "dispatch") kernels.add(step.kernel);
  }
  const compiled = await compileKernels(program, kiln, kernels, options.drafts ?? true);
  const memory = await DeviceMemory.create(program, kiln, names);
  try {
    const recorder = new Recorder(program, kiln, memory, compiled.kernels);
    const recorded = await kiln.checked("the program's bind groups", () => recorder.recordAll(names));
    return new DeviceExecutor(program, kiln, memory, recorded, compiled, recorder.groupCount);
  } catch (thrown) {
    memory.destroy();
    throw thrown;
  }
}

const LONG_RUN = 3;

class DeviceExecutor implements Executor {
  readonly program: Program;
  readonly kiln: KilnDevice;
  readonly memory: DeviceMemory;
  readonly #recorded: ReadonlyMap<EntryName, RecordedEntry>;
  readonly #compiled: CompiledKernels;
  readonly #bindGroups: number;
  readonly #runs = new Map<EntryName, number>();
  #finishing: Promise<void> | undefined;
  #isDestroyed = false;
  #submits = 0;
  #dispatches = 0;

  constructor(
    program: Program,
    kiln: KilnDevice,
    memory: DeviceMemory,
    recorded: ReadonlyMap<EntryName, RecordedEntry>,
    compiled: CompiledKernels,
    bindGroups: number,
  ) {
    this.program = program;
    this.kiln = kiln;
    this.memory = memory;
    this.#recorded = recorded;
    this.#compiled = compiled;
    this.#bindGroups = bindGroups;
  }

  get counters(): ExecutorCounters {
    return {
      submits: this.#submits,
      dispatches: this.#dispatches,
      pipelines: this.#compiled.kernels.size,
      bindGroups: this.#bindGroups,
    };
  }

  hasEntry(name: EntryName): boolean {
    return this.#recorded.has(name);
  }

  run(name: EntryName, inputs: InputFields, options: RunOptions = {}): Promise<Outputs> {
    this.kiln.throwIfFailed();
    const recorded = this.#entry(name);
    this.#countRun(name);
    const places = chooseOutputs(recorded.entry, options.outputs);
    this.#writeInputs(name, recorded, inputs);

    // Scopes are popped before this function returns, so runs that overlap do not mix theirs.
    const submitted = this.kiln.checked(`the entry \`${name}\``, () => {
      const encoder = this.kiln.device.createCommandEncoder({ label: name });
      for (let turn = 0; turn < (options.repeat ?? 1); turn++) this.#encode(encoder, recorded.steps);
      const ranges = places.map((place) => ({
        source: this.memory.buffer(place.buffer),
        offsetBytes: place.offsetBytes,
        sizeBytes: byteLength(place),
      }));
      const reading = this.memory.readBack.encode(encoder, ranges);
      this.kiln.device.queue.submit([encoder.finish()]);
      return reading.after();
    });
    this.#submits += 1;
    return submitted.then(async (pending) => {
      const pieces = await pending.bytes;
      return Object.fromEntries(
        places.map((place, i) => [
          place.name,
          {
            dtype: place.dtype,
            shape: place.shape,
            data: asTyped(place.dtype, pieces[i] ?? new Uint8Array()),
          },
        ]),
      );
    });
  }

  async runSteps(name: EntryName, from: number, to: number): Promise<void> {
    const { steps } = this.#entry(name);
    await this.kiln.checked(`steps ${from} to ${to - 1} of \`${name}\``, () => {
      const encoder = this.kiln.device.createCommandEncoder({ label: name });
      this.#encode(encoder, steps.slice(from, to));
      this.kiln.device.queue.submit([encoder.finish()]);
    });
    this.#submits += 1;
  }

  async profile(name: EntryName, inputs: InputFields): Promise<readonly DispatchTime[]> {
    const { device } = this.kiln;
    if (!this.kiln.features.has("timestamp-query")) {
      throw new KilnError(
        "machine",
        `the device \`${this.kiln.name}\` cannot time dispatches (no timestamp-query)`,
      );
    }
    const recorded = this.#entry(name);
    await this.settle();
    this.#writeInputs(name, recorded, inputs);
    const dispatches = recorded.steps.filter((step) => step.kind === "dispatch");
    // WebGPU, "GPUQuerySet": at most 4096 queries in a set, two for each dispatch.
    const perSet = 2048;
    const sizeBytes = Math.max(16, dispatches.length * 16);
    const resolved = device.createBuffer({
      size: sizeBytes,
      usage: bufferUsage.queryResolve | bufferUsage.copySource,
    });
    const staging = device.createBuffer({
      size: sizeBytes,
      usage: bufferUsage.mapRead | bufferUsage.copyDestination,
    });
    const sets: GPUQuerySet[] = [];
    try {
      await this.kiln.checked(`profiling \`${name}\``, () => {
        const encoder = device.createCommandEncoder({ label: `profile ${name}` });
        let index = 0;
        for (const step of recorded.steps) {
          if (step.kind !== "dispatch") {
            encodeTransfer(encoder, step);
            continue;
          }
          const inSet = index % perSet;
          if (inSet === 0) {
            const count = 2 * Math.min(perSet, dispatches.length - index);
            sets.push(device.createQuerySet({ type: "timestamp", count }));
          }
          const querySet = sets.at(-1);
          if (querySet === undefined) throw new Error("a query set is made before the first dispatch");
          const pass = encoder.beginComputePass({
            timestampWrites: {
              querySet,
              beginningOfPassWriteIndex: 2 * inSet,
              endOfPassWriteIndex: 2 * inSet + 1,
            },
          });
          dispatchStages(pass, step);
          pass.end();
          index += 1;
        }
        sets.forEach((set, i) => {
          encoder.resolveQuerySet(set, 0, set.count, resolved, i * perSet * 16);
        });
        encoder.copyBufferToBuffer(resolved, 0, staging, 0, sizeBytes);
        device.queue.submit([encoder.finish()]);
      });
      this.#submits += 1;
      this.#dispatches += dispatches.length;
      await patiently(this.kiln, staging.mapAsync(mapModeRead));
      const times = new BigUint64Array(staging.getMappedRange());
      return dispatches.map(({ label, kernel }, i) => ({
        label,
        kernel,
        milliseconds: Number((times[2 * i + 1] ?? 0n) - (times[2 * i] ?? 0n)) / 1e6,
      }));
    } finally {
      for (const set of sets) set.destroy();
      resolved.destroy();
      staging.destroy();
    }
  }

  settle(): Promise<void> {
    this.#finishing ??= this.#compiled.finish(() => !this.#isDestroyed);
    return this.#finishing;
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.memory.destroy();
  }

  /** What runs for the third time will run for long: its kernels are worth compiling themselves. */
  #countRun(name: EntryName): void {
    const runs = (this.#runs.get(name) ?? 0) + 1;
    this.#runs.set(name, runs);
    if (runs !== LONG_RUN || !this.#compiled.hasDrafts) return;
    // A refusal shows at the next `settle`; meanwhile the drafts do the same.
    this.settle().catch(() => {});
  }

  #entry(name: EntryName): RecordedEntry {
    const recorded = this.#recorded.get(name);
    if (recorded === undefined)
      throw new KilnError("usage", `the program \`${this.program.name}\` has no entry \`${name}\``);
    return recorded;
  }

  #writeInputs(name: EntryName, recorded: RecordedEntry, fields: InputFields): void {
    for (const place of recorded.inputs) checkInput(name, place, fields[place.name]);
    for (const place of recorded.inputs) {
      const field = fields[place.name];
      if (field !== undefined) this.memory.write(place.buffer, place.offsetBytes, field);
    }
  }

  /** One compute pass between clears and copies: WebGPU orders the dispatches within a pass itself. */
  #encode(encoder: GPUCommandEncoder, steps: readonly RecordedStep[]): void {
    let pass: GPUComputePassEncoder | undefined;
    for (const step of steps) {
      if (step.kind !== "dispatch") {
        pass?.end();
        pass = undefined;
        encodeTransfer(encoder, step);
        continue;
      }
      pass ??= encoder.beginComputePass();
      dispatchStages(pass, step);
      this.#dispatches += 1;
    }
    pass?.end();
  }
}

function dispatchStages(
  pass: GPUComputePassEncoder,
  { compiled, group, workgroups }: Extract<RecordedStep, { readonly kind: "dispatch" }>,
): void {
  pass.setBindGroup(0, group);
  for (const stage of compiled.stages) {
    pass.setPipeline(stage.pipeline);
    pass.dispatchWorkgroups(...(stage.workgroups ?? workgroups));
  }
}

function chooseOutputs(entry: ProgramEntry, names: readonly string[] | undefined): readonly TensorPlace[] {
  if (names === undefined) return entry.outputs;
  return names.map((name) => {
    const place = entry.outputs.find((output) => output.name === name);
    if (place !== undefined) return place;
    const known = entry.outputs.map((output) => `\`${output.name}\``).join(", ");
    throw new KilnError("usage", `the entry has no output \`${name}\``, `it has ${known}`);
  });
}
