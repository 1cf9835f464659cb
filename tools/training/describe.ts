import type { MemoryReport } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import type { BatchSource } from "../../runtime/data/index.ts";
import { formatBytes, formatCount } from "../terminal/units.ts";

/** What an example of the data is called in a rate. */
export function exampleUnit(program: Program): string {
  const units: Readonly<Record<string, string>> = { PretrainingPairs: "pairs", CausalText: "windows" };
  return units[program.data.kind] ?? "examples";
}

export function parameterCount(program: Program): number {
  return program.parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}

/** Of one training step: all micro-batches. */
export function dispatchesPerStep(program: Program): number {
  const count = (name: "train" | "accumulate"): number =>
    program.entries[name]?.steps.filter((step) => step.kind === "dispatch").length ?? 0;
  return (program.settings.accumulate - 1) * count("accumulate") + count("train");
}

export function describeModel(program: Program): string {
  return (
    `model: ${program.name}, ${formatCount(parameterCount(program))} parameters, ` +
    `${formatCount(dispatchesPerStep(program))} dispatches a step${describeTuning(program)}`
  );
}

/** What was measured, where the program is not all as the cost model has it. */
function describeTuning({ tuning = {} }: Program): string {
  const count = Object.keys(tuning).length;
  return count === 0 ? "" : `, ${formatCount(count)} ${count === 1 ? "kernel" : "kernels"} tuned`;
}

/** Bytes of all buffers that a run of the program allocates. */
export function plannedBytes(program: Program): number {
  return program.buffers.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

/** The planned peak, and what it costs to keep it that low. */
export function describeMemory(program: Program, memory: MemoryReport | undefined): string {
  const peak = `planned peak ${formatBytes(plannedBytes(program))}`;
  if (memory === undefined)
    return program.memoryBytes === undefined
      ? peak
      : `${peak}, compiled for ${formatBytes(program.memoryBytes)}`;
  if (memory.recomputed === 0) {
    const reordered = memory.peakBytes < memory.unlimitedBytes;
    return `${peak}${reordered ? `, ${formatBytes(memory.unlimitedBytes)} in the order of the spec` : ""}; nothing is computed again`;
  }
  const more = (100 * (memory.flops - memory.unlimitedFlops)) / memory.unlimitedFlops;
  return (
    `${peak}, ${formatBytes(memory.unlimitedBytes)} without recomputation; ` +
    `${formatCount(memory.recomputed)} tensors are computed again, ${more < 0 ? "" : "+"}${more.toFixed(1)} % FLOPs`
  );
}

/** Of mixed precision: whether the device computes with f16; undefined for f32. */
export function describePrecision({ precision, profile }: Program): string | undefined {
  if (precision !== "mixed") return undefined;
  return profile.f16
    ? "mixed precision: contractions take f16 and sum in f32"
    : "mixed precision is emulated on this device: same numbers, no gain";
}

/** By the names that the shipped library gives its two losses; a spec with other losses has none. */
export function bestPossible(program: Program, batches: BatchSource): Record<string, number> {
  const { bestLosses } = batches;
  if (bestLosses === undefined) return {};
  const known = { mlm: bestLosses.maskedLanguageModel.mean, nsp: bestLosses.nextSentence.mean };
  return Object.fromEntries(Object.entries(known).filter(([name]) => program.settings.losses.includes(name)));
}
