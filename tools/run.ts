import { runCli } from "./cli.ts";
import { explain } from "./failure.ts";

// A reader that has seen enough (`| head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

// What no command caught, in a thread or a callback, ends as words too.
process.on("uncaughtException", (thrown) => {
  const { exitCode, report } = explain(thrown);
  if (process.env.KILN_DEBUG) process.stderr.write(`${thrown.stack ?? ""}\n`);
  process.stderr.write(`error: ${report.message}\n`);
  if (report.hint !== undefined) process.stderr.write(`  hint: ${report.hint}\n`);
  process.exit(exitCode);
});

const code = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
});
// Dawn's threads may outlive their device: leave by hand once all is written.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
