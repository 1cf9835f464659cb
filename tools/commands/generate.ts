import { open as openFile, rename, rm, stat } from "node:fs/promises";
import type { Command } from "commander";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { watchInterrupt } from "../interrupt.ts";
import { byteSize, type CommonOptions, wholeNumber, withJson } from "../options.ts";
import { showBytes } from "../terminal/bytes-bar.ts";
import { formatBytes } from "../terminal/units.ts";

interface GenerateOptions extends CommonOptions {
  readonly bytes: number;
  readonly output: string;
  readonly seed: number;
  readonly force?: boolean;
}

export function addGenerateCommand(
  program: Command,
  open: (options: CommonOptions) => Console,
  setExitCode: (code: number) => void,
): void {
  withJson(program.command("generate"))
    .summary("write text of the built-in grammar")
    .description(
      "Writes text of the grammar that `train` draws its corpus from, of any size, in the form of WikiText's files: " +
        "a paragraph a line. For trying what large corpora do.",
    )
    .requiredOption(
      "--bytes <size>",
      "how much, for instance 300MB or 5GB; the last line ends there or shortly after",
      byteSize,
    )
    .requiredOption("-o, --output <file>", "where it goes")
    .option("--seed <n>", "the same seed gives the same text", wholeNumber(0, 0xffff_ffff), 0)
    .option("--force", "write over a file that is there")
    .action(async (options: GenerateOptions) => {
      setExitCode(await generate(options, open(options)));
    });
}

async function generate({ bytes, output, seed, force }: GenerateOptions, console: Console): Promise<number> {
  const { grammarText } = await import("../../runtime/data/index.ts");
  if (force !== true && (await stat(output).catch(() => undefined)) !== undefined) {
    throw new Failure(1, {
      message: `${output} exists already`,
      file: output,
      hint: "--force writes over it",
    });
  }
  const partial = `${output}.${process.pid}.partial`;
  const bar = showBytes(console, bytes);
  const interrupt = watchInterrupt(() => {});
  const file = await openFile(partial, "w");
  let written = 0;
  try {
    for (const piece of grammarText(seed)) {
      written += (await file.write(piece)).bytesWritten;
      bar.update(written, "writing");
      if (written >= bytes || interrupt.signal.aborted) break;
    }
    await file.close();
    if (interrupt.exitCode === undefined) await rename(partial, output);
  } finally {
    bar.stop();
    interrupt.dispose();
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
  }
  if (interrupt.exitCode !== undefined) {
    console.note("stopped: nothing was written");
    return interrupt.exitCode;
  }
  console.result({ file: output, bytes: written, seed });
  console.say(`wrote ${output}, ${formatBytes(written)}`);
  return 0;
}
