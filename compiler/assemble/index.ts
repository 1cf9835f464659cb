// In: the schedules of a model's entries, its state layout, what the runtime must know of the spec.
// Out: one `Program`.
// Assumes: the schedules were made for one profile and one state layout.
// Guarantees: kernels equal but for their buffers appear once; the same schedules give the same bytes and hash.
// Start reading at: `assemble` below.
import { type Kernel, kernelIdentity, launchOf } from "../kernel/index.ts";
import {
  bufferBytes,
  type Program,
  type ProgramBuffer,
  type ProgramEntry,
  type ProgramKernel,
  type ProgramStep,
  programHash,
  type TensorPlace,
} from "../program/index.ts";
import type { Schedule } from "../schedule/index.ts";

export interface AssembleInput {
  readonly about: Omit<Program, "format" | "version" | "hash" | "inputs" | "buffers" | "kernels" | "entries">;
  readonly states: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly entries: Readonly<Partial<Record<keyof Program["entries"], Schedule>>>;
  /** The WGSL of a kernel. */
  readonly print: (kernel: Kernel) => string;
  /** Kernels to start with in place of one, where there are any. Default: there are none. */
  readonly drafts?: (kernel: Kernel) => readonly Kernel[] | undefined;
}

export function assemble({ about, states, entries, print, drafts }: AssembleInput): Program {
  const mostWorkgroups = about.profile.maxComputeWorkgroupsPerDimension;
  const kernels: ProgramKernel[] = [];
  const kernelByIdentity = new Map<string, number>();
  const kernelNumber = (kernel: Kernel): number => {
    const identity = kernelIdentity(kernel);
    const known = kernelByIdentity.get(identity);
    if (known !== undefined) return known;
    const bindings = kernel.tensors.map(({ name, access }) => ({ name, access }));
    const shorter = drafts?.(kernel)?.map((draft) => ({
      wgsl: print(draft),
      workgroups: spread(launchOf(draft).workgroups, mostWorkgroups),
    }));
    kernels.push({
      name: kernel.name,
      wgsl: print(kernel),
      ...(shorter !== undefined && { drafts: shorter }),
      bindings,
    });
    kernelByIdentity.set(identity, kernels.length - 1);
    return kernels.length - 1;
  };

  const sizes = new Map<string, { sizeBytes: number; role: ProgramBuffer["role"] }>();
  const need = (name: string, sizeBytes: number, role: ProgramBuffer["role"]): void => {
    const known = sizes.get(name);
    if (known === undefined) sizes.set(name, { sizeBytes, role });
    else known.sizeBytes = Math.max(known.sizeBytes, sizeBytes);
  };
  for (const state of states) need(state.name, bufferBytes(state.sizeBytes), "state");
  const inputs = new Map<string, TensorPlace>();
  const schedules = Object.entries(entries).flatMap(([name, s]) =>
    s === undefined ? [] : [{ name, schedule: s }],
  );
  for (const { schedule } of schedules) {
    for (const input of schedule.inputs) {
      inputs.set(input.name, input);
      need(input.buffer, bufferBytes(input.shape.reduce((n, size) => n * size, 4)), "input");
    }
    for (const { name, sizeBytes } of schedule.scratch) need(name, bufferBytes(sizeBytes), "scratch");
  }
  const made = schedules.map(({ name, schedule }): readonly [string, ProgramEntry] => {
    const steps = schedule.steps.map((step): ProgramStep => {
      if (step.kind !== "dispatch") return step;
      const { kernel, bindings, label, bytesRead, bytesWritten } = step;
      const { workgroups } = launchOf(kernel);
      return {
        kind: "dispatch",
        bindings,
        label,
        bytesRead,
        bytesWritten,
        kernel: kernelNumber(kernel),
        workgroups: spread(workgroups, mostWorkgroups),
        flops: kernel.flops,
      };
    });
    const touched = new Set<string>(schedule.outputs.map((output) => output.buffer));
    for (const step of steps) {
      if (step.kind === "dispatch") for (const { buffer } of step.bindings) touched.add(buffer);
      else if (step.kind === "clear") touched.add(step.range.buffer);
      else touched.add(step.from.buffer).add(step.to.buffer);
    }
    const peakBytes = [...touched].reduce((total, buffer) => total + (sizes.get(buffer)?.sizeBytes ?? 0), 0);
    return [
      name,
      { steps, outputs: schedule.outputs, inputs: schedule.inputs.map((i) => i.name), peakBytes },
    ];
  });
  const tuning = Object.fromEntries(
    schedules.flatMap(({ schedule }) => Object.entries(schedule.tuned ?? {})),
  );
  const withoutHash: Omit<Program, "hash"> = {
    format: "kiln-program",
    version: 1,
    ...about,
    inputs: [...inputs.values()],
    buffers: [...sizes].map(([name, { sizeBytes, role }]) => ({ name, sizeBytes, role })),
    kernels,
    entries: Object.fromEntries(made),
    ...(Object.keys(tuning).length > 0 && { tuning }),
  };
  return { ...withoutHash, hash: programHash(withoutHash) };
}

/** A program of schedules alone, for who measures or checks kernels: no spec, no data, no parameters. */
export function assembleAlone(
  name: string,
  profile: Program["profile"],
  {
    states = [],
    entries,
    print,
  }: Partial<Pick<AssembleInput, "states">> & Pick<AssembleInput, "entries" | "print">,
): Program {
  return assemble({
    about: {
      name,
      profile,
      data: { kind: "none", settings: {} },
      settings: { steps: 1, accumulate: 1, losses: [] },
      parameters: [],
      sources: [],
      overrides: {},
    },
    states,
    entries,
    print,
  });
}

/** Workgroups over x and y, as one dimension may be too short; kernels number them by `x + y * width`. */
function spread(count: number, most: number): readonly [number, number, number] {
  if (count <= most) return [count, 1, 1];
  const rows = Math.ceil(count / most);
  return [Math.ceil(count / rows), rows, 1];
}
