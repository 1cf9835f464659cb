import type { Program, ProgramParameter } from "../../compiler/program/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { createExecutor, type Executor, type Outputs } from "../../runtime/execute/index.ts";
import type { EntryName } from "../../runtime/memory/index.ts";
import type { Fixture } from "./fixture.ts";
import { type Evaluated, lossesFrom, need, type Run } from "./runs.ts";

/** Trains the program on the device from the fixture's parameters; the caller destroys the executor. */
export async function deviceRun(
  program: Program,
  kiln: KilnDevice,
  fixture: Fixture,
  entries: readonly EntryName[],
): Promise<{ readonly run: Run; readonly executor: Executor }> {
  const executor = await createExecutor(program, kiln, { entries });
  const places = new Map(program.parameters.map((place) => [place.name, place]));
  const placeOf = (name: string): ProgramParameter =>
    need(places.get(name), `the model has no parameter ${name}`);
  for (const [name, { data }] of fixture.parameters) {
    const place = placeOf(name);
    executor.memory.write(place.buffer, place.offsetBytes, data);
  }
  const run: Run = {
    parameters: program.parameters,
    seed(value) {
      executor.memory.write("seed", 0, Uint32Array.of(value));
    },
    async evaluate(): Promise<Evaluated> {
      const outputs = await executor.run("evaluate", fixture.batch);
      return {
        ...lossesFrom((name) => scalar(outputs, name)),
        encoded: Float32Array.from(need(outputs["output.encoded"], "output.encoded").data),
      };
    },
    async step() {
      const outputs = await executor.run("train", fixture.batch);
      return { ...lossesFrom((name) => scalar(outputs, name)), gradientNorm: scalar(outputs, "grad_norm") };
    },
    async read(parameter: string, slot?: string) {
      const place = placeOf(parameter);
      const buffer =
        slot === undefined ? place.buffer : need(place.slots[slot], `slot ${slot} of ${parameter}`);
      const sizeBytes = 4 * place.shape.reduce((count, size) => count * size, 1);
      const bytes = new Uint8Array(sizeBytes);
      let at = 0;
      for await (const piece of executor.memory.read(buffer, place.offsetBytes, sizeBytes)) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return new Float32Array(bytes.buffer);
    },
  };
  return { run, executor };
}

function scalar(outputs: Outputs, name: string): number {
  return need(outputs[name]?.data[0], `output ${name}`);
}
