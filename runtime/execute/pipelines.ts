import type { Program, ProgramKernel } from "../../compiler/program/index.ts";
import { type KilnDevice, patiently, shaderStageCompute } from "../device/index.ts";
import { KilnError, messageOf } from "../errors.ts";

export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/**
 * Compiles the given kernels, all at once; kernels whose bindings have the same accesses share a layout.
 * @returns by index into `Program.kernels`
 * @throws KilnError `machine` naming the kernel and showing the line that the device refused
 */
export async function compileKernels(
  program: Program,
  kiln: KilnDevice,
  needed: ReadonlySet<number>,
): Promise<ReadonlyMap<number, CompiledKernel>> {
  const layouts = new Map<
    string,
    { readonly group: GPUBindGroupLayout; readonly pipeline: GPUPipelineLayout }
  >();
  const layoutOf = (kernel: ProgramKernel) => {
    const key = kernel.bindings.map((binding) => binding.access).join();
    const known = layouts.get(key);
    if (known !== undefined) return known;
    const group = kiln.device.createBindGroupLayout({
      label: key,
      entries: kernel.bindings.map(({ access }, binding) => ({
        binding,
        visibility: shaderStageCompute,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      })),
    });
    const made = { group, pipeline: kiln.device.createPipelineLayout({ bindGroupLayouts: [group] }) };
    layouts.set(key, made);
    return made;
  };

  const compileOne = async (index: number): Promise<readonly [number, CompiledKernel]> => {
    const kernel = program.kernels[index];
    if (kernel === undefined)
      throw new KilnError("user", `the program has no kernel ${index}: it is damaged`);
    const limit = kiln.profile.maxStorageBuffersPerShaderStage;
    if (kernel.bindings.length > limit) {
      throw new KilnError(
        "machine",
        `the kernel \`${kernel.name}\` binds ${kernel.bindings.length} buffers, the device allows ${limit}`,
        "compile the spec for this device",
      );
    }
    const layout = layoutOf(kernel);
    const module = kiln.device.createShaderModule({ label: kernel.name, code: kernel.wgsl });
    const problem = await shaderProblem(kernel, module);
    if (problem !== undefined) throw problem;
    try {
      const pipeline = await kiln.device.createComputePipelineAsync({
        label: kernel.name,
        layout: layout.pipeline,
        compute: { module, entryPoint: "main" },
      });
      return [index, { pipeline, layout: layout.group }];
    } catch (thrown) {
      kiln.throwIfFailed();
      throw new KilnError(
        "machine",
        `the device refused the kernel \`${kernel.name}\`: ${messageOf(thrown)}`,
      );
    }
  };

  // Shader errors are read from the module itself; the scope keeps them from being reported once more.
  kiln.device.pushErrorScope("validation");
  const compiling = [...needed].map(compileOne);
  const scope = kiln.device.popErrorScope();
  const settled = await patiently(kiln, Promise.allSettled(compiling));
  const leftover = await scope;
  for (const result of settled) if (result.status === "rejected") throw result.reason;
  if (leftover !== null) throw new KilnError("machine", `the device refused a kernel: ${leftover.message}`);
  return new Map(settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])));
}

async function shaderProblem(kernel: ProgramKernel, module: GPUShaderModule): Promise<KilnError | undefined> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((message) => message.type === "error");
  if (errors.length === 0) return undefined;
  const lines = kernel.wgsl.split("\n");
  const shown = errors.slice(0, 5).map(({ lineNum, linePos, message }) => {
    const line = lines[lineNum - 1];
    if (line === undefined) return `  ${message}`;
    const margin = `${lineNum} | `;
    return `${margin}${line}\n${" ".repeat(margin.length + Math.max(0, linePos - 1))}^ ${message}`;
  });
  return new KilnError(
    "machine",
    `the device refused the WGSL of the kernel \`${kernel.name}\`:\n${shown.join("\n")}`,
    "this is a mistake of the compiler: please report it with the spec",
  );
}
