import type { EntryName } from "../../compiler/index.ts";
import { partsOf, tensorsWritten } from "../../compiler/kernel/index.ts";
import type { BufferRange, DType, Program } from "../../compiler/program/index.ts";
import {
  type DispatchValues,
  problemsOf,
  type Schedule,
  type ScheduledDispatch,
  type StoredValue,
  TensorTooLargeError,
} from "../../compiler/schedule/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { asTyped, createExecutor, type Executor } from "../../runtime/execute/index.ts";
import { isRounding, largestDifference } from "../tuning/compare-results.ts";
import type { Elements } from "../tuning/draw-tensors.ts";
import { beginRandomly } from "./random-state.ts";
import { elementsOf, nameOf, unfusedProgram, wordBytesOf } from "./unfused-values.ts";

/** A kernel that computes something else than its ops one by one. */
export interface KernelFault {
  /** Of the kernel, or of its part that is wrong, see `KernelProblem.key`. */
  readonly key: string;
  readonly name: string;
  /** The lines of the spec that it comes from. */
  readonly label: string;
  /** The variant that it is, and whether the cost model has chosen it. */
  readonly variant: string;
  readonly isTuned: boolean;
  /** The largest, relative, see `largestDifference`; infinite where one value is no number and the other is. */
  readonly difference: number;
}

export interface Verification {
  readonly faults: readonly KernelFault[];
  /** Comparisons of kernels, and of drafts of kernels. */
  readonly checked: number;
  /** Values that could not be compared: the device has no room for one op at a time, or what they are made of is no number. */
  readonly unchecked: readonly string[];
}

/** A compiled program with the schedules that it is made of. */
export interface Planned {
  readonly program: Program;
  readonly schedules: ReadonlyMap<EntryName, Schedule>;
}

/**
 * Runs the program's entries one dispatch at a time on random states and inputs, and computes what each kernel of more than one op, and
 * each that was tuned, makes of its very sources once more with one kernel an op. Kernels that have drafts are compared as drafts and
 * as themselves.
 * @param onKernel told after each kernel how many were compared
 * @throws KilnError `machine` where the device fails or cannot hold the program
 */
export async function findFaults(
  kiln: KilnDevice,
  { program, schedules }: Planned,
  entries: readonly EntryName[],
  onKernel: (done: number) => void,
): Promise<Verification> {
  const present = entries.filter((name) => schedules.has(name));
  const executor = await createExecutor(program, kiln, { entries: present });
  try {
    await begin(
      executor,
      present,
      present.map((name) => schedules.get(name)!),
    );
    const run = new Run(kiln, executor, onKernel);
    for (const name of present) await run.entry(name, schedules.get(name)!);
    if (program.kernels.some(({ drafts }) => drafts !== undefined)) {
      await executor.settle();
      run.beginFinished();
      for (const name of present) await run.entry(name, schedules.get(name)!);
    }
    return run.verification;
  } finally {
    executor.destroy();
  }
}

/**
 * States as after a first step, so that an optimizer's moments are not zero; as before it where a kernel is so wrong that the step left
 * something that is no number.
 */
async function begin(
  executor: Executor,
  entries: readonly EntryName[],
  schedules: readonly Schedule[],
): Promise<void> {
  await beginRandomly(executor, schedules);
  const { program, memory } = executor;
  for (const name of entries) await executor.runSteps(name, 0, program.entries[name]!.steps.length);
  for (const { name, role, sizeBytes } of program.buffers) {
    if (role !== "state" || !memory.has(name)) continue;
    const elements = await readRange(executor, "f32", { buffer: name, offsetBytes: 0, sizeBytes });
    // Counters and seeds are whole numbers that are small, and so no NaN as bits either.
    if (elements.every((x) => Number.isFinite(x))) continue;
    await beginRandomly(executor, schedules);
    return;
  }
}

class Run {
  readonly #kiln: KilnDevice;
  readonly #executor: Executor;
  readonly #onKernel: (done: number) => void;
  readonly #seen = new Set<string>();
  readonly #faults = new Map<string, KernelFault>();
  readonly #unchecked = new Set<string>();
  #checked = 0;
  #isFinished = false;

  constructor(kiln: KilnDevice, executor: Executor, onKernel: (done: number) => void) {
    this.#kiln = kiln;
    this.#executor = executor;
    this.#onKernel = onKernel;
  }

  get verification(): Verification {
    return { faults: [...this.#faults.values()], checked: this.#checked, unchecked: [...this.#unchecked] };
  }

  /** From here on the executor runs no drafts. */
  beginFinished(): void {
    this.#isFinished = true;
    this.#seen.clear();
  }

  async entry(name: EntryName, planned: Schedule): Promise<void> {
    const dispatches = planned.steps.flatMap((step, at) => (step.kind === "dispatch" ? [at] : []));
    const due = planned.values.filter((values) => this.#isDue(name, planned, dispatches, values));
    const open = new Map<DispatchValues, Unfused>();
    let at = 0;
    const advance = async (to: number): Promise<void> => {
      if (to > at) await this.#executor.runSteps(name, at, to);
      at = to;
    };
    try {
      for (const [dispatch, step] of dispatches.entries()) {
        const starting = due.filter(({ from }) => from === dispatch);
        if (starting.length > 0) await advance(step);
        for (const values of starting) {
          const unfused = await this.#unfuse(planned, values);
          if (unfused !== undefined) open.set(values, unfused);
        }
        for (const values of due.filter((candidate) => candidate.dispatch === dispatch)) {
          const unfused = open.get(values);
          if (unfused === undefined) continue;
          await advance(step + 1);
          await this.#compare(planned, dispatchAt(planned, step), values, unfused);
          this.#checked += 1;
          this.#onKernel(this.#checked);
          unfused.executor.destroy();
          open.delete(values);
        }
      }
      await advance(planned.steps.length);
    } finally {
      for (const { executor } of open.values()) executor.destroy();
    }
  }

  /** Each kernel once, if it joins ops or is not as the cost model has it. */
  #isDue(name: EntryName, planned: Schedule, dispatches: readonly number[], values: DispatchValues): boolean {
    const at = dispatches[values.dispatch]!;
    const step = this.#executor.program.entries[name]?.steps[at];
    if (step?.kind !== "dispatch") throw new Error("a program's steps are those of its schedule");
    const { kernel } = dispatchAt(planned, at);
    const { tuning = {} } = this.#executor.program;
    const isTuned = problemsOf(kernel, this.#kiln.profile).some(({ key }) => Object.hasOwn(tuning, key));
    if (values.nodes.length < 2 && !isTuned) return false;
    if (this.#isFinished && this.#executor.program.kernels[step.kernel]?.drafts === undefined) return false;
    const key = `${step.kernel} ${values.results.length}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }

  /** The same computation with one kernel an op, on the sources as they are now; undefined where it does not fit. */
  async #unfuse(planned: Schedule, values: DispatchValues): Promise<Unfused | undefined> {
    try {
      const program = unfusedProgram(planned, values, this.#kiln.profile);
      const executor = await createExecutor(program, this.#kiln);
      const sources = values.sources.filter(({ node }) => executor.memory.has(nameOf(node)));
      await this.#kiln.checked("copying what a kernel reads", () => {
        const encoder = this.#kiln.device.createCommandEncoder({ label: "sources" });
        for (const { node, range } of sources)
          encoder.copyBufferToBuffer(
            this.#executor.memory.buffer(range.buffer),
            range.offsetBytes,
            executor.memory.buffer(nameOf(node)),
            0,
            wordBytesOf(planned, node),
          );
        this.#kiln.device.queue.submit([encoder.finish()]);
      });
      return { executor, sources };
    } catch (thrown) {
      if (!(thrown instanceof TensorTooLargeError) && !(thrown instanceof KilnError)) throw thrown;
      this.#kiln.throwIfFailed();
      this.#unchecked.add(values.results.map(({ node }) => planned.nodes[node]!.origin.label).join(", "));
      return undefined;
    }
  }

  async #compare(
    planned: Schedule,
    dispatch: ScheduledDispatch,
    values: DispatchValues,
    unfused: Unfused,
  ): Promise<void> {
    const expected = await resultsOf(unfused.executor, values);
    let moved: readonly Elements[] | undefined;
    for (const [i, result] of values.results.entries()) {
      const { dtype } = planned.nodes[result.node]!.type;
      const actual = await this.#read(planned, result);
      const difference = largestDifference(dtype, expected[i]!, actual);
      if (isRounding(dtype, difference)) continue;
      // What is made of another kernel's NaNs tells nothing of this one.
      if (moved === undefined && !(await areSourcesFinite(planned, unfused))) {
        this.#unchecked.add(planned.nodes[result.node]!.origin.label);
        return;
      }
      moved ??= await this.#perturbed(planned, values, unfused);
      if (isWithin(expected[i]!, actual, moved[i]!)) continue;
      this.#blame(dispatch, result, difference);
    }
  }

  /** The results for sources that are a little off. */
  async #perturbed(
    planned: Schedule,
    values: DispatchValues,
    { executor, sources }: Unfused,
  ): Promise<readonly Elements[]> {
    for (const [seed, { node }] of sources.entries()) {
      if (planned.nodes[node]!.type.dtype !== "f32") continue;
      const read = await readRange(executor, "f32", {
        buffer: nameOf(node),
        offsetBytes: 0,
        sizeBytes: wordBytesOf(planned, node),
      });
      executor.memory.write(nameOf(node), 0, perturb(read, seed));
    }
    return resultsOf(executor, values);
  }

  /** The part that writes the result is wrong. */
  #blame({ kernel, bindings, label }: ScheduledDispatch, { range }: StoredValue, difference: number): void {
    const { tuning = {} } = this.#executor.program;
    const parts = partsOf(kernel);
    const problems = problemsOf(kernel, this.#kiln.profile);
    const rangeOf = new Map(kernel.tensors.map(({ tensor }, i) => [tensor, bindings[i]!]));
    parts.forEach((part, i) => {
      if (![...tensorsWritten(part)].some((tensor) => overlap(rangeOf.get(tensor)!, range))) return;
      const { key, chosen } = problems[i]!;
      const known = this.#faults.get(key);
      this.#faults.set(key, {
        key,
        name: part.name,
        label,
        variant: chosen,
        isTuned: Object.hasOwn(tuning, key),
        difference: Math.max(known?.difference ?? 0, difference),
      });
    });
  }

  async #read(planned: Schedule, { node, range, window }: StoredValue): Promise<Elements> {
    const { dtype } = planned.nodes[node]!.type;
    const whole = await readRange(this.#executor, dtype, range);
    const count = elementsOf(planned, node);
    if (window === undefined) return whole.slice(0, count);
    const { offset, width, pitch } = window;
    return whole
      .slice(0, count)
      .map((_, at) => whole[Math.floor(at / width) * pitch + offset + (at % width)] ?? Number.NaN);
  }
}

interface Unfused {
  readonly executor: Executor;
  readonly sources: readonly StoredValue[];
}

function dispatchAt({ steps }: Schedule, at: number): ScheduledDispatch {
  const step = steps[at];
  if (step?.kind !== "dispatch") throw new Error(`step ${at} is no dispatch`);
  return step;
}

async function areSourcesFinite(planned: Schedule, { executor, sources }: Unfused): Promise<boolean> {
  for (const { node } of sources) {
    if (planned.nodes[node]!.type.dtype !== "f32") continue;
    const range = { buffer: nameOf(node), offsetBytes: 0, sizeBytes: wordBytesOf(planned, node) };
    if (!(await readRange(executor, "f32", range)).every((x) => Number.isFinite(x))) return false;
  }
  return true;
}

async function resultsOf(executor: Executor, { results }: DispatchValues): Promise<readonly Elements[]> {
  const outputs = await executor.run("evaluate", {});
  return results.map(({ node }) => {
    const output = outputs[nameOf(node)];
    if (output === undefined) throw new Error(`no output ${nameOf(node)}`);
    return output.data;
  });
}

async function readRange(
  executor: Executor,
  dtype: DType,
  { buffer, offsetBytes, sizeBytes }: BufferRange,
): Promise<Elements> {
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  for await (const piece of executor.memory.read(buffer, offsetBytes, sizeBytes)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return asTyped(dtype, bytes);
}

/** By how much sources are moved: some 64 roundings of f32. */
const MOVED = 2 ** -18;

/** Each element a little larger or smaller, in no order. */
function perturb(elements: Elements, seed: number): Elements {
  return elements.map((x, i) => x * (((i * 0x9e3779b1 + seed) >>> 7) & 1 ? 1 + MOVED : 1 - MOVED));
}

/**
 * Whether two results differ no more than the same computation does for sources that are a little off: where terms cancel out, all that
 * is left may be rounding.
 */
function isWithin(expected: Elements, actual: Elements, moved: Elements): boolean {
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const by = Math.abs(expected[i]! - moved[i]!);
    if (Number.isFinite(by)) most = Math.max(most, by);
  }
  return expected.every((value, i) => {
    const other = actual[i]!;
    return value === other || (Number.isNaN(value) && Number.isNaN(other)) || Math.abs(value - other) <= most;
  });
}

function overlap(a: BufferRange, b: BufferRange): boolean {
  return (
    a.buffer === b.buffer &&
    a.offsetBytes < b.offsetBytes + b.sizeBytes &&
    b.offsetBytes < a.offsetBytes + a.sizeBytes
  );
}
