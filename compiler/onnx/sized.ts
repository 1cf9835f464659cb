import type { Diagnostic } from "../diagnostics/index.ts";
import type { Instruction } from "../semantics/index.ts";
import { sizeVaries, structureVaries } from "./errors.ts";
import type { LiveModel } from "./live.ts";
import { constantSize, evaluateSize, fitSize, gridValues, type Size } from "./size.ts";
import type { SampledModel } from "./vary.ts";

/** An instruction whose sizes are polynomials. Its own numbers are those of one sample: only `sizes` may be read. */
export interface SizedInstruction {
  readonly instruction: Instruction;
  readonly shape: readonly Size[];
  /** Of `rearrange`. */
  readonly split: readonly Size[];
  /** Of `slice`. */
  readonly start: readonly Size[];
  readonly end: readonly Size[];
  /** Of `fill`, where its value is computed from sizes that vary. */
  readonly value: Size | undefined;
}

export interface SizedModel {
  readonly instructions: readonly SizedInstruction[];
  readonly results: readonly number[];
}

/**
 * Makes one model of the samples.
 * @returns a diagnostic at the line of the spec where the samples differ in more than sizes, or in sizes that no polynomial gives
 */
export function fitSizes(sampled: SampledModel): SizedModel | Diagnostic {
  const { samples, witnesses, grid } = sampled;
  const settings = sampled.variables.map((v) => v.setting);
  const all = [...samples, ...witnesses.map((witness) => witness.model)];
  const [first] = samples;
  const instructions: SizedInstruction[] = [];
  for (const [id, instruction] of (first?.instructions ?? []).entries()) {
    const form = formOf(instruction);
    const formIn = ({ instructions: others }: LiveModel): string | undefined => {
      const other = others[id];
      return other === undefined ? undefined : formOf(other);
    };
    const { span } = instruction.origin;
    if (all.some((sample) => formIn(sample) !== form)) {
      return structureVaries(span, involved(settings, samples.map(formIn)));
    }
    let broken: { readonly what: string; readonly settings: readonly string[] } | undefined;
    const sizeFrom = (what: string, read: (of: Instruction) => number): Size => {
      const values = samples.map((sample) => read(sample.instructions[id] ?? instruction));
      const size = fitSize(grid, values);
      const holds = (of: Size): boolean =>
        witnesses.every(
          ({ point, model }) => evaluateSize(of, point) === read(model.instructions[id] ?? instruction),
        );
      if (size !== undefined && holds(size)) return size;
      broken ??= { what, settings: involved(settings, values) };
      return constantSize(values[0] ?? 0, grid.length);
    };
    const list = (what: string, read: (of: Instruction) => readonly number[]): readonly Size[] =>
      read(instruction).map((_, axis) => sizeFrom(what, (of) => read(of)[axis] ?? 0));
    const sized: SizedInstruction = {
      instruction,
      shape: list("a size", (of) => of.type.shape),
      split: list("a size", (of) => (of.op === "rearrange" ? of.split : [])),
      start: list("a bound of the slice", (of) => (of.op === "slice" ? of.start : [])),
      end: list("a bound of the slice", (of) => (of.op === "slice" ? of.end : [])),
      value: varies(all, id) ? sizeFrom("this number", (of) => (of.op === "fill" ? of.value : 0)) : undefined,
    };
    if (broken !== undefined) return sizeVaries(span, broken.what, broken.settings);
    instructions.push(sized);
  }
  const longer = all.find((sample) => sample.instructions.length > instructions.length);
  const extra = longer?.instructions[instructions.length];
  if (extra !== undefined) return structureVaries(extra.origin.span, settings);
  return { instructions, results: first?.results ?? [] };
}

/** The settings along whose axis of the grid a sample changes; all where that is seen off the grid alone. */
function involved(settings: readonly string[], samples: readonly unknown[]): readonly string[] {
  const found = settings.filter((_, v) => {
    const stride = gridValues ** (settings.length - 1 - v);
    return samples.some(
      (sample, i) => sample !== samples[i - (Math.floor(i / stride) % gridValues) * stride],
    );
  });
  return found.length > 0 ? found : settings;
}

function varies(all: SampledModel["samples"], id: number): boolean {
  const values = all.map(({ instructions }) => {
    const instruction = instructions[id];
    return instruction?.op === "fill" ? instruction.value : 0;
  });
  return values.some((value) => value !== values[0]);
}

/** All of an instruction that sizes do not change, as a text. */
function formOf(instruction: Instruction): string {
  const { origin, type, ...rest } = instruction;
  const counts: Record<string, unknown> = { ...rest, dtype: type.dtype, rank: type.shape.length };
  if (instruction.op === "rearrange") counts.split = instruction.split.length;
  if (instruction.op === "slice") Object.assign(counts, { start: 0, end: 0 });
  if (instruction.op === "fill") counts.value = 0;
  return JSON.stringify(counts);
}
