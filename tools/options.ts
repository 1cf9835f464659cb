import { type Command, InvalidArgumentError, Option } from "commander";
import type { Precision } from "../compiler/program/index.ts";
import type { Columns } from "../runtime/data/index.ts";
import { parseBytes } from "./terminal/units.ts";

/** What every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** What every command takes that compiles a spec. */
export interface SpecOptions extends CommonOptions {
  readonly set: Readonly<Record<string, string>>;
  readonly device: "auto" | "software";
  readonly seed?: number;
}

/** What commands take that compile kernels for a device. */
export interface KernelOptions extends SpecOptions {
  /** A file of measured variants, or `none`. */
  readonly tuning?: string;
}

export interface MemoryOptions {
  /** Bytes that all buffers on the device together may take. */
  readonly memory?: number;
  /** Default: that of the checkpoint to go on from, else f32. */
  readonly precision?: Precision;
}

/** What commands take that plan a training step. */
export interface PlanOptions extends KernelOptions, MemoryOptions {}

export function withJson(command: Command): Command {
  return command.option("--json", "print one JSON object on standard output, all else on standard error");
}

export function withSettings(command: Command): Command {
  return command.option(
    "--set <name=value>",
    "override a setting of the spec (repeatable)",
    collectSetting,
    {},
  );
}

export function withSpecOptions(command: Command): Command {
  return withSettings(withJson(command))
    .addOption(
      new Option("--device <which>", "auto: a real GPU where there is one; software: the embedded device")
        .choices(["auto", "software"])
        .default("auto"),
    )
    .option("--seed <n>", "seed of weights, data and dropout (default: 0)", wholeNumber(0, 0xffff_ffff));
}

/** Of `--verify`, for commands that train. */
export const verifyHelp =
  "first compare every kernel with its ops one by one on this device, and take apart those that are wrong; done once for a program";

export function withKernelOptions(command: Command): Command {
  return withSpecOptions(command).option(
    "--tuning <file>",
    "write kernels as a file of `tune` has it, or none: as the cost model has it (default: what `tune` found on this device)",
  );
}

export function withPlanOptions(command: Command): Command {
  return withMemory(withKernelOptions(command));
}

export function withMemory(command: Command): Command {
  return command
    .option(
      "--memory <size>",
      "plan within this much memory of the device, for instance 2GiB or 500MB, computing values again instead of keeping them",
      byteSize,
    )
    .addOption(
      new Option(
        "--precision <which>",
        "mixed: matmuls and attention take f16 and sum in f32, with loss scaling (default: f32, or as the checkpoint to resume)",
      ).choices(["f32", "mixed"]),
    );
}

/** Parses a size such as `2GiB` or `500MB` into bytes. */
export function byteSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new InvalidArgumentError("It must be a size above 0, for instance 2GiB, 500MB or 1048576 (bytes).");
}

/** @returns a parser for `<n>` that names the range when it is missed */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** Of `--columns`, for commands that read labelled data. */
export const columnsHelp =
  "of labelled data: the column that holds the text, pair or label, for instance text=review (repeatable)";

export function collectColumn(text: string, before: Columns): Columns {
  const at = text.indexOf("=");
  const what = text.slice(0, Math.max(at, 0));
  const name = text.slice(at + 1).trim();
  if ((what === "text" || what === "pair" || what === "label") && name !== "")
    return { ...before, [what]: name };
  throw new InvalidArgumentError("It must look like text=name, pair=name or label=name.");
}

function collectSetting(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf("=");
  const name = text.slice(0, Math.max(at, 0)).trim();
  if (!/^[A-Za-z_]\w*$/.test(name))
    throw new InvalidArgumentError("It must look like name=value, for instance batch=64.");
  return { ...before, [name]: text.slice(at + 1).trim() };
}
