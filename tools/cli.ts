import { Command, CommanderError } from "commander";
import { compareDiagnostics, positionOf, renderDiagnostics } from "../compiler/diagnostics/index.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addClassifyCommand } from "./commands/classify.ts";
import { addCompareCommand } from "./commands/compare.ts";
import { addCompileCommand } from "./commands/compile.ts";
import { addEncodeCommand } from "./commands/encode.ts";
import { addEvalCommand } from "./commands/eval.ts";
import { addExportCommand } from "./commands/export.ts";
import { addFetchCommand } from "./commands/fetch.ts";
import { addFmtCommand } from "./commands/fmt.ts";
import { addGenerateCommand } from "./commands/generate.ts";
import { addImportCommand } from "./commands/import.ts";
import { addLspCommand } from "./commands/lsp.ts";
import { addPrepareCommand } from "./commands/prepare.ts";
import { addTokenizerCommand } from "./commands/tokenizer.ts";
import { addTrainCommand } from "./commands/train.ts";
import { addTuneCommand } from "./commands/tune.ts";
import { Console, type Streams } from "./console.ts";
import { type ErrorReport, type ExitCode, explain, SpecFailure } from "./failure.ts";
import type { CommonOptions } from "./options.ts";
import { paintDiagnostics } from "./spec.ts";
import { packageVersion } from "./version.ts";

/** Ctrl-C, as shells see it: 128 + SIGINT. */
export const interruptedExitCode = 130;

/**
 * Runs one command line.
 * @param args without the interpreter and the script
 * @returns the exit code: 0, 1 a person's mistake, 2 wrong usage, 3 the machine, 130 interrupted
 */
export async function runCli(args: readonly string[], streams: Streams): Promise<number> {
  const console = new Console(streams, args.includes("--json"));
  let code = 0;
  const open = (options: CommonOptions): Console => new Console(streams, options.json === true);
  const program = new Command("kiln")
    .description(
      "Write a transformer in a small language; train it on WebGPU with fused kernels the compiler generates.",
    )
    .version(packageVersion(), "-v, --version", "print the version")
    .helpCommand("help [command]", "print help for a command")
    .configureOutput({
      writeOut: (text) => streams.out.write(text),
      // Commander's own messages come back as a CommanderError: they are printed once, by `fail`.
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(console.columns, 110),
      getOutHasColors: () => console.colours.isColorSupported,
      outputError: () => {},
    })
    .exitOverride()
    .showSuggestionAfterError(true)
    .addHelpText("after", examples);
  addTrainCommand(program, open, (value) => {
    code = value;
  });
  addCompareCommand(program, open);
  addTuneCommand(program, open, (value) => {
    code = value;
  });
  addCheckCommand(program, open);
  addCompileCommand(program, open);
  addEncodeCommand(program, open);
  addClassifyCommand(program, open);
  addEvalCommand(program, open, (value) => {
    code = value;
  });
  addImportCommand(program, open);
  addExportCommand(program, open);
  addFmtCommand(program, open);
  addFetchCommand(program, open);
  addPrepareCommand(program, open, (value) => {
    code = value;
  });
  addGenerateCommand(program, open, (value) => {
    code = value;
  });
  addTokenizerCommand(program, open);
  addLspCommand(program);
  try {
    if (args.length === 0) {
      streams.err.write(program.helpInformation() + examples);
      return 2;
    }
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    if (streams.environment.KILN_DEBUG && thrown instanceof Error) console.note(thrown.stack ?? "");
    return fail(thrown, console);
  }
}

const examples = `
Examples:
  npx tsx tools/run.ts train models/bert-tiny.bert
  npx tsx tools/run.ts train models/bert-small.bert --corpus data/wikitext-2
  npx tsx tools/run.ts encode models/bert-small.bert --checkpoint out/bert-small/checkpoint.safetensors "a crane is flying"
`;

function fail(thrown: unknown, console: Console): ExitCode {
  if (thrown instanceof SpecFailure) {
    const diagnostics = [...thrown.diagnostics].sort(compareDiagnostics);
    console.note(paintDiagnostics(renderDiagnostics(diagnostics, thrown.sources), console));
    const reports = diagnostics
      .filter((diagnostic) => diagnostic.severity === "error")
      .map(({ message, primary, hint }): ErrorReport => {
        const { file, start } = primary.span;
        const source = thrown.sources.find((candidate) => candidate.name === file);
        const position = source === undefined ? {} : positionOf(source, start);
        return { message, file, ...position, ...(hint !== undefined && { hint }) };
      });
    if (reports.length > 1) console.note(`\n${reports.length} errors`);
    console.result({ error: reports[0], errors: reports });
    return 1;
  }
  const {
    exitCode,
    report: { details, ...report },
  } = explain(thrown);
  const { red, bold, cyan } = console.errorColours;
  console.note(`${bold(red("error"))}: ${report.message}`);
  if (report.hint !== undefined) console.note(`${cyan("  hint")}: ${report.hint}`);
  console.result({ error: report, ...details });
  return exitCode;
}
