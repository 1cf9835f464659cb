import { readFileSync, statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { hasErrors, renderDiagnostics } from "../compiler/diagnostics/index.ts";
import type { CompileOptions, CompileResult } from "../compiler/index.ts";
import type { DeviceProfile, Precision, Program } from "../compiler/program/index.ts";
import type { Console } from "./console.ts";
import { Failure, SpecFailure } from "./failure.ts";
import type { ChosenTuning } from "./tuning/choose-tuning.ts";

/** The folder that holds the shipped `lib/`. */
export const shippedFolder = fileURLToPath(new URL("../models", import.meta.url));

/** A spec of a page or two is a few KiB; a text beyond this is no spec. */
const specLimitBytes = 4 * 1024 * 1024;

/**
 * Reads a text file a person named or a spec imports.
 * @returns undefined where there is no such file
 * @throws Failure for what is there but is no UTF-8 text of reasonable size
 */
export function readTextFile(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.isDirectory()) throw new Failure(1, { message: `${path} is a folder, not a file`, file: path });
  // A device or a pipe could go on for ever.
  if (!found.isFile()) throw new Failure(1, { message: `${path} is not a regular file`, file: path });
  if (found.size > specLimitBytes) {
    throw new Failure(1, {
      message: `${path} is too large for a spec (${found.size} bytes)`,
      file: path,
      hint: "the limit is 4 MiB",
    });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new Failure(1, {
      message: `${path} is not UTF-8 text`,
      file: path,
      hint: "save it as UTF-8, or name another file",
    });
  }
}

/** As `readTextFile`, for a file that must be there. */
export function requireTextFile(path: string, hint?: string): string {
  const text = readTextFile(path);
  if (text !== undefined) return text;
  throw new Failure(1, { message: `${path}: no such file`, file: path, ...(hint !== undefined && { hint }) });
}

/** How the compiler gets at texts: the spec's own files, and the shipped library by names such as `lib/bert.bert`. */
export interface SourceLoader {
  readonly load: (path: string) => string | undefined;
  readonly library: (path: string) => string | undefined;
}

/** From the disk; paths as a person gives them, from the working directory. */
export const diskLoader: SourceLoader = {
  load: readTextFile,
  library: (path) => {
    const shipped = resolve(shippedFolder, path);
    return relative(shippedFolder, shipped).startsWith("..") ? undefined : readTextFile(shipped);
  },
};

/** From the sources that a program or checkpoint carries, wherever it lies now. */
export function carriedLoader(sources: Program["sources"]): SourceLoader {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const load = (path: string): string | undefined => texts.get(path);
  return { load, library: load };
}

export interface SpecCompilation {
  readonly profile: DeviceProfile;
  readonly settings: Readonly<Record<string, string>>;
  readonly fuse?: boolean;
  /** Fusion rules to switch off. */
  readonly without?: CompileOptions["without"];
  /** Bytes that all buffers of the program together may take. */
  readonly memoryBytes?: number | undefined;
  /** Default: none, the cost model decides. */
  readonly tuning?: ChosenTuning | undefined;
  readonly precision?: Precision | undefined;
  readonly data?: Readonly<Record<string, number>>;
  readonly entries?: CompileOptions["entries"];
  /** Outputs and heads that `encode` computes. Default: all outputs. */
  readonly outputs?: readonly string[];
  /** Default: the disk. */
  readonly loader?: SourceLoader;
}

/** A compilation without errors: what the compiler leaves open is there. */
export type Compiled = CompileResult & Required<Pick<CompileResult, "program" | "summary">>;

/**
 * Compiles a spec; warnings are said on standard error.
 * @throws SpecFailure with all errors of the spec
 */
export async function compileSpec(
  path: string,
  console: Console,
  options: SpecCompilation,
): Promise<Compiled> {
  const { compile } = await import("../compiler/index.ts");
  if (options.loader === undefined)
    requireTextFile(path, "name a .bert file, for instance models/bert-tiny.bert");
  const result = compile(path, {
    ...(options.loader ?? diskLoader),
    settings: options.settings,
    profile: options.profile,
    ...(options.fuse !== undefined && { fuse: options.fuse }),
    ...(options.without !== undefined && { without: options.without }),
    ...(options.memoryBytes !== undefined && { memoryBytes: options.memoryBytes }),
    ...(options.tuning !== undefined && { tuning: options.tuning.variants, unknownVariants: "ignore" }),
    ...(options.precision !== undefined && { precision: options.precision }),
    ...(options.data !== undefined && { data: options.data }),
    ...(options.entries !== undefined && { entries: options.entries }),
    ...(options.outputs !== undefined && { outputs: options.outputs }),
  });
  reportDiagnostics(result, console);
  options.tuning?.noteIgnored(result.ignoredTuning);
  const { program, summary } = result;
  if (program === undefined || summary === undefined) {
    throw new Failure(1, {
      message: `${path} describes no model to train`,
      file: path,
      hint: "add a `model` and a `train` block",
    });
  }
  return { ...result, program, summary };
}

/** @throws SpecFailure for errors; notes warnings */
export function reportDiagnostics(
  result: Pick<CompileResult, "diagnostics" | "sources">,
  console: Console,
): void {
  if (hasErrors(result.diagnostics)) throw new SpecFailure(result.diagnostics, result.sources);
  if (result.diagnostics.length > 0)
    console.note(paintDiagnostics(renderDiagnostics(result.diagnostics, result.sources), console));
}

/** Colours a rendered message: the severity, the underlining, the hint. */
export function paintDiagnostics(text: string, console: Console): string {
  const { red, yellow, cyan, bold, dim } = console.errorColours;
  return text
    .split("\n")
    .map((line) =>
      line
        .replace(/^error: (.*)$/, (_, message: string) => bold(`${red("error")}: ${message}`))
        .replace(/^warning: (.*)$/, (_, message: string) => bold(`${yellow("warning")}: ${message}`))
        .replace(/^( *(?:-->|:::) .*)$/, (whole) => dim(whole))
        .replace(/^( *= hint:)/, (whole) => cyan(whole)),
    )
    .join("\n");
}
