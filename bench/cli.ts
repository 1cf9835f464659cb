import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { writeAtomically } from "../tools/atomic-file.ts";
import { Console, type Streams } from "../tools/console.ts";
import { Failure } from "../tools/failure.ts";
import { wholeNumber, withJson } from "../tools/options.ts";
import { runStandalone } from "../tools/standalone.ts";
import { renderTable } from "../tools/terminal/table.ts";
import { type FrameworkName, frameworkNames } from "./framework.ts";
import { type BenchResult, measure } from "./measure.ts";
import { figureTable, withTables } from "./report.ts";
import { keptResults, resultFileName, resultsFolder } from "./results.ts";
import { type ConfigurationName, configurations } from "./training-task.ts";

interface BenchOptions {
  readonly config: readonly ConfigurationName[];
  readonly frameworks: readonly FrameworkName[];
  readonly steps: number;
  readonly seed: number;
  readonly device: "auto" | "software";
  readonly output: string;
  readonly readme: boolean;
  readonly json: boolean;
}

const configurationNames = Object.keys(configurations).filter(isConfigurationName);
const defaultConfigurations: readonly ConfigurationName[] = ["8x1000", "16x8000"];
const readmePath = fileURLToPath(new URL("../README.md", import.meta.url));

/**
 * Runs `npm run bench`.
 * @param args without the interpreter and the script
 * @returns the exit code: 0; 1 when the frameworks' losses differ; 2 wrong usage; 3 the machine
 */
export async function runBench(args: readonly string[], streams: Streams): Promise<number> {
  const console = new Console(streams, args.includes("--json"));
  let code = 0;
  const program = withJson(new Command("bench"))
    .description(
      "Trains a small BERT with Kiln, jax-js and TensorFlow.js, in turns on one device, from the same weights on the same batches.",
    )
    .option(
      "--config <names>",
      `batch x vocabulary, separated by commas: ${configurationNames.join(", ")}`,
      listOf(configurationNames),
      defaultConfigurations,
    )
    .option(
      "--frameworks <names>",
      `separated by commas: ${frameworkNames.join(", ")}; Kiln always runs`,
      listOf(frameworkNames),
      frameworkNames,
    )
    .option("--steps <n>", "timed steps of each, after the first", wholeNumber(1), 5)
    .option("--seed <n>", "seed of weights and batches", wholeNumber(0, 0xffff_ffff), 0)
    .addOption(
      new Option("--device <which>", "auto: a real GPU where there is one; software: the embedded device")
        .choices(["auto", "software"])
        .default("auto"),
    )
    .option("--output <folder>", "where the results go", resultsFolder)
    .option("--readme", "put the tables of this device's results into README.md", false)
    .action(async (options: BenchOptions) => {
      code = await bench(options, console);
    });
  return await runStandalone(program, args, console, streams, () => code);
}

function listOf<Name extends string>(names: readonly Name[]): (text: string) => readonly Name[] {
  return (text) =>
    text.split(",").map((word) => {
      const found = names.find((name) => name === word.trim());
      if (found === undefined) throw new InvalidArgumentError(`There is ${names.join(", ")}.`);
      return found;
    });
}

function isConfigurationName(name: string): name is ConfigurationName {
  return name in configurations;
}

async function bench(options: BenchOptions, console: Console): Promise<number> {
  const [only, ...others] = options.config;
  if (only === undefined) throw new Error("there is a configuration");
  if (others.length === 0) {
    console.result(await measureOne(only, options, console));
    return 0;
  }
  const results: unknown[] = [];
  for (const name of options.config) {
    const { code, result } = await measureApart(name, options, console);
    if (code !== 0) {
      if (result !== undefined) console.result(result);
      return code;
    }
    results.push(result);
  }
  console.result({ results });
  return 0;
}

/** Measures one configuration in this process and writes its file. */
async function measureOne(
  name: ConfigurationName,
  options: BenchOptions,
  console: Console,
): Promise<BenchResult> {
  const result = await measure({
    name,
    configuration: configurations[name],
    frameworks: options.frameworks,
    steps: options.steps,
    device: options.device,
    seed: options.seed,
    note: (text) => console.note(text),
  });
  const { titles, rows } = figureTable(result);
  const columns = titles.map((title, index) => ({ title, align: index === 0 ? "left" : "right" }) as const);
  console.say(`\n${renderTable(columns, rows)}`);
  console.say(`\n${requireEqualLosses(result)}`);
  await writeAtomically(join(options.output, resultFileName(result)), `${JSON.stringify(result, null, 2)}\n`);
  if (options.readme) {
    const results = keptResults(options.output, result.device);
    await writeAtomically(readmePath, withTables(readFileSync(readmePath, "utf8"), results));
  }
  return result;
}

/**
 * Frameworks that do not compute the same are not compared.
 * @returns what to say of the losses
 * @throws Failure 1 when they differ by more than is allowed, or are none
 */
export function requireEqualLosses(result: BenchResult): string {
  const { lossDifference, lossTolerance } = result;
  const words = `losses differ by ${lossDifference.toExponential(1)} at most (relative; ${lossTolerance.toExponential(0)} is allowed)`;
  if (lossDifference <= lossTolerance) return words;
  throw new Failure(1, { message: `the frameworks do not compute the same: ${words}`, details: result });
}

/**
 * Measures in a process of its own, so that each configuration starts cold: code, pipelines and buffers. It says what there is
 * to say, errors too.
 * @returns its exit code and, with `--json`, its object
 */
async function measureApart(
  name: ConfigurationName,
  options: BenchOptions,
  console: Console,
): Promise<{ readonly code: number; readonly result?: object }> {
  console.note(`\n${name}`);
  const script = fileURLToPath(new URL("./run.ts", import.meta.url));
  const args = [
    ...[...process.execArgv, script, "--config", name, "--frameworks", options.frameworks.join()],
    ...["--steps", String(options.steps), "--seed", String(options.seed), "--device", options.device],
    ...["--output", options.output, ...(options.readme ? ["--readme"] : [])],
    ...(console.json ? ["--json"] : []),
  ];
  const stdio = ["ignore", console.json ? "pipe" : "inherit", "inherit"] as const;
  const child = spawn(process.execPath, args, { stdio: [...stdio] });
  const ended = once(child, "exit");
  const out = child.stdout === null ? "" : await text(child.stdout);
  const [code]: unknown[] = await ended;
  // No code: a signal ended it.
  return { code: typeof code === "number" ? code : 3, ...(out !== "" && { result: JSON.parse(out) }) };
}
