import { assembleAlone } from "../../compiler/assemble/index.ts";
import type { Kernel } from "../../compiler/kernel/index.ts";
import { type DeviceProfile, elementSizeBytes, type Program } from "../../compiler/program/index.ts";
import type { ScheduledDispatch } from "../../compiler/schedule/index.ts";
import { printKernel } from "../../compiler/wgsl/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { asTyped, createExecutor, type Executor } from "../../runtime/execute/index.ts";
import { drawElements, type Elements, fillingsOf } from "./draw-tensors.ts";
import type { Trial } from "./tune-kernels.ts";

/** A dispatch of a step, by itself on the device: one kernel, on buffers of the real sizes. Close it to free them. */
export class KernelTrial implements Trial {
  readonly #executor: Executor;
  readonly #dispatch: ScheduledDispatch;

  private constructor(executor: Executor, dispatch: ScheduledDispatch) {
    this.#executor = executor;
    this.#dispatch = dispatch;
  }

  /**
   * Compiles the kernel and fills its tensors.
   * @param kernel the dispatch's, or another variant of it
   * @throws KilnError `machine` where the device refuses the kernel or has no room for its tensors
   */
  static async open(kiln: KilnDevice, dispatch: ScheduledDispatch, kernel: Kernel): Promise<KernelTrial> {
    const executor = await createExecutor(programOf(kiln.profile, dispatch, kernel), kiln);
    const trial = new KernelTrial(executor, dispatch);
    trial.#fill(dispatch.kernel.tensors.map((_, position) => position));
    return trial;
  }

  /** Runs the kernel once on the tensors as they were filled, whatever it did to them since. */
  async results(): Promise<readonly Elements[]> {
    const { writes, kernel } = this.#dispatch;
    this.#fill(writes);
    await this.#executor.run("evaluate", {});
    const results: Elements[] = [];
    for (const position of writes) results.push(await this.#read(position, kernel));
    return results;
  }

  /** Milliseconds from a submit of `repeat` dispatches to its end, the way to the device and back included. */
  async time(repeat: number): Promise<number> {
    const began = performance.now();
    await this.#executor.run("evaluate", {}, { repeat });
    return performance.now() - began;
  }

  close(): void {
    this.#executor.destroy();
  }

  #fill(positions: readonly number[]): void {
    const fillings = fillingsOf(this.#dispatch.kernel);
    for (const position of positions) {
      const { dtype } = this.#dispatch.kernel.tensors[position]!;
      const { sizeBytes } = this.#dispatch.bindings[position]!;
      const count = sizeBytes / elementSizeBytes(dtype);
      let offsetBytes = 0;
      for (const piece of drawElements(dtype, fillings[position]!, count, position)) {
        this.#executor.memory.write(bufferOf(position), offsetBytes, piece);
        offsetBytes += piece.byteLength;
      }
    }
  }

  async #read(position: number, kernel: Kernel): Promise<Elements> {
    const { dtype } = kernel.tensors[position]!;
    const { sizeBytes } = this.#dispatch.bindings[position]!;
    const bytes = new Uint8Array(sizeBytes);
    let at = 0;
    for await (const piece of this.#executor.memory.read(bufferOf(position), 0, sizeBytes)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return asTyped(dtype, bytes);
  }
}

const bufferOf = (position: number): string => `tensor.${position}`;

/** Every tensor in a buffer of its own, bound as far as the dispatch binds it. */
function programOf(profile: DeviceProfile, dispatch: ScheduledDispatch, kernel: Kernel): Program {
  if (kernel.tensors.some(({ tensor }, i) => tensor !== dispatch.kernel.tensors[i]?.tensor))
    throw new Error(`a variant of \`${kernel.name}\` binds other tensors`);
  const sizes = dispatch.bindings.map(({ sizeBytes }) => sizeBytes);
  const bindings = sizes.map((sizeBytes, position) => ({
    buffer: bufferOf(position),
    offsetBytes: 0,
    sizeBytes,
  }));
  const [written = 0] = dispatch.writes;
  // A word that is brought back tells when the device is done.
  const done = {
    name: "done",
    dtype: kernel.tensors[written]!.dtype,
    shape: [1],
    buffer: bufferOf(written),
    offsetBytes: 0,
  };
  return assembleAlone(kernel.name, profile, {
    entries: {
      evaluate: {
        steps: [{ ...dispatch, kernel, bindings }],
        outputs: [done],
        inputs: [],
        scratch: sizes.map((sizeBytes, position) => ({ name: bufferOf(position), sizeBytes })),
        nodes: [],
        values: [],
        unfused: [],
        apart: [],
        arenaTensors: [],
      },
    },
    print: printKernel,
  });
}
