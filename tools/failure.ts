import { CommanderError } from "commander";
import type { Diagnostic, SourceFile } from "../compiler/diagnostics/index.ts";
import { KilnError, messageOf } from "../runtime/errors.ts";

/** 1: a mistake in a spec, a file or data. 2: wrong usage of a command. 3: the machine (no device, no memory, a full disk). */
export type ExitCode = 1 | 2 | 3;

/** What `--json` prints for a failure, under the key `error`. */
export interface ErrorReport {
  readonly message: string;
  readonly file?: string;
  /** From 1, as are columns. */
  readonly line?: number;
  readonly column?: number;
  readonly hint?: string;
  /** What was found out nevertheless, beside the error in the JSON object. */
  readonly details?: object;
}

/** A failure found by a command itself. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: ExitCode;
  readonly report: ErrorReport;

  constructor(exitCode: ExitCode, report: ErrorReport) {
    super(report.message);
    this.exitCode = exitCode;
    this.report = report;
  }
}

/** A spec with errors; carries all of them, since a person wants to see them in one run. */
export class SpecFailure extends Error {
  override readonly name = "SpecFailure";
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: readonly SourceFile[];

  constructor(diagnostics: readonly Diagnostic[], sources: readonly SourceFile[]) {
    super(diagnostics[0]?.message ?? "the spec has errors");
    this.diagnostics = diagnostics;
    this.sources = sources;
  }
}

/** System errors that are a person's mistake in a path; all others (no space, no permission to map, ...) are the machine's. */
const pathMistakes: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "no such file or folder"],
  ["EISDIR", "is a folder, not a file"],
  ["ENOTDIR", "a part of the path is not a folder"],
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EEXIST", "exists already"],
]);

const machineTroubles: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "no space left on the disk"],
  ["EDQUOT", "the disk quota is used up"],
  ["EROFS", "the file system is read-only"],
  ["EMFILE", "too many open files"],
  ["ENOMEM", "not enough memory"],
  ["EIO", "the disk reported an error"],
]);

interface SystemError {
  readonly code: string;
  readonly path?: string;
}

function asSystemError(thrown: unknown): SystemError | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown) || typeof thrown.code !== "string") return undefined;
  const path = "path" in thrown && typeof thrown.path === "string" ? thrown.path : undefined;
  return { code: thrown.code, ...(path !== undefined && { path }) };
}

/** What became of whatever was thrown: an exit code and what to say of it. Never a stack trace. */
export function explain(thrown: unknown): { readonly exitCode: ExitCode; readonly report: ErrorReport } {
  if (thrown instanceof Failure) return { exitCode: thrown.exitCode, report: thrown.report };
  if (thrown instanceof KilnError) {
    const { message, hint } = thrown;
    return { exitCode: thrown.exitCode, report: { message, ...(hint !== undefined && { hint }) } };
  }
  if (thrown instanceof CommanderError) return { exitCode: 2, report: usageReport(thrown.message) };
  const system = asSystemError(thrown);
  if (system !== undefined) {
    const mistake = pathMistakes.get(system.code);
    const what = mistake ?? machineTroubles.get(system.code);
    if (what !== undefined) {
      const message = system.path === undefined ? what : `${system.path}: ${what}`;
      return { exitCode: mistake === undefined ? 3 : 1, report: { message } };
    }
  }
  if (
    thrown instanceof RangeError &&
    /array buffer allocation|invalid (typed )?array length/i.test(thrown.message)
  ) {
    return {
      exitCode: 3,
      report: { message: `not enough memory: ${thrown.message}`, hint: "use a smaller batch or model" },
    };
  }
  return {
    exitCode: 3,
    report: {
      message: `internal error: ${messageOf(thrown)}`,
      hint: "this is a bug in Kiln; run again with KILN_DEBUG=1 to see where, and report it with the spec",
    },
  };
}

/** Commander's words are `error: unknown option '--ste'\n(Did you mean --steps?)`. */
function usageReport(text: string): ErrorReport {
  const [first = "wrong usage", ...rest] = text.replace(/^error: /, "").split("\n");
  const hint = rest
    .join(" ")
    .trim()
    .replace(/^\((.*)\)$/, "$1");
  return {
    message: first,
    hint: hint === "" ? "--help lists what there is" : hint.replace(/^Did you mean/, "did you mean"),
  };
}
