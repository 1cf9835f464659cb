import { runGpuBench } from "./cli.ts";

const code = await runGpuBench(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
});
// Dawn's threads may outlive their device: leave by hand once all is written.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
