import type { Tuning } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { formatCount } from "../terminal/units.ts";
import { defaultTuningPath, readTuningFile, TuningFileError, tunedFor } from "./tuning-file.ts";

/** Measured choices to compile with. */
export interface ChosenTuning {
  readonly variants: Tuning;
  /** Tells a person, once, of choices that were left out because the kernels have no such variant. */
  readonly noteIgnored: (ignored: Tuning | undefined) => void;
}

/** No choices: what a search begins with. */
export const noTuning: ChosenTuning = { variants: {}, noteIgnored: () => {} };

/**
 * The choices for a device: of the file that was named, else of the person's cache.
 * @param option `--tuning`: a file, `none`, or undefined
 * @returns undefined where there are none for this device
 * @throws Failure for a named file that is not there or is none; the cache is then warned of and left out
 */
export async function chooseTuning(
  option: string | undefined,
  kiln: Pick<KilnDevice, "adapter" | "name">,
  console: Console,
): Promise<ChosenTuning | undefined> {
  if (option === "none") return undefined;
  const path = option ?? defaultTuningPath();
  if (path === undefined) return undefined;
  const isNamed = option !== undefined;
  try {
    const file = await readTuningFile(path);
    if (file === undefined && isNamed) {
      throw new Failure(1, {
        message: `${path}: no such file`,
        file: path,
        hint: `write it with: npx tsx tools/run.ts tune SPEC -o ${path}`,
      });
    }
    const { variants } = tunedFor(file, kiln.adapter);
    if (Object.keys(variants).length > 0) return chosen(variants, path, console);
    if (isNamed) console.note(`${path} has nothing for ${kiln.name}`);
    return undefined;
  } catch (thrown) {
    if (isNamed || !(thrown instanceof TuningFileError)) throw thrown;
    console.note(`warning: ${thrown.message}; it is left as it is and not used`);
    return undefined;
  }
}

/**
 * The choices to go on with: those of the checkpoint, none included, so that a resumed run is bitwise the one that was not
 * interrupted; others only where a person names them.
 */
export async function chooseForResume(
  option: string | undefined,
  checkpoint: Checkpoint,
  kiln: Pick<KilnDevice, "adapter" | "name">,
  console: Console,
): Promise<ChosenTuning | undefined> {
  if (option !== undefined) return chooseTuning(option, kiln, console);
  return checkpoint.tuning === undefined ? undefined : chosen(checkpoint.tuning, checkpoint.path, console);
}

function chosen(variants: Tuning, path: string, console: Console): ChosenTuning {
  let isTold = false;
  return {
    variants,
    noteIgnored: (ignored) => {
      const count = Object.keys(ignored ?? {}).length;
      if (count === 0 || isTold) return;
      isTold = true;
      const choices = count === 1 ? "one choice" : `${formatCount(count)} choices`;
      console.note(`${choices} of ${path} left out: the kernels have no such variant here; \`tune\` again`);
    },
  };
}
