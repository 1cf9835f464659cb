import type { Instruction, TypedModel, ValueId } from "../semantics/index.ts";

/** The part of a model that some of its values need, renumbered. */
export interface LiveModel {
  readonly instructions: readonly Instruction[];
  /** The values asked for, in the order asked. */
  readonly results: readonly ValueId[];
}

/** Drops every instruction that `wanted` do not need. */
export function liveModel(model: TypedModel, wanted: readonly ValueId[]): LiveModel {
  const needed = new Set(wanted);
  // Operands have smaller ids than their users.
  for (let id = model.instructions.length - 1; id >= 0; id--) {
    if (needed.has(id)) for (const input of model.instructions[id]?.inputs ?? []) needed.add(input);
  }
  const renumbered = new Map<ValueId, ValueId>();
  const instructions: Instruction[] = [];
  for (const [id, instruction] of model.instructions.entries()) {
    if (!needed.has(id)) continue;
    renumbered.set(id, instructions.length);
    instructions.push({ ...instruction, inputs: instruction.inputs.map((i) => renumbered.get(i) ?? -1) });
  }
  return { instructions, results: wanted.map((id) => renumbered.get(id) ?? -1) };
}

/** Shapes of the inputs that a live model reads, by name. */
export function inputShapes(live: LiveModel): ReadonlyMap<string, readonly number[]> {
  return new Map(
    live.instructions.flatMap((i): [string, readonly number[]][] =>
      i.op === "input" ? [[i.name, i.type.shape]] : [],
    ),
  );
}
