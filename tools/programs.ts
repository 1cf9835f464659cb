import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { CompileResult } from "../compiler/index.ts";
import type { DeviceProfile, Program } from "../compiler/program/index.ts";
import type { Console } from "./console.ts";
import { Failure } from "./failure.ts";
import { compileSpec, type SpecCompilation } from "./spec.ts";

/** `models/bert-tiny.bert` and `bert-tiny.kiln.json` are both `bert-tiny`. */
export function shortName(path: string): string {
  return basename(path).replace(/(\.kiln)?\.json$|\.bert$/, "") || "run";
}

export function isProgramFile(path: string): boolean {
  return path.endsWith(".json");
}

export interface OpenedProgram {
  readonly program: Program;
  /** What a memory limit made of the plan, where it was compiled here with one. */
  readonly memory?: CompileResult["memory"];
}

/** @param options what comes too late, with a verb: `--tuning comes` */
export function compiledAlready(path: string, options: string): Failure {
  return new Failure(2, {
    message: `${path} is compiled already: ${options} too late`,
    hint: "give the .bert file, or compile it again with them",
  });
}

/**
 * A program to run: compiled from a spec, or read from a file that `compile --emit program` wrote, without the compiler.
 * @throws Failure for a program file with settings to override, and for one that is damaged
 */
export async function openProgram(
  path: string,
  console: Console,
  options: Omit<SpecCompilation, "profile"> & { readonly profile: DeviceProfile },
): Promise<OpenedProgram> {
  if (!isProgramFile(path)) return await compileSpec(path, console, options);
  const isOverridden =
    Object.keys(options.settings).length > 0 ||
    options.memoryBytes !== undefined ||
    options.precision !== undefined;
  if (isOverridden || options.fuse === false) {
    throw compiledAlready(path, "--set, --memory, --precision and --no-fuse come");
  }
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    throw new Failure(1, { message: `${path}: no such file`, file: path });
  const { parseProgram } = await import("../compiler/program/index.ts");
  try {
    return { program: parseProgram(readFileSync(path, "utf8")) };
  } catch (thrown) {
    if (!(thrown instanceof Error) || "code" in thrown) throw thrown;
    throw new Failure(1, {
      message: `${path} is not a compiled program: ${thrown.message}`,
      file: path,
      hint: "write one with: npx tsx tools/run.ts compile SPEC --emit program -o FILE",
    });
  }
}
