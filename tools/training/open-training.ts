import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Console } from "../console.ts";
import type { PlanOptions } from "../options.ts";
import { compiledAlready, isProgramFile, type OpenedProgram, openProgram } from "../programs.ts";
import { compileSpec } from "../spec.ts";
import { chooseForResume, chooseTuning, noTuning } from "../tuning/choose-tuning.ts";
import { compileVerified, type Verified, verifiedFile } from "../verify/compile-verified.ts";

export interface TrainingOptions extends PlanOptions {
  readonly fuse: boolean;
  readonly verify?: boolean;
}

export interface OpenedTraining extends OpenedProgram {
  /** Given with `--verify`. */
  readonly verified?: Verified;
}

/**
 * The program to train: compiled as the options, the checkpoint and what was measured on the device have it, or read from a file.
 * @throws Failure for options that come too late for a program file
 */
export async function openTraining(
  spec: string,
  options: TrainingOptions,
  kiln: KilnDevice,
  resume: Checkpoint | undefined,
  console: Console,
): Promise<OpenedTraining> {
  const isProgram = isProgramFile(spec);
  if (isProgram && options.tuning !== undefined) throw compiledAlready(spec, "--tuning comes");
  if (isProgram && options.verify === true) throw compiledAlready(spec, "--verify comes");
  const tuning = isProgram
    ? undefined
    : resume === undefined
      ? await chooseTuning(options.tuning, kiln, console)
      : await chooseForResume(options.tuning, resume, kiln, console);
  const compilation = {
    profile: kiln.profile,
    settings: { ...resume?.overrides, ...options.set },
    fuse: options.fuse,
    memoryBytes: options.memory ?? (isProgram ? undefined : resume?.memoryBytes),
    precision: options.precision ?? (isProgram ? undefined : resume?.precision),
    tuning,
  };
  if (options.verify !== true) return openProgram(spec, console, compilation);
  const verified = await compileVerified({
    kiln,
    console,
    entries: ["accumulate", "train", "evaluate"],
    tuning: tuning?.variants ?? {},
    file: await verifiedFile(options.tuning),
    compile: (variants) =>
      compileSpec(spec, console, { ...compilation, tuning: { ...(tuning ?? noTuning), variants } }),
  });
  return { ...verified.compiled, verified };
}
