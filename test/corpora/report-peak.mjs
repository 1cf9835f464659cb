// Loaded into a process with `--import`: leaves the most memory that it had, all threads together, in the file that KILN_PEAK names.
import { writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

if (isMainThread && process.env.KILN_PEAK !== undefined) {
  const path = process.env.KILN_PEAK;
  // KiB, on every system.
  process.on("exit", () => writeFileSync(path, String(process.resourceUsage().maxRSS * 1024)));
}
