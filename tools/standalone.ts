import { type Command, CommanderError } from "commander";
import type { Console, Streams } from "./console.ts";
import { explain } from "./failure.ts";

/**
 * Runs a program of a single command, such as a benchmark.
 * @param command with its options and what it does
 * @param args without the interpreter and the script
 * @returns the exit code: what `code` says after it ended; 1 a person's mistake, 2 wrong usage, 3 the machine
 */
export async function runStandalone(
  command: Command,
  args: readonly string[],
  console: Console,
  streams: Streams,
  code: () => number = () => 0,
): Promise<number> {
  command
    .configureOutput({
      writeOut: (text) => streams.out.write(text),
      // Commander's own messages come back as a CommanderError: they are printed once, below.
      writeErr: () => {},
      outputError: () => {},
    })
    .exitOverride();
  try {
    await command.parseAsync([...args], { from: "user" });
    return code();
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const {
      exitCode,
      report: { details, ...report },
    } = explain(thrown);
    if (streams.environment.KILN_DEBUG && thrown instanceof Error) console.note(thrown.stack ?? "");
    console.note(`error: ${report.message}`);
    if (report.hint !== undefined) console.note(`  hint: ${report.hint}`);
    console.result({ error: report, ...details });
    return exitCode;
  }
}
