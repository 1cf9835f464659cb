import type { Program } from "../compiler/index.ts";
import { type KilnDevice, openDevice } from "../runtime/device/index.ts";
import { createExecutor } from "../runtime/execute/index.ts";
import type { Framework } from "./framework.ts";
import { packageVersion } from "./package-version.ts";
import type { SharedGpu } from "./shared-gpu.ts";
import { type Configuration, compileTask } from "./training-task.ts";

/** Kiln as a framework among others. Its device says what all run on, its program what weights and batches look like. */
export interface KilnFramework extends Framework {
  readonly kiln: KilnDevice;
  readonly program: Program;
}

const lossOutputs = ["loss.mlm", "loss.nsp"] as const;

/** @param checked on a device that checks each access, as the other frameworks' do and as in a browser */
export async function openKiln(
  gpu: SharedGpu,
  prefer: "auto" | "software",
  configuration: Configuration,
  checked: boolean,
): Promise<KilnFramework> {
  const { result: kiln, device, counts } = await gpu.opening(checked, () => openDevice({ prefer }));
  // Compiled once, cold, as a person's first run does; the task's weights are drawn by the program's table.
  const began = performance.now();
  const program = compileTask(configuration, kiln.profile);
  const aheadMs = performance.now() - began;
  return {
    name: checked ? "kiln-checked" : "kiln",
    title: checked ? "Kiln, checked" : `Kiln ${packageVersion()}`,
    kiln,
    program,
    device,
    counts,
    aheadMs,
    async prepare({ weights }) {
      const executor = await createExecutor(program, kiln, { entries: ["train"] });
      for (const [name, { data }] of weights) executor.memory.writeParameter(name, data);
      return {
        settle: () => executor.settle(),
        async step(batch) {
          const outputs = await executor.run("train", { ...batch }, { outputs: lossOutputs });
          return lossOutputs.reduce((sum, name) => sum + (outputs[name]?.data[0] ?? Number.NaN), 0);
        },
      };
    },
  };
}
