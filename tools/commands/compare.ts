import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { type FusionRule, fusionRuleNames } from "../../compiler/schedule/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import { Contender, compileWay } from "../compare/contender.ts";
import { type Comparison, largestDifference, planFigures } from "../compare/figures.ts";
import { measureRoofline, type Roofline } from "../compare/roofline.ts";
import { ablationTable, kernelTable, rooflineLine, sidesTable } from "../compare/tables.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type PlanOptions, verifyHelp, wholeNumber, withPlanOptions } from "../options.ts";
import { shortName } from "../programs.ts";
import { describeMemory, describeModel, describePrecision } from "../training/describe.ts";
import { type ChosenTuning, chooseTuning, noTuning } from "../tuning/choose-tuning.ts";
import {
  compileVerified,
  type Verified,
  verificationReport,
  verifiedFile,
} from "../verify/compile-verified.ts";

interface CompareOptions extends PlanOptions {
  readonly steps: number;
  readonly corpus?: string;
  readonly tolerance: number;
  readonly ablateTime?: boolean;
  readonly profile: boolean;
  readonly html?: string;
  readonly verify?: boolean;
}

/**
 * Fused and unfused kernels add in another order, so losses differ in the last digits of an f32 from the first step, and
 * Adam's early steps, which are nearly signs of the gradient, spread that to the weights.
 */
const defaultTolerance = 1e-3;

/** The median of so many timed runs is a kernel's time. */
const profiledRuns = 3;

export function addCompareCommand(program: Command, open: (options: PlanOptions) => Console): void {
  withPlanOptions(program.command("compare").argument("<spec>", "a .bert file"))
    .summary("run fused and unfused kernels side by side")
    .description(
      "Trains twice, fused and one op a kernel, in turns, on the same seed and batches, and shows what fusion saves; " +
        "then what each rule of fusion is worth, and where the time goes. --memory is for the fused side alone, and leaves out the rules.",
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
    .option("--ablate-time", "also run the steps with each rule switched off, not only count them")
    .option("--verify", verifyHelp)
    .option("--no-profile", "do not time single kernels nor measure what the device can do")
    .option(
      "--html <file>",
      "write a page with the kernel graphs, the timeline, the memory plan and all kernels",
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

async function compare(spec: string, options: CompareOptions, console: Console): Promise<void> {
  if (options.memory !== undefined && options.ablateTime === true) {
    throw new Failure(2, {
      message: "--ablate-time and --memory exclude each other",
      hint: "a plan without one of the rules may not fit; leave out one of the two",
    });
  }
  const { openDevice } = await import("../../runtime/device/index.ts");
  const kiln = await openDevice({ prefer: options.device });
  const sides: Contender[] = [];
  try {
    console.say(kiln.notice);
    const { precision } = options;
    const chosen = await chooseTuning(options.tuning, kiln, console);
    const verified = options.verify === true ? await verify(spec, options, chosen, kiln, console) : undefined;
    const tuning = verified === undefined ? chosen : { ...(chosen ?? noTuning), variants: verified.tuning };
    const toCompare = { spec, set: options.set, seed: options.seed ?? 0, corpus: options.corpus };
    const add = async (
      fuse: boolean,
      without: readonly FusionRule[],
      memoryBytes?: number,
    ): Promise<Contender> => {
      const way = { fuse, without, memoryBytes, tuning, precision };
      const side = await Contender.open(toCompare, way, kiln, console);
      sides.push(side);
      return side;
    };
    const fused = await add(true, [], options.memory);
    console.say(describeModel(fused.compiled.program));
    console.say(`memory: ${describeMemory(fused.compiled.program, fused.compiled.memory)}`);
    const emulation = describePrecision(fused.compiled.program);
    if (emulation !== undefined) console.say(emulation);
    const unfused = await add(false, []);
    const ablated = new Map<FusionRule, Contender>();
    if (options.ablateTime === true)
      for (const rule of fusionRuleNames) ablated.set(rule, await add(true, [rule]));
    console.say(`data: ${fused.batches.summary}`);
    await inTurns(sides, options.steps, (step) => console.note(`step ${step}/${options.steps}`));
    const roofline = options.profile ? await profiled([fused, unfused], kiln, console) : undefined;
    const entries = fused.trainingEntries;
    const rules: Partial<Record<FusionRule, Comparison>> = {};
    for (const rule of options.memory === undefined ? fusionRuleNames : []) {
      const way = { fuse: true, without: [rule], entries, tuning, precision };
      rules[rule] =
        ablated.get(rule)?.measured(undefined) ??
        planFigures((await compileWay(spec, options.set, way, kiln, console)).program);
    }
    await conclude(
      { spec, kiln, fused, unfused, ablated: [...ablated.values()], rules, roofline, verified },
      options,
      console,
    );
  } finally {
    for (const side of sides) await side.close();
    kiln.close();
  }
}

function verify(
  spec: string,
  options: CompareOptions,
  chosen: ChosenTuning | undefined,
  kiln: KilnDevice,
  console: Console,
): Promise<Verified> {
  return verifiedFile(options.tuning).then((file) =>
    compileVerified({
      kiln,
      console,
      entries: ["accumulate", "train"],
      tuning: chosen?.variants ?? {},
      file,
      compile: (variants) => {
        const tuning = { ...(chosen ?? noTuning), variants };
        const way = {
          fuse: true,
          without: [],
          memoryBytes: options.memory,
          tuning,
          precision: options.precision,
        };
        return compileWay(spec, options.set, way, kiln, console);
      },
    }),
  );
}

/** Whoever goes first changes with every step: warm caches favour nobody. */
async function inTurns(
  sides: readonly Contender[],
  steps: number,
  done: (step: number) => void,
): Promise<void> {
  for (let step = 0; step < steps; step++) {
    const first = step % sides.length;
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) await side.step();
    done(step + 1);
  }
}

/** Times the kernels of both sides, and measures what the device can do at most. */
async function profiled(
  sides: readonly Contender[],
  kiln: KilnDevice,
  console: Console,
): Promise<Roofline | undefined> {
  if (!kiln.features.has("timestamp-query")) {
    console.note(`the device \`${kiln.name}\` cannot time single kernels`);
    return undefined;
  }
  for (let run = 0; run < profiledRuns; run++) for (const side of sides) await side.profile();
  return measureRoofline(kiln);
}

interface Outcome {
  readonly spec: string;
  readonly kiln: KilnDevice;
  readonly fused: Contender;
  readonly unfused: Contender;
  /** Those that ran with a rule switched off. */
  readonly ablated: readonly Contender[];
  readonly rules: Readonly<Partial<Record<FusionRule, Comparison>>>;
  readonly roofline: Roofline | undefined;
  readonly verified: Verified | undefined;
}

async function conclude(outcome: Outcome, options: CompareOptions, console: Console): Promise<void> {
  const { kiln, rules, roofline } = outcome;
  const { memory } = outcome.fused.compiled;
  const [fused, unfused] = [outcome.fused.measured(roofline), outcome.unfused.measured(roofline)];
  const others = [outcome.unfused, ...outcome.ablated];
  const difference = Math.max(...others.map(({ losses }) => largestDifference(fused.losses, losses)));
  const fusedScale = outcome.fused.lossScale;
  const equal = difference <= options.tolerance;
  if (options.html !== undefined) {
    await writePage(options.html, outcome, { fused, unfused }, options.set);
    console.note(`wrote ${options.html}`);
  }
  const report = {
    device: kiln.name,
    steps: options.steps,
    precision: options.precision ?? "f32",
    ...(fusedScale !== undefined && { lossScale: fusedScale }),
    fused,
    unfused,
    rules,
    roofline: roofline ?? null,
    lossDifference: difference,
    equal,
    ...(memory !== undefined && { memory }),
    ...(outcome.verified !== undefined && { verified: verificationReport(outcome.verified) }),
    ...(options.html !== undefined && { html: options.html }),
  };
  if (equal) console.result(report);
  if (!console.json) {
    const tables = [sidesTable(fused, unfused)];
    if (memory === undefined) tables.push(ablationTable(fused, rules));
    if (fused.kernels.length > 0) tables.push(kernelTable(fused));
    if (roofline !== undefined) tables.push(rooflineLine(roofline));
    for (const table of tables) console.say(`\n${table}`);
    console.say("");
  }
  const words = `losses differ by ${difference.toExponential(1)} at most (relative; ${options.tolerance.toExponential(0)} is allowed)`;
  if (!equal)
    throw new Failure(1, { message: `fused and unfused runs are not equal: ${words}`, details: report });
  console.say(words);
}

async function writePage(
  path: string,
  outcome: Outcome,
  figures: { readonly fused: Comparison; readonly unfused: Comparison },
  set: Readonly<Record<string, string>>,
): Promise<void> {
  const { renderPage } = await import("../compare/page/page.ts");
  const overrides = Object.entries(set).map(([name, value]) => `, ${name}=${value}`);
  const page = renderPage({
    title: shortName(outcome.spec) + overrides.join(""),
    device: outcome.kiln.name,
    fused: outcome.fused.stage(figures.fused),
    unfused: outcome.unfused.stage(figures.unfused),
    rules: outcome.rules,
    roofline: outcome.roofline,
  });
  await writeAtomically(path, page);
}
