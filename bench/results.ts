import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchResult } from "./measure.ts";
import { configurations } from "./training-task.ts";

/** Where results are kept: one file a device and configuration. */
export const resultsFolder = fileURLToPath(new URL("./results", import.meta.url));

/** `swiftshader-software-8x1000.json`. */
export function resultFileName(result: Pick<BenchResult, "device" | "name">): string {
  const device = result.device.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return `${device.replace(/^-|-$/g, "")}-${result.name}.json`;
}

/** The results of one device, in the order of the configurations; `tiny` is none to show. */
export function keptResults(folder: string, device: string): readonly BenchResult[] {
  const files = readdirSync(folder);
  return Object.keys(configurations).flatMap((name) => {
    const file = resultFileName({ device, name });
    return name !== "tiny" && files.includes(file) ? [readResult(join(folder, file))] : [];
  });
}

/** Names of the devices of which there are results. */
export function keptDevices(folder: string): readonly string[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];
  return [...new Set(files.map((file) => readResult(join(folder, file)).device))];
}

function readResult(path: string): BenchResult {
  return JSON.parse(readFileSync(path, "utf8"));
}
