import { type Command, InvalidArgumentError } from "commander";
import type { EntryName } from "../../compiler/index.ts";
import type { Kernel } from "../../compiler/kernel/index.ts";
import type { Program, Tuning } from "../../compiler/program/index.ts";
import { ONE_OP_A_KERNEL, type ScheduledDispatch } from "../../compiler/schedule/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createExecutor } from "../../runtime/execute/index.ts";
import { median } from "../compare/figures.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { watchInterrupt } from "../interrupt.ts";
import { type MemoryOptions, type SpecOptions, withMemory, withSpecOptions } from "../options.ts";
import { type Compiled, compileSpec } from "../spec.ts";
import { formatCount, parseDuration } from "../terminal/units.ts";
import { describeModel } from "../training/describe.ts";
import { noTuning } from "../tuning/choose-tuning.ts";
import { KernelTrial } from "../tuning/kernel-trial.ts";
import { type KernelToTune, kernelsToTune, type ScheduleInStep } from "../tuning/kernels-to-tune.ts";
import { type TunedKernel, tuneKernels } from "../tuning/tune-kernels.ts";
import {
  defaultTuningPath,
  readTuningFile,
  type TuningChanges,
  tunedFor,
  updateTuningFile,
} from "../tuning/tuning-file.ts";
import { showTuning } from "../tuning/tuning-progress.ts";
import { rejectedLines, stepRatio, tuningTable } from "../tuning/tuning-report.ts";
import { compileVerified, type Verified, verificationReport } from "../verify/compile-verified.ts";

interface TuneOptions extends SpecOptions, MemoryOptions {
  /** Milliseconds. */
  readonly time: number;
  readonly output?: string;
  readonly verify: boolean;
}

/** The median of so many timed steps says what share a kernel has; one more before them warms up. */
const PROFILED_STEPS = 3;

export function addTuneCommand(
  program: Command,
  open: (options: SpecOptions) => Console,
  setExitCode: (code: number) => void,
): void {
  withMemory(withSpecOptions(program.command("tune").argument("<spec>", "a .bert file")))
    .summary("measure how kernels are best written for this device")
    .description(
      "Takes the kernels of a spec's training step, those that take the longest first, tries their variants (tiles, workgroups, " +
        "vectors) on the device against the one that the cost model has chosen, and writes those that are clearly faster to a " +
        "file. `train`, `compile`, `compare`, `encode` and `eval` then use them on this device. Ctrl-C keeps what is found.",
    )
    .option(
      "--time <duration>",
      "how long to measure, for instance 90s or 5m; compiling and timing one step come before",
      duration,
      60_000,
    )
    .option(
      "-o, --output <file>",
      "where the choices go, beside those for other kernels and devices (default: KILN_TUNING, or a file in your cache folder)",
    )
    .option(
      "--no-verify",
      "do not compare the kernels of the tuned program with their ops one by one at the end",
    )
    .action(async (spec: string, options: TuneOptions) => {
      setExitCode(await tune(spec, options, open(options)));
    });
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError("It must be a length of time above 0, for instance 60s, 5m or 500ms.");
}

async function tune(spec: string, options: TuneOptions, console: Console): Promise<number> {
  const path = options.output ?? defaultTuningPath();
  if (path === undefined) {
    throw new Failure(2, {
      message: "KILN_TUNING is none: there is no file to write to",
      hint: "name one with -o FILE",
    });
  }
  // Before anything is measured: what cannot be written is measured in vain.
  const file = await readTuningFile(path);
  const { openDevice } = await import("../../runtime/device/index.ts");
  const kiln = await openDevice({ prefer: options.device });
  const interrupt = watchInterrupt(() => {
    console.note(
      `${console.progressStream === undefined ? "" : "\n"}finishing the kernel in hand; Ctrl-C again to leave at once`,
    );
  });
  const progress = showTuning(console, options.time);
  try {
    console.say(kiln.notice);
    const earlier = tunedFor(file, kiln.adapter).variants;
    const compile = (variants: Tuning) =>
      compileSpec(spec, console, {
        profile: kiln.profile,
        settings: options.set,
        memoryBytes: options.memory,
        precision: options.precision,
        tuning: { ...noTuning, variants },
      });
    // Kernels that were found wrong stay away; all others are as the cost model has them.
    const compiled = await compile(
      Object.fromEntries(Object.entries(earlier).filter(([, variant]) => variant === ONE_OP_A_KERNEL)),
    );
    console.say(describeModel(compiled.program));
    const kernels = (await kernelsOf(compiled, kiln, console)).filter(
      ({ key }) => earlier[key] !== ONE_OP_A_KERNEL,
    );
    const tuned = await tuneKernels(kernels, kiln.profile, {
      open: (dispatch, kernel) => openTrial(kiln, dispatch, kernel),
      budgetMs: options.time,
      earlier,
      signal: interrupt.signal,
      onVariant: progress.variant,
      onKernel: async (found) => {
        progress.kernel(found);
        await updateTuningFile(path, kiln.adapter, changesOf(found, earlier));
      },
    });
    progress.stop();
    const interrupted = interrupt.exitCode !== undefined;
    const verified =
      options.verify && !interrupted
        ? await compileVerified({
            kiln,
            console,
            entries: trainingEntries(compiled.program),
            tuning: tunedFor(await readTuningFile(path), kiln.adapter).variants,
            file: path,
            compile,
          })
        : undefined;
    report({ path, kiln, kernels, tuned, verified, interrupted }, console);
    return interrupt.exitCode ?? 0;
  } finally {
    progress.stop();
    interrupt.dispose();
    kiln.close();
  }
}

/** @throws KilnError `machine` where the device has failed: then no other variant can be tried either */
async function openTrial(
  kiln: KilnDevice,
  dispatch: ScheduledDispatch,
  kernel: Kernel,
): Promise<KernelTrial | string> {
  try {
    return await KernelTrial.open(kiln, dispatch, kernel);
  } catch (thrown) {
    if (!(thrown instanceof KilnError)) throw thrown;
    kiln.throwIfFailed();
    return thrown.message;
  }
}

/** An earlier choice goes only when it has been beaten. */
function changesOf(
  { kernel: { key }, variant, ratio, undecided }: TunedKernel,
  earlier: Tuning,
): TuningChanges {
  if (ratio !== undefined) return { variants: { [key]: variant }, dropped: [] };
  const before = earlier[key];
  return { variants: {}, dropped: before !== undefined && undecided.includes(before) ? [] : [key] };
}

function trainingEntries({ entries }: Program): readonly EntryName[] {
  return entries.accumulate === undefined ? ["train"] : ["accumulate", "train"];
}

async function kernelsOf(
  compiled: Compiled,
  kiln: KilnDevice,
  console: Console,
): Promise<readonly KernelToTune[]> {
  const { program, stages } = compiled;
  const entries = trainingEntries(program);
  const profiles = await profiled(compiled, entries, kiln, console);
  const step = entries.flatMap((name): ScheduleInStep[] => {
    const schedule = stages?.schedules.get(name);
    if (schedule === undefined) return [];
    return [
      {
        schedule,
        times: name === "accumulate" ? program.settings.accumulate - 1 : 1,
        ms: profiles?.get(name),
      },
    ];
  });
  return kernelsToTune(step, kiln.profile);
}

/** @returns milliseconds of every dispatch of each entry; undefined where the device cannot time them */
async function profiled(
  { program }: Compiled,
  entries: readonly EntryName[],
  kiln: KilnDevice,
  console: Console,
): Promise<ReadonlyMap<EntryName, readonly number[]> | undefined> {
  if (!kiln.features.has("timestamp-query")) {
    console.note(`${kiln.name} cannot time single kernels: those with most to do come first`);
    return undefined;
  }
  console.note(`compiling ${formatCount(program.kernels.length)} kernels and timing a step ...`);
  const executor = await createExecutor(program, kiln, { entries, drafts: false });
  try {
    // How long a kernel takes hardly depends on what it reads: zeros need no corpus.
    const zeros = Object.fromEntries(
      program.inputs.map(({ name, dtype, shape }) => {
        const count = shape.reduce((product, size) => product * size, 1);
        const field =
          dtype === "f32"
            ? new Float32Array(count)
            : dtype === "i32"
              ? new Int32Array(count)
              : new Uint32Array(count);
        return [name, field];
      }),
    );
    const times = new Map<EntryName, readonly number[]>();
    for (const entry of entries) {
      await executor.profile(entry, zeros);
      const runs: (readonly number[])[] = [];
      while (runs.length < PROFILED_STEPS)
        runs.push((await executor.profile(entry, zeros)).map(({ milliseconds }) => milliseconds));
      times.set(
        entry,
        (runs[0] ?? []).map((_, at) => median(runs.map((run) => run[at] ?? Number.NaN))),
      );
    }
    return times;
  } finally {
    executor.destroy();
  }
}

interface Outcome {
  readonly path: string;
  readonly kiln: KilnDevice;
  readonly kernels: readonly KernelToTune[];
  readonly tuned: readonly TunedKernel[];
  /** undefined where it was not asked for, or interrupted. */
  readonly verified: Verified | undefined;
  readonly interrupted: boolean;
}

function report({ path, kiln, kernels, tuned, verified, interrupted }: Outcome, console: Console): void {
  const ratio = stepRatio(tuned);
  const rejected = tuned.flatMap((one) => one.rejected.map((r) => ({ kernel: one.kernel.key, ...r })));
  console.result({
    device: kiln.name,
    adapter: kiln.adapter,
    file: path,
    kernels: tuned.map(({ kernel, variant, ratio: own, dispatchMs, tried }) => ({
      key: kernel.key,
      label: kernel.label,
      dispatches: kernel.dispatches,
      share: kernel.share,
      chosen: kernel.chosen,
      variant,
      ratio: own ?? null,
      dispatchMs,
      tried,
    })),
    rejected,
    notMeasured: kernels.length - tuned.length,
    stepRatio: ratio,
    ...(verified !== undefined && { verified: verificationReport(verified) }),
    interrupted,
  });
  const faster = tuned.filter((one) => one.ratio !== undefined);
  if (!console.json && faster.length > 0) console.say(`\n${tuningTable(faster)}\n`);
  for (const line of rejectedLines(tuned)) console.note(line);
  const tried = tuned.reduce((sum, one) => sum + one.tried, 0);
  console.say(
    `${formatCount(tried)} variants of ${formatCount(tuned.length)} kernels tried, ${formatCount(kernels.length - tuned.length)} kernels not measured`,
  );
  console.say(
    faster.length === 0
      ? "nothing was clearly faster than what the cost model has chosen"
      : `${formatCount(faster.length)} kernels are faster; by their shares a step takes ${(100 * ratio).toFixed(0)} % of the time it took`,
  );
  if (tuned.length > 0) console.say(`choices: ${path}`);
}
