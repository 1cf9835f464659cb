import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { byteSize } from "../../tools/options.ts";
import { formatBytes, formatDuration } from "../../tools/terminal/units.ts";

/*
 * `npm run test:corpora`: generates a corpus, prepares it and trains on it, each in a process of its own, and fails if one of them
 * takes more memory than a corpus of any size may. Too long for every run of the tests; `-- --bytes 5GB` takes half an hour.
 */

/** Of a process, all threads: what a machine with 2 GB has to spare. */
const mostBytes = 1e9;
const steps = 20;

const { bytes, keep } = new Command("test:corpora")
  .option("--bytes <size>", "text to generate", byteSize, 300e6)
  .option("--keep", "leave the files in the temporary folder")
  .parse()
  .opts<{ bytes: number; keep?: boolean }>();

const folder = mkdtempSync(join(tmpdir(), "kiln-corpora-"));
const text = join(folder, "text.txt");
const prepared = join(folder, "prepared");
try {
  await measured("generate", ["generate", "--bytes", String(bytes), "-o", text]);
  await measured("prepare", ["prepare", text, "-o", prepared]);
  const shards = readdirSync(prepared).filter((name) => name.endsWith(".shard"));
  const written = shards.reduce((sum, name) => sum + statSync(join(prepared, name)).size, 0);
  process.stdout.write(
    `${formatBytes(statSync(text).size)} of text, ${shards.length} shards of ${formatBytes(written)}\n`,
  );
  const train = ["train", "models/bert-tiny.bert", "--corpus", prepared, "--steps", String(steps)];
  await measured("train", [...train, "--device", "software", "--out", join(folder, "out")]);
} finally {
  if (keep === true) process.stdout.write(`kept: ${folder}\n`);
  else rmSync(folder, { recursive: true });
}

/** Runs a command of tools/run and says how long it took and what memory; throws where that is too much. */
async function measured(name: string, args: readonly string[]): Promise<void> {
  const peakFile = join(folder, `${name}.peak`);
  const started = performance.now();
  const code = await new Promise<number | null>((resolve, reject) => {
    const imports = ["--import", "tsx", "--import", "./test/corpora/report-peak.mjs"];
    const child = spawn(process.execPath, [...imports, "tools/run.ts", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, KILN_PEAK: peakFile, KILN_TUNING: "none" },
    });
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`${name} ended with code ${code}`);
  const peak = Number(readFileSync(peakFile, "utf8"));
  process.stdout.write(
    `${name}: ${formatDuration(performance.now() - started)}, at most ${formatBytes(peak)} of memory\n`,
  );
  if (peak > mostBytes)
    throw new Error(`${name} took ${formatBytes(peak)}, and may take ${formatBytes(mostBytes)}`);
}
