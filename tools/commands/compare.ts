import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import type { Program } from "../../compiler/program/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Trainer } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { distinctKernels, type EntryFigures, entryFigures } from "../entry-figures.ts";
import { Failure } from "../failure.ts";
import { type SpecOptions, wholeNumber, withSpecOptions } from "../options.ts";
import { compileSpec } from "../spec.ts";
import { renderTable } from "../terminal/table.ts";
import { formatBytes, formatCount, formatDuration, formatFlops, formatLoss } from "../terminal/units.ts";

interface CompareOptions extends SpecOptions {
  readonly steps: number;
  readonly corpus?: string;
  readonly tolerance: number;
}

/** Of one way to compile: by the plan, and as it ran. */
interface Comparison extends EntryFigures {
  /** Submits a step. */
  readonly submits: number;
  /** Median. */
  readonly msPerStep: number;
  /** What is minimized, step by step. */
  readonly losses: readonly number[];
}

/**
 * Fused and unfused kernels add in another order, so losses differ in the last digits of an f32 from the first step, and
 * Adam's early steps, which are nearly signs of the gradient, spread that to the weights.
 */
const defaultTolerance = 1e-3;

export function addCompareCommand(program: Command, open: (options: SpecOptions) => Console): void {
  withSpecOptions(program.command("compare").argument("<spec>", "a .bert file"))
    .summary("run fused and unfused kernels side by side")
    .description(
      "Trains twice, fused and one op a kernel, in turns, on the same seed and batches, and shows what fusion saves.",
    )
    .option("--steps <n>", "steps of each", wholeNumber(1), 10)
    .option(
      "--corpus <path>",
      "a folder with wiki.train.tokens, or a text file (default: a generated corpus)",
    )
    .option(
      "--tolerance <x>",
      "largest relative difference of the losses that counts as equal",
      positive,
      defaultTolerance,
    )
    .action(async (spec: string, options: CompareOptions) => {
      await compare(spec, options, open(options));
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("It must be a number above 0.");
}

/** One side of the comparison, on the device. */
interface Contender {
  readonly program: Program;
  readonly trainer: Trainer;
  readonly batches: BatchSource;
  readonly losses: number[];
  readonly ms: number[];
}

async function compare(spec: string, options: CompareOptions, console: Console): Promise<void> {
  const { openDevice } = await import("../../runtime/device/index.ts");
  const kiln = await openDevice({ prefer: options.device });
  const contenders: Contender[] = [];
  try {
    console.say(kiln.notice);
    for (const fuse of [true, false]) contenders.push(await prepare(spec, fuse, kiln, options, console));
    const [fused, unfused] = contenders;
    if (fused === undefined || unfused === undefined) throw new Error("there are two sides");
    console.say(`data: ${fused.batches.summary}`);
    for (let step = 0; step < options.steps; step++) {
      // Whoever goes first changes with every step: warm caches favour neither.
      for (const side of step % 2 === 0 ? [fused, unfused] : [unfused, fused]) {
        const began = performance.now();
        const report = await side.trainer.step();
        side.ms.push(performance.now() - began);
        side.losses.push(
          report.objective ?? Object.values(report.losses).reduce((sum, loss) => sum + loss, 0),
        );
      }
      console.note(`step ${step + 1}/${options.steps}`);
    }
    conclude(kiln, measure(fused), measure(unfused), options, console);
  } finally {
    for (const { trainer, batches } of contenders) {
      await trainer.dispose();
      await batches.close();
    }
    kiln.close();
  }
}

async function prepare(
  spec: string,
  fuse: boolean,
  kiln: KilnDevice,
  options: CompareOptions,
  console: Console,
): Promise<Contender> {
  const { openBatches } = await import("../../runtime/data/index.ts");
  const { createTrainer } = await import("../../runtime/train/index.ts");
  const { program } = await compileSpec(spec, console, {
    profile: kiln.profile,
    settings: options.set,
    fuse,
  });
  const seed = options.seed ?? 0;
  const batches = await openBatches(program.data, {
    split: "train",
    seed,
    ...(options.corpus !== undefined && { corpus: options.corpus }),
  });
  try {
    return {
      program,
      trainer: await createTrainer(program, kiln, { seed, batches }),
      batches,
      losses: [],
      ms: [],
    };
  } catch (thrown) {
    await batches.close();
    throw thrown;
  }
}

function measure({ program, trainer, losses, ms }: Contender): Comparison {
  const { train, accumulate } = program.entries;
  const last = train === undefined ? undefined : entryFigures(train);
  const before = accumulate === undefined ? undefined : entryFigures(accumulate);
  const times = program.settings.accumulate - 1;
  const sum = (of: (figures: EntryFigures) => number): number =>
    (last === undefined ? 0 : of(last)) + (before === undefined ? 0 : times * of(before));
  return {
    dispatches: sum((figures) => figures.dispatches),
    submits: trainer.executor.counters.submits / losses.length,
    pipelines: distinctKernels([train, accumulate]),
    bytesMoved: sum((figures) => figures.bytesMoved),
    flops: sum((figures) => figures.flops),
    peakBytes: Math.max(last?.peakBytes ?? 0, before?.peakBytes ?? 0),
    msPerStep: median(ms),
    losses,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The largest |a - b| / max(1, |a|, |b|) over all steps; NaN where a loss is none. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((most, value, index) => {
    const other = b[index] ?? Number.NaN;
    return Math.max(most, Math.abs(value - other) / Math.max(1, Math.abs(value), Math.abs(other)));
  }, 0);
}

function conclude(
  kiln: KilnDevice,
  fused: Comparison,
  unfused: Comparison,
  options: CompareOptions,
  console: Console,
): void {
  const difference = largestDifference(fused.losses, unfused.losses);
  const equal = difference <= options.tolerance;
  const report = {
    device: kiln.name,
    steps: options.steps,
    fused,
    unfused,
    rules: {},
    lossDifference: difference,
    equal,
  };
  if (equal) console.result(report);
  if (!console.json) printTable(fused, unfused, console);
  const words = `losses differ by ${difference.toExponential(1)} at most (relative; ${options.tolerance.toExponential(0)} is allowed)`;
  if (equal) {
    console.say(words);
    return;
  }
  throw new Failure(1, { message: `fused and unfused runs are not equal: ${words}`, details: report });
}

function printTable(fused: Comparison, unfused: Comparison, console: Console): void {
  const row = (
    name: string,
    of: (side: Comparison) => number,
    format: (value: number) => string,
  ): string[] => {
    const [a, b] = [of(fused), of(unfused)];
    return [name, format(a), format(b), a > 0 && b > 0 ? `${(b / a).toFixed(2)}x` : ""];
  };
  console.say("");
  console.say(
    renderTable(
      [
        { title: "a training step", align: "left" },
        { title: "fused", align: "right" },
        { title: "unfused", align: "right" },
        { title: "unfused / fused", align: "right" },
      ],
      [
        row("dispatches", (side) => side.dispatches, formatCount),
        row("distinct pipelines", (side) => side.pipelines, formatCount),
        row("submits", (side) => side.submits, formatCount),
        row("read + written", (side) => side.bytesMoved, formatBytes),
        row("floating-point operations", (side) => side.flops, formatFlops),
        row("peak memory", (side) => side.peakBytes, formatBytes),
        row("median time", (side) => side.msPerStep, formatDuration),
        row("first loss", (side) => side.losses[0] ?? Number.NaN, formatLoss),
        row("last loss", (side) => side.losses.at(-1) ?? Number.NaN, formatLoss),
      ],
    ),
  );
  console.say("");
}
