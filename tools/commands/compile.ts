import { type Command, Option } from "commander";
import type { DeviceProfile, Program } from "../../compiler/program/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import type { Console } from "../console.ts";
import { entriesOf, entryFigures } from "../entry-figures.ts";
import { Failure } from "../failure.ts";
import { type PlanOptions, withPlanOptions } from "../options.ts";
import { type Compiled, compileSpec } from "../spec.ts";
import { renderTable } from "../terminal/table.ts";
import { formatBytes, formatCount, formatDuration, formatFlops } from "../terminal/units.ts";
import { describeMemory, describePrecision, plannedBytes } from "../training/describe.ts";
import { type ChosenTuning, chooseTuning } from "../tuning/choose-tuning.ts";

const stages = ["graph", "schedule", "wgsl", "program"] as const;
type Stage = (typeof stages)[number];

interface CompileCommandOptions extends PlanOptions {
  readonly emit?: Stage;
  readonly output?: string;
  readonly fuse: boolean;
}

export function addCompileCommand(program: Command, open: (options: PlanOptions) => Console): void {
  withPlanOptions(program.command("compile").argument("<spec>", "a .bert file"))
    .summary("compile a spec and print a stage, or write the program to run elsewhere")
    .description(
      "Compiles a spec. Without --emit it prints what the program is made of; with it, one stage as text. " +
        "`--emit program -o model.kiln.json` writes a program that `train` runs without the compiler. " +
        "With --device software nothing that was measured here is used, unless --tuning names it.",
    )
    .addOption(new Option("--emit <stage>", "the stage to print").choices(stages))
    .option("-o, --output <file>", "write the stage to a file")
    .option("--no-fuse", "one op a kernel")
    .action(async (spec: string, options: CompileCommandOptions) => {
      await compileCommand(spec, options, open(options));
    });
}

async function compileCommand(spec: string, options: CompileCommandOptions, console: Console): Promise<void> {
  if (options.output !== undefined && options.emit === undefined) {
    throw new Failure(2, {
      message: "--output needs --emit",
      hint: "for instance: --emit program -o model.kiln.json",
    });
  }
  const { profile, tuning } = await targetOf(options, console);
  const started = performance.now();
  const compiled = await compileSpec(spec, console, {
    profile,
    settings: options.set,
    fuse: options.fuse,
    memoryBytes: options.memory,
    tuning,
    precision: options.precision,
  });
  const ms = performance.now() - started;
  const text = options.emit === undefined ? undefined : await stageText(compiled, options.emit);
  if (options.output !== undefined && text !== undefined) await writeAtomically(options.output, text);
  else if (text !== undefined && !console.json) console.emit(text.endsWith("\n") ? text : `${text}\n`);
  // What the machine gave at most, in KiB on every platform Node reports it for.
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  const { program, summary, memory, timings } = compiled;
  console.result({
    name: program.name,
    hash: program.hash,
    parameters: summary.parameters,
    kernels: program.kernels.length,
    tunedKernels: Object.keys(program.tuning ?? {}).length,
    entries: Object.fromEntries(entriesOf(program).map(([name, entry]) => [name, entryFigures(entry)])),
    plannedBytes: plannedBytes(program),
    precision: program.precision ?? "f32",
    ...(memory !== undefined && { memory }),
    timings,
    ms,
    peakMemoryBytes,
    ...(options.output !== undefined && { output: options.output }),
    ...(options.output === undefined && text !== undefined && { text }),
  });
  if (options.emit === undefined && !console.json) printFigures(compiled, console);
  const parts = Object.entries(timings).map(([stage, stageMs]) => `${stage} ${formatDuration(stageMs)}`);
  console.note(
    `compiled in ${formatDuration(ms)}${parts.length === 0 ? "" : ` (${parts.join(", ")})`}; peak memory of the process ${formatBytes(peakMemoryBytes)}`,
  );
  if (options.output !== undefined) console.note(`wrote ${options.output}`);
}

/**
 * What to compile for. The software device is known without opening it, so that the same spec gives the same program on every
 * machine; it is opened only to find it in a tuning file that is named.
 */
async function targetOf(
  { device, tuning }: CompileCommandOptions,
  console: Console,
): Promise<{ readonly profile: DeviceProfile; readonly tuning: ChosenTuning | undefined }> {
  const { openDevice, softwareProfile } = await import("../../runtime/device/index.ts");
  if (device === "software" && (tuning === undefined || tuning === "none"))
    return { profile: softwareProfile, tuning: undefined };
  const kiln = await openDevice({ prefer: device });
  try {
    return { profile: kiln.profile, tuning: await chooseTuning(tuning, kiln, console) };
  } finally {
    kiln.close();
  }
}

async function stageText(compiled: Compiled, stage: Stage): Promise<string> {
  if (stage === "wgsl") return wgslText(compiled.program);
  if (stage === "program") {
    const { serializeProgram } = await import("../../compiler/program/index.ts");
    return serializeProgram(compiled.program);
  }
  const text = compiled.stages?.[stage];
  if (text === undefined) throw new Failure(3, { message: `internal error: the compiler gave no ${stage}` });
  return text();
}

/** All kernels, each under a line with its number, name and how often each entry dispatches it. */
function wgslText(program: Program): string {
  const uses = program.kernels.map((_, index) =>
    entriesOf(program)
      .map(
        ([name, entry]) =>
          [
            name,
            entry.steps.filter((step) => step.kind === "dispatch" && step.kernel === index).length,
          ] as const,
      )
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}x`)
      .join(", "),
  );
  return program.kernels
    .map(
      (kernel, index) =>
        `// ---- kernel ${index}: ${kernel.name} (${uses[index] || "not dispatched"})\n${kernel.wgsl.trimEnd()}\n`,
    )
    .join("\n");
}

function printFigures({ program, summary, memory }: Compiled, console: Console): void {
  console.say(
    `${console.colours.bold(program.name)}: ${formatCount(summary.parameters)} parameters, ${program.kernels.length} kernels`,
  );
  console.say(describeMemory(program, memory));
  const precision = describePrecision(program);
  if (precision !== undefined) console.say(precision);
  console.say("");
  console.say(
    renderTable(
      [
        { title: "entry", align: "left" },
        { title: "dispatches", align: "right" },
        { title: "pipelines", align: "right" },
        { title: "read + written", align: "right" },
        { title: "flops", align: "right" },
        { title: "peak memory", align: "right" },
      ],
      entriesOf(program).map(([name, entry]) => {
        const figures = entryFigures(entry);
        return [
          name,
          formatCount(figures.dispatches),
          formatCount(figures.pipelines),
          formatBytes(figures.bytesMoved),
          formatFlops(figures.flops),
          formatBytes(figures.peakBytes),
        ];
      }),
    ),
  );
}
