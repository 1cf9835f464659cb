import { runCli } from "./cli.ts";

// A reader that has seen enough (`| head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

const code = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
});
// Dawn's threads may outlive their device: leave by hand once all is written.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
