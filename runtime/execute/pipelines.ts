import type { Program, ProgramKernel } from "../../compiler/program/index.ts";
import { type KilnDevice, patiently, shaderStageCompute } from "../device/index.ts";
import { KilnError, messageOf } from "../errors.ts";

export interface CompiledKernel {
  /** Run one after the other, with one bind group: the kernel itself, or its drafts until it is compiled. */
  readonly stages: readonly Stage[];
  readonly layout: GPUBindGroupLayout;
}

export interface Stage {
  readonly pipeline: GPUComputePipeline;
  /** Of a draft. The kernel itself has as many as the dispatch says. */
  readonly workgroups: readonly [number, number, number] | undefined;
}

/** The kernels of a program on a device. */
export interface CompiledKernels {
  /** By index into `Program.kernels`. */
  readonly kernels: ReadonlyMap<number, CompiledKernel>;
  /** Whether any is still run as its drafts. */
  readonly hasDrafts: boolean;
  /**
   * Compiles those of which there are drafts so far, and puts them in their place as they are ready.
   * @param isWanted asked before each; false ends it
   * @throws KilnError as `compileKernels`
   */
  finish(isWanted: () => boolean): Promise<void>;
}

/**
 * Compiles the given kernels, all at once; kernels whose bindings have the same accesses share a layout.
 * @param withDrafts whether to start with drafts of the kernels that have any
 * @throws KilnError `machine` naming the kernel and showing the line that the device refused
 */
export async function compileKernels(
  program: Program,
  kiln: KilnDevice,
  needed: ReadonlySet<number>,
  withDrafts: boolean,
): Promise<CompiledKernels> {
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

  const compileModule = async (
    kernel: ProgramKernel,
    code: string,
    workgroups: Stage["workgroups"],
  ): Promise<Stage> => {
    const module = kiln.device.createShaderModule({ label: kernel.name, code });
    const problem = await shaderProblem(kernel.name, code, module);
    if (problem !== undefined) throw problem;
    try {
      const pipeline = await kiln.device.createComputePipelineAsync({
        label: kernel.name,
        layout: layoutOf(kernel).pipeline,
        compute: { module, entryPoint: "main" },
      });
      return { pipeline, workgroups };
    } catch (thrown) {
      kiln.throwIfFailed();
      throw new KilnError(
        "machine",
        `the device refused the kernel \`${kernel.name}\`: ${messageOf(thrown)}`,
      );
    }
  };
  const compileOne = async (index: number): Promise<readonly [number, Compiled]> => {
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
    const drafts = withDrafts ? kernel.drafts : undefined;
    const stages = await Promise.all(
      drafts === undefined
        ? [compileModule(kernel, kernel.wgsl, undefined)]
        : drafts.map(({ wgsl, workgroups }) => compileModule(kernel, wgsl, workgroups)),
    );
    const layout = layoutOf(kernel).group;
    return [index, { kernel, stages, layout, isDraft: drafts !== undefined }];
  };
  const guarded = async <T>(work: () => readonly Promise<T>[]): Promise<readonly T[]> => {
    // Shader errors are read from the module itself; the scope keeps them from being reported once more.
    kiln.device.pushErrorScope("validation");
    const compiling = work();
    const scope = kiln.device.popErrorScope();
    const settled = await patiently(kiln, Promise.allSettled(compiling));
    const leftover = await scope;
    for (const result of settled) if (result.status === "rejected") throw result.reason;
    if (leftover !== null) throw new KilnError("machine", `the device refused a kernel: ${leftover.message}`);
    return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  };

  const kernels = new Map(await guarded(() => [...needed].map(compileOne)));
  return {
    kernels,
    get hasDrafts() {
      return [...kernels.values()].some(({ isDraft }) => isDraft);
    },
    async finish(isWanted) {
      for (const compiled of kernels.values()) {
        if (!compiled.isDraft) continue;
        if (!isWanted()) return;
        const { kernel } = compiled;
        const stages = await guarded(() => [compileModule(kernel, kernel.wgsl, undefined)]);
        if (!isWanted()) return;
        compiled.stages = stages;
        compiled.isDraft = false;
      }
    },
  };
}

/** What a recorded step points at: its pipelines change under it. */
interface Compiled {
  readonly kernel: ProgramKernel;
  stages: readonly Stage[];
  readonly layout: GPUBindGroupLayout;
  isDraft: boolean;
}

async function shaderProblem(
  name: string,
  code: string,
  module: GPUShaderModule,
): Promise<KilnError | undefined> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((message) => message.type === "error");
  if (errors.length === 0) return undefined;
  const lines = code.split("\n");
  const shown = errors.slice(0, 5).map(({ lineNum, linePos, message }) => {
    const line = lines[lineNum - 1];
    if (line === undefined) return `  ${message}`;
    const margin = `${lineNum} | `;
    return `${margin}${line}\n${" ".repeat(margin.length + Math.max(0, linePos - 1))}^ ${message}`;
  });
  return new KilnError(
    "machine",
    `the device refused the WGSL of the kernel \`${name}\`:\n${shown.join("\n")}`,
    "this is a mistake of the compiler: please report it with the spec",
  );
}
