import { readFile } from "node:fs/promises";
import { join } from "node:path";
import envPaths from "env-paths";
import type { Tuning } from "../../compiler/program/index.ts";
import type { AdapterIdentity } from "../../runtime/device/index.ts";
import { messageOf } from "../../runtime/errors.ts";
import { writeAtomically } from "../atomic-file.ts";
import { Failure } from "../failure.ts";

/** A file of measured choices, for any number of adapters: it can be copied to other machines. */
export interface TuningFile {
  readonly format: "kiln-tuning";
  readonly version: 1;
  readonly adapters: readonly TunedAdapter[];
}

/** What is known of one adapter. */
export interface TunedAdapter {
  readonly adapter: AdapterIdentity;
  /** Sorted by key, so that files of equal content are equal. */
  readonly variants: Tuning;
  /** Hashes of programs whose kernels were compared with their ops one by one there, the latest last. */
  readonly verified: readonly string[];
}

/** Changes to what is known of an adapter. */
export interface TuningChanges {
  /** Kernel key to variant: in place of earlier choices for the same kernels. */
  readonly variants: Tuning;
  /** Keys whose earlier choice no longer holds. */
  readonly dropped: readonly string[];
  /** The hash of a program that was found right. */
  readonly verified?: string;
}

/** Programs that are remembered as verified: enough for a person's models in all their sizes. */
const MOST_VERIFIED = 200;

/**
 * Where choices are kept if nobody says otherwise: `KILN_TUNING`, else a file in the person's cache folder.
 * @returns undefined where `KILN_TUNING` is `none`
 */
export function defaultTuningPath(): string | undefined {
  const { KILN_TUNING } = process.env;
  if (KILN_TUNING === "none") return undefined;
  if (KILN_TUNING !== undefined && KILN_TUNING !== "") return KILN_TUNING;
  return join(envPaths("kiln", { suffix: "" }).cache, "tuning.json");
}

/**
 * Reads a file of choices.
 * @returns undefined where there is none
 * @throws TuningFileError naming the file and what is wrong with it
 */
export async function readTuningFile(path: string): Promise<TuningFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw new TuningFileError(path, `it cannot be read: ${messageOf(thrown)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TuningFileError(path, "it is no JSON");
  }
  if (!isRecord(value) || value.format !== "kiln-tuning")
    throw new TuningFileError(path, 'it has no `"format": "kiln-tuning"`');
  if (value.version !== 1)
    throw new TuningFileError(path, `it has version ${String(value.version)}, this Kiln reads version 1`);
  if (!isTuningFile(value)) throw new TuningFileError(path, "fields are missing or of another type");
  return value;
}

/** A file that cannot be used. It is left as it is: whoever wrote it may want it back. */
export class TuningFileError extends Failure {
  constructor(path: string, reason: string) {
    super(1, {
      message: `${path} is not a tuning file: ${reason}`,
      file: path,
      hint: "move it away, or name another with --tuning or KILN_TUNING",
    });
  }
}

/** What a file says about an adapter; nothing where it was not measured. */
export function tunedFor(file: TuningFile | undefined, adapter: AdapterIdentity): TunedAdapter {
  return (
    file?.adapters.find((tuned) => isSame(tuned.adapter, adapter)) ?? { adapter, variants: {}, verified: [] }
  );
}

/**
 * Writes what was found out about an adapter into a file, beside what is there of others.
 * @throws TuningFileError where something else is at that path
 */
export async function updateTuningFile(
  path: string,
  adapter: AdapterIdentity,
  { variants: found, dropped, verified }: TuningChanges,
): Promise<void> {
  // Read again: another run may have written since.
  const file = await readTuningFile(path);
  const earlier = tunedFor(file, adapter);
  const variants = Object.entries({ ...earlier.variants, ...found })
    .filter(([key]) => Object.hasOwn(found, key) || !dropped.includes(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const others = (file?.adapters ?? []).filter((tuned) => !isSame(tuned.adapter, adapter));
  const made: TuningFile = {
    format: "kiln-tuning",
    version: 1,
    adapters: [
      ...others,
      {
        ...earlier,
        variants: Object.fromEntries(variants),
        verified: [
          ...earlier.verified.filter((hash) => hash !== verified),
          ...(verified === undefined ? [] : [verified]),
        ].slice(-MOST_VERIFIED),
      },
    ],
  };
  await writeAtomically(path, `${JSON.stringify(made, undefined, 2)}\n`);
}

/** A driver's update may change what is fastest, so its description counts as well. */
function isSame(a: AdapterIdentity, b: AdapterIdentity): boolean {
  return (
    a.vendor === b.vendor &&
    a.architecture === b.architecture &&
    a.device === b.device &&
    a.description === b.description
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTuningFile(value: Record<string, unknown>): value is Record<string, unknown> & TuningFile {
  const { adapters } = value;
  return (
    Array.isArray(adapters) &&
    adapters.every((tuned: unknown) => {
      if (!isRecord(tuned) || !isRecord(tuned.adapter) || !isRecord(tuned.variants)) return false;
      if (!Array.isArray(tuned.verified)) return false;
      const { vendor, architecture, device, description } = tuned.adapter;
      const texts = [
        vendor,
        architecture,
        device,
        description,
        ...Object.values(tuned.variants),
        ...tuned.verified,
      ];
      return texts.every((text) => typeof text === "string");
    })
  );
}
