import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { writeAtomically } from "../atomic-file.ts";
import type { Console } from "../console.ts";
import { Failure, SpecFailure } from "../failure.ts";
import { type CommonOptions, withJson } from "../options.ts";
import { requireTextFile } from "../spec.ts";

interface FmtOptions extends CommonOptions {
  readonly check?: boolean;
}

export function addFmtCommand(program: Command, open: (options: CommonOptions) => Console): void {
  withJson(program.command("fmt").argument("<files...>", ".bert files, or folders of them"))
    .summary("format specs in place, keeping comments")
    .description("Formats specs in place. Comments stay. Formatting twice changes nothing more.")
    .option("--check", "change nothing; exit with code 1 if a file is not formatted")
    .action(async (files: string[], options: FmtOptions) => {
      await fmt(files, options, open(options));
    });
}

async function fmt(names: readonly string[], options: FmtOptions, console: Console): Promise<void> {
  const { format } = await import("../../compiler/syntax/index.ts");
  const files = names.flatMap(specsUnder);
  const changed: string[] = [];
  const diagnostics: SpecFailure["diagnostics"][number][] = [];
  const broken: SpecFailure["sources"][number][] = [];
  for (const file of files) {
    const text = requireTextFile(file);
    const result = format({ name: file, text });
    if (result.kind === "errors") {
      diagnostics.push(...result.diagnostics);
      broken.push({ name: file, text });
      continue;
    }
    if (result.text === text) continue;
    changed.push(file);
    if (options.check !== true) await writeAtomically(file, result.text);
    console.say(options.check === true ? `${file} is not formatted` : `formatted ${file}`);
  }
  if (broken.length > 0) throw new SpecFailure(diagnostics, broken);
  if (options.check === true && changed.length > 0) {
    const hint = `run: npx tsx tools/run.ts fmt ${names.join(" ")}`;
    const message =
      changed.length === 1 ? `${changed[0]} is not formatted` : `${changed.length} files are not formatted`;
    throw new Failure(1, { message, ...(changed[0] !== undefined && { file: changed[0] }), hint });
  }
  if (changed.length === 0)
    console.say(files.length === 1 ? "1 file, already formatted" : `${files.length} files, all formatted`);
  console.result({ files, changed });
}

/** A file as it is; of a folder, all `.bert` files below it in a stable order. */
function specsUnder(name: string): string[] {
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true) return [name];
  return readdirSync(name, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && entry.name !== "node_modules")
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(name, entry.name);
      if (entry.isDirectory()) return specsUnder(path);
      return entry.isFile() && entry.name.endsWith(".bert") ? [path] : [];
    });
}
