import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { openDevice } from "../../runtime/device/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import { largestDifference } from "../compare/figures.ts";
import { Console, type Streams } from "../console.ts";
import { entryFigures } from "../entry-figures.ts";
import { Failure } from "../failure.ts";
import { wholeNumber, withJson } from "../options.ts";
import { compileSpec } from "../spec.ts";
import { runStandalone } from "../standalone.ts";
import { renderTable } from "../terminal/table.ts";
import { formatBytes, formatDuration, formatFlops } from "../terminal/units.ts";
import { type GpuConfigurationName, gpuConfigurations } from "./configurations.ts";
import { type GpuFigures, measureKiln } from "./kiln.ts";
import { measurePyTorch, type PyTorchFigures, type PyTorchRun } from "./pytorch.ts";
import { makeGpuTask, writeGpuTask } from "./task.ts";

interface GpuBenchOptions {
  readonly config: GpuConfigurationName;
  readonly device: "auto" | "software";
  readonly torchDevice: string;
  readonly python: string;
  readonly compile: boolean;
  readonly seed: number;
  readonly output: string;
  readonly json: boolean;
}

/** The content of a file in `bench/results/gpu`. */
export interface GpuBenchResult {
  readonly device: string;
  readonly name: GpuConfigurationName;
  /** Floating-point operations of a step as the spec states it: nothing computed twice. */
  readonly flops: number;
  /** Largest relative difference of Kiln's losses from PyTorch's in float32. */
  readonly lossDifference: number;
  readonly kiln: readonly GpuFigures[];
  readonly pytorch: readonly PyTorchFigures[];
}

/** Float32 sums in other orders, over a few steps. */
const LOSS_TOLERANCE = 1e-4;

const resultsFolder = fileURLToPath(new URL("../../bench/results/gpu", import.meta.url));

/**
 * Runs `npm run bench:gpu`.
 * @param args without the interpreter and the script
 * @returns the exit code: 0; 1 when losses differ; 2 wrong usage; 3 the machine
 */
export async function runGpuBench(args: readonly string[], streams: Streams): Promise<number> {
  const console = new Console(streams, args.includes("--json"));
  const program = withJson(new Command("bench:gpu"))
    .description(
      "Trains BERT with Kiln on WebGPU and with PyTorch on CUDA, one after the other on one GPU, from the same weights on the same batches.",
    )
    .addOption(
      new Option("--config <name>", "small: d2l.ai's BERT, batch 64; base: BERT-Base, batch 32 of 128 tokens")
        .choices(Object.keys(gpuConfigurations))
        .default("small"),
    )
    .addOption(
      new Option("--device <which>", "Kiln's: auto, a real GPU; software, to try the command")
        .choices(["auto", "software"])
        .default("auto"),
    )
    .option("--torch-device <name>", "PyTorch's: cuda, or cpu to try the command", "cuda")
    .option("--python <path>", "a Python with PyTorch 2", "python3")
    .option("--no-compile", "leave torch.compile out")
    .option("--seed <n>", "seed of weights and batches", wholeNumber(0, 0xffff_ffff), 0)
    .option("--output <folder>", "where the results go", resultsFolder)
    .action(async (options: GpuBenchOptions) => {
      console.result(await gpuBench(options, console));
    });
  return await runStandalone(program, args, console, streams);
}

async function gpuBench(options: GpuBenchOptions, console: Console): Promise<GpuBenchResult> {
  const { spec, settings: sizes, model, schedule } = gpuConfigurations[options.config];
  const settings = Object.fromEntries(Object.entries(sizes).map(([name, value]) => [name, String(value)]));
  const kiln = await openDevice({ prefer: options.device });
  const folder = await mkdtemp(join(tmpdir(), "kiln-bench-gpu-"));
  try {
    console.note(kiln.notice);
    if (kiln.isSoftware && options.device === "auto") {
      throw new Failure(3, {
        message: "there is no GPU here to compare on",
        hint: "to try the command: --config tiny --device software --torch-device cpu",
      });
    }
    const entries = ["train"] as const;
    const common = { settings, profile: kiln.profile, entries };
    const path = fileURLToPath(new URL(`../../${spec}`, import.meta.url));
    const unfused = await compileSpec(path, console, { ...common, fuse: false });
    const flops = entryFigures(unfused.program.entries.train!).flops;
    const { program } = await compileSpec(path, console, common);
    const task = await makeGpuTask(program, options.seed);
    console.note("Kiln ...");
    const ours = await measureKiln("Kiln, f32", program, kiln, task, schedule);
    const kilnSides = [ours.figures];
    if (kiln.profile.f16) {
      const mixed = await compileSpec(path, console, { ...common, precision: "mixed" });
      console.note("Kiln, mixed precision ...");
      kilnSides.push((await measureKiln("Kiln, mixed f16", mixed.program, kiln, task, schedule)).figures);
    }
    const taskPath = join(folder, "task.safetensors");
    await writeGpuTask(taskPath, task, model, schedule, ours.rates);
    const runs: readonly PyTorchRun[] = [
      { dtype: "f32", compiled: false },
      { dtype: "f32", compiled: true },
      { dtype: "bf16", compiled: false },
      { dtype: "bf16", compiled: true },
    ];
    const pytorch: PyTorchFigures[] = [];
    for (const run of runs.filter(({ compiled }) => options.compile || !compiled)) {
      console.note(`PyTorch, ${run.compiled ? "torch.compile" : "eager"}, ${run.dtype} ...`);
      pytorch.push(await measurePyTorch(options.python, taskPath, options.torchDevice, run));
    }
    const expected = pytorch[0]!.losses;
    const result: GpuBenchResult = {
      device: kiln.name,
      name: options.config,
      flops,
      lossDifference: largestDifference(expected, ours.figures.losses),
      kiln: kilnSides,
      pytorch,
    };
    console.say(`\n${figureTable(result)}`);
    const words = `losses of ${schedule.compared} steps differ by ${result.lossDifference.toExponential(1)} at most (relative; ${LOSS_TOLERANCE.toExponential(0)} is allowed)`;
    if (!(result.lossDifference <= LOSS_TOLERANCE))
      throw new Failure(1, { message: `the two do not compute the same: ${words}`, details: result });
    console.say(`\n${words}`);
    const device = kiln.name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const file = `${device.replace(/^-|-$/g, "")}-${options.config}.json`;
    await writeAtomically(join(options.output, file), `${JSON.stringify(result, null, 2)}\n`);
    return result;
  } finally {
    kiln.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A row a side; share of peak is of what PyTorch's own largest matmul reaches in float32 on that device. */
function figureTable({ kiln, pytorch, flops }: GpuBenchResult): string {
  const peak = pytorch[0]!.matmulFlops;
  const own = kiln[0]!.stepMs;
  const columns = [
    { title: "", align: "left" },
    { title: "a step", align: "right" },
    { title: "to Kiln", align: "right" },
    { title: "first step", align: "right" },
    { title: "FLOP/s", align: "right" },
    { title: "share of peak", align: "right" },
    { title: "memory", align: "right" },
  ] as const;
  const rows = [...kiln, ...pytorch].map((each) => {
    const rate = (flops / each.stepMs) * 1000;
    const most = "matmulFlops" in each && typeof each.matmulFlops === "number" ? each.matmulFlops : peak;
    return [
      each.title,
      formatDuration(each.stepMs),
      `${(each.stepMs / own).toFixed(2)}x`,
      formatDuration(each.firstStepMs),
      `${formatFlops(rate)}/s`,
      `${((100 * rate) / most).toFixed(1)} %`,
      each.peakBytes === null ? "-" : formatBytes(each.peakBytes),
    ];
  });
  return renderTable(columns, rows);
}
