import { dirname, isAbsolute, join } from "node:path";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { OpenOptions } from "../../runtime/data/index.ts";
import type { InitReport } from "../../runtime/train/index.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { formatCount } from "../terminal/units.ts";
import { readGivenTokenizer } from "../tokenizers.ts";

/** What a run begins with: nothing, a run to go on with, or another model's parameters. */
export interface RunStart {
  readonly resume?: Checkpoint;
  readonly init?: Checkpoint;
}

export interface StartOptions {
  readonly resume?: string;
  readonly init?: string;
  /** A tokenizer's file or folder. */
  readonly tokenizer?: string;
}

/** @throws Failure for both at once */
export async function openResume({ resume, init }: StartOptions): Promise<Checkpoint | undefined> {
  if (resume === undefined) return undefined;
  if (init !== undefined) {
    throw new Failure(2, {
      message: "--resume goes on with a run, --init starts one: not both",
      hint: "leave one of them out",
    });
  }
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  return loadCheckpoint(resume);
}

/** The checkpoint that `--init` names, else the spec's `init from`, whose path is relative to the spec. */
export async function openInit(
  spec: string,
  program: Program,
  { init }: StartOptions,
): Promise<Checkpoint | undefined> {
  const { initFrom } = program.settings;
  const fromSpec = initFrom === undefined || isAbsolute(initFrom) ? initFrom : join(dirname(spec), initFrom);
  const path = init ?? fromSpec;
  if (path === undefined) return undefined;
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  return loadCheckpoint(path);
}

/**
 * How a run reads text: as the checkpoint it begins with did, or with what the command line names; else as the spec says. Classes
 * are a run's own: another model's need not be the same.
 * @throws Failure for a tokenizer beside a checkpoint, which has its own
 */
export async function readingOf(
  { resume, init }: RunStart,
  { tokenizer: path }: StartOptions,
): Promise<Pick<OpenOptions, "vocabulary" | "tokenizer" | "labels">> {
  const source = resume ?? init;
  if (source === undefined) {
    return path === undefined ? {} : readGivenTokenizer(path);
  }
  if (path !== undefined) {
    throw new Failure(2, {
      message: `${source.path} has a tokenizer of its own: --tokenizer comes too late`,
      hint: "leave it out, or start a new run",
    });
  }
  return {
    vocabulary: source.vocabulary,
    ...(source.tokenizer !== undefined && { tokenizer: source.tokenizer }),
    ...(resume?.labels !== undefined && { labels: resume.labels }),
  };
}

/** Says what a run took from another model, and what not. */
export function describeInit(init: Checkpoint, report: InitReport, console: Console): void {
  const { taken, fresh, unused } = report;
  const all = taken.length + fresh.length;
  console.say(`started from ${init.path}: ${formatCount(taken.length)} of ${formatCount(all)} parameters`);
  if (fresh.length > 0) console.say(`  drawn anew: ${listed(fresh)}`);
  if (unused.length > 0) console.say(`  not used: ${listed(unused)}`);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 4);
  return shown.join(", ") + (names.length > shown.length ? ` and ${names.length - shown.length} more` : "");
}
