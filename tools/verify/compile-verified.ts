import { SingleBar } from "cli-progress";
import type { EntryName } from "../../compiler/index.ts";
import type { Program, Tuning } from "../../compiler/program/index.ts";
import { ONE_OP_A_KERNEL } from "../../compiler/schedule/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Console } from "../console.ts";
import type { Compiled } from "../spec.ts";
import { formatCount } from "../terminal/units.ts";
import {
  defaultTuningPath,
  readTuningFile,
  TuningFileError,
  tunedFor,
  updateTuningFile,
} from "../tuning/tuning-file.ts";
import { findFaults, type KernelFault } from "./find-faults.ts";

export interface VerifiedCompilation {
  readonly kiln: KilnDevice;
  readonly console: Console;
  /** What will run. */
  readonly entries: readonly EntryName[];
  /** The choices to begin with. */
  readonly tuning: Tuning;
  /** Where what is found out is kept; undefined: nowhere. */
  readonly file: string | undefined;
  readonly compile: (tuning: Tuning) => Promise<Compiled>;
}

export interface Verified {
  readonly compiled: Compiled;
  /** The choices that it was compiled with in the end. */
  readonly tuning: Tuning;
  /** Kernels that were wrong and are no longer in the program. */
  readonly faults: readonly KernelFault[];
  /** Kernels that were compared now; 0 where the program was verified on this device before. */
  readonly checked: number;
}

/**
 * Where what is found out about kernels is kept.
 * @param option `--tuning`: a file, `none`, or undefined
 * @returns undefined: nowhere, as there is to be no file, or what is at its path is not to be overwritten
 */
export async function verifiedFile(option: string | undefined): Promise<string | undefined> {
  const path = option === "none" ? undefined : (option ?? defaultTuningPath());
  if (path === undefined) return undefined;
  try {
    await readTuningFile(path);
    return path;
  } catch (thrown) {
    if (thrown instanceof TuningFileError) return undefined;
    throw thrown;
  }
}

/** What a command says of it in its JSON object. */
export function verificationReport({ checked, faults }: Verified): object {
  return {
    checked,
    faults: faults.map(({ isTuned, difference, ...fault }) => ({
      ...fault,
      difference: Number.isFinite(difference) ? difference : null,
      remedy: isTuned ? "variant" : "unfused",
    })),
  };
}

/**
 * Compiles, compares the kernels with their ops one by one on the device, and compiles again without those that are wrong: first
 * without their measured variant, then with one kernel an op. What was found out is kept, so that it is found out once.
 * @throws KilnError `machine` where the device fails
 */
export async function compileVerified(options: VerifiedCompilation): Promise<Verified> {
  const { kiln, console, file } = options;
  let tuning = options.tuning;
  const faults: KernelFault[] = [];
  let checked = 0;
  for (;;) {
    const compiled = await options.compile(tuning);
    const { program, stages } = compiled;
    if (stages === undefined) throw new Error("a compilation without errors has its stages");
    if (await isVerified(file, kiln, program.hash)) return { compiled, tuning, faults, checked };
    const progress = showVerifying(console, kiln, program);
    const planned = { program, schedules: stages.schedules };
    const found = await findFaults(kiln, planned, options.entries, progress.update).finally(progress.stop);
    checked += found.checked;
    for (const name of found.unchecked)
      console.note(
        `not verified, as there is no room for one kernel an op, or another kernel is wrong: ${name}`,
      );
    for (const fault of found.faults) console.note(`warning: ${describeFault(fault, kiln)}`);
    // What is one op a kernel already cannot be taken apart further.
    const news = found.faults.filter(({ key }) => tuning[key] !== ONE_OP_A_KERNEL);
    faults.push(...news);
    if (news.length === 0) {
      if (found.faults.length === 0) await remember(file, kiln, { hash: program.hash });
      return { compiled, tuning, faults, checked };
    }
    const choices: Record<string, string> = { ...tuning };
    for (const { key, isTuned } of news) {
      if (isTuned) delete choices[key];
      else choices[key] = ONE_OP_A_KERNEL;
    }
    tuning = choices;
    await remember(file, kiln, { faults: news });
  }
}

/** Kernels of one op alone are not compared, so the bar may stop short of its end. */
function showVerifying(console: Console, kiln: KilnDevice, program: Program) {
  const stream = console.progressStream;
  const { kernels } = program;
  const words = `verifying ${formatCount(kernels.length)} kernels on ${kiln.name}`;
  if (stream === undefined) {
    console.note(`${words} ...`);
    return { update: () => {}, stop: () => {} };
  }
  const bar = new SingleBar({
    stream,
    hideCursor: false,
    gracefulExit: false,
    format: `{bar}  ${words}`,
    barsize: 20,
  });
  bar.start(kernels.length + kernels.filter(({ drafts }) => drafts !== undefined).length, 0);
  return { update: (done: number) => bar.update(done), stop: () => bar.stop() };
}

function describeFault({ name, label, variant, isTuned, difference }: KernelFault, kiln: KilnDevice): string {
  const by = Number.isFinite(difference) ? `differs by ${difference.toExponential(1)}` : "is no number";
  const places = label.split("  ").slice(1).join("  ");
  const remedy = isTuned
    ? "the cost model's variant is taken instead"
    : "its ops are computed by a kernel each from now on";
  return `the kernel \`${name}\` (${variant}) is wrong on ${kiln.name}: what it computes for ${places} ${by}; ${remedy}`;
}

async function isVerified(file: string | undefined, kiln: KilnDevice, hash: string): Promise<boolean> {
  if (file === undefined) return false;
  return tunedFor(await readTuningFile(file), kiln.adapter).verified.includes(hash);
}

async function remember(
  file: string | undefined,
  kiln: KilnDevice,
  found: { readonly hash?: string; readonly faults?: readonly KernelFault[] },
): Promise<void> {
  if (file === undefined) return;
  const { hash, faults = [] } = found;
  await updateTuningFile(file, kiln.adapter, {
    variants: Object.fromEntries(
      faults.filter(({ isTuned }) => !isTuned).map(({ key }) => [key, ONE_OP_A_KERNEL]),
    ),
    dropped: faults.filter(({ isTuned }) => isTuned).map(({ key }) => key),
    ...(hash !== undefined && { verified: hash }),
  });
}
