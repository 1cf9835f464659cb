import type { DType, ProgramBuffer } from "../../compiler/program/index.ts";
import type { Schedule } from "../../compiler/schedule/index.ts";
import type { Executor } from "../../runtime/execute/index.ts";
import { drawElements, type Filling, fillingsOf } from "../tuning/draw-tensors.ts";

/**
 * Puts states as for a first step, but for parameters that start equal, which get some noise: a bias of zeros would hide that it is
 * left out. Inputs are random: indices in range, masks of zeros and ones, weights above zero.
 */
export async function beginRandomly(executor: Executor, schedules: readonly Schedule[]): Promise<void> {
  const { memory, program } = executor;
  for (const { name, role, sizeBytes } of program.buffers)
    if (role === "state" && memory.has(name)) memory.write(name, 0, new Uint8Array(sizeBytes));
  await memory.initialize(1);
  for (const { name, shape, init, buffer } of program.parameters) {
    if (init.kind !== "constant" || !memory.has(buffer)) continue;
    const count = shape.reduce((product, size) => product * size, 1);
    const noise = [...drawElements("f32", { kind: "signed" }, count, 1)].flatMap((piece) =>
      Array.from(piece),
    );
    memory.writeParameter(
      name,
      Float32Array.from(noise, (x) => init.value + 0.1 * x),
    );
  }
  const isInput = ({ name, role }: ProgramBuffer) => role === "input" && memory.has(name);
  const inputs = new Set(program.buffers.filter(isInput).map(({ name }) => name));
  [...readings(schedules)].forEach(([buffer, { dtype, count, filling }], seed) => {
    if (!inputs.has(buffer)) return;
    let at = 0;
    for (const piece of drawElements(dtype, filling, count, seed)) {
      memory.write(buffer, at, piece);
      at += piece.byteLength;
    }
  });
}

/** How the kernels of some schedules read a buffer that holds one tensor. */
interface Reading {
  readonly dtype: DType;
  readonly count: number;
  readonly filling: Filling;
}

function readings(schedules: readonly Schedule[]): ReadonlyMap<string, Reading> {
  const found = new Map<string, Reading>();
  for (const { steps } of schedules)
    for (const step of steps) {
      if (step.kind !== "dispatch") continue;
      const fillings = fillingsOf(step.kernel);
      step.kernel.tensors.forEach(({ dtype }, i) => {
        const { buffer, offsetBytes, sizeBytes } = step.bindings[i]!;
        const known = found.get(buffer);
        const count = Math.max(known?.count ?? 0, (offsetBytes + sizeBytes) / 4);
        found.set(buffer, { dtype, count, filling: narrower(known?.filling, fillings[i]!) });
      });
    }
  return found;
}

/** What suits all kernels that read a tensor. */
function narrower(known: Filling | undefined, filling: Filling): Filling {
  if (filling.kind === "signed") return { kind: "positive" };
  if (known?.kind !== "whole" || filling.kind !== "whole") return filling;
  return {
    kind: "whole",
    low: Math.max(known.low, filling.low),
    high: Math.min(known.high, filling.high),
  };
}
