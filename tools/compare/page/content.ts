import type { Program } from "../../../compiler/program/index.ts";
import {
  type DataFlow,
  dataFlowOf,
  kernelShape,
  type Schedule,
  type ScheduledDispatch,
} from "../../../compiler/schedule/index.ts";
import type { Comparison } from "../figures.ts";
import type { Roofline } from "../roofline.ts";

/** One side of the comparison, as the page shows it: the training step's kernels and what passes between them. */
export interface PageSide {
  readonly name: "fused" | "unfused";
  readonly kernels: readonly PageKernel[];
  readonly flows: readonly DataFlow[];
  readonly arenas: readonly PageArena[];
  /** WGSL modules by `PageKernel.module`. */
  readonly modules: readonly string[];
  /** States, inputs and packed gradients: alive all along. */
  readonly buffers: readonly { readonly name: string; readonly role: string; readonly sizeBytes: number }[];
}

/** One dispatch. */
export interface PageKernel {
  readonly name: string;
  readonly path: string;
  readonly kind: ScheduledDispatch["kernel"]["kind"];
  readonly shape: string;
  readonly rules: readonly string[];
  /** Position in `PageSide.modules`. */
  readonly module: number;
  readonly workgroups: number;
  readonly workgroupSize: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly flops: number;
  /** Null where it was not timed. */
  readonly ms: number | null;
  readonly roofline: number | null;
  readonly tensors: readonly PageTensor[];
  readonly lines: readonly SpecLine[];
  /** Dispatches of the other side that compute some of the same ops. */
  readonly counterparts: readonly number[];
}

export interface PageTensor {
  readonly name: string;
  readonly type: string;
  readonly place: string;
  readonly access: "read" | "write" | "read, write";
}

/** A line of the spec or its library that a kernel comes from, with the ops that it computes of it. */
export interface SpecLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly ops: readonly string[];
}

export interface PageArena {
  readonly name: string;
  readonly sizeBytes: number;
  readonly tensors: Schedule["arenaTensors"];
}

/** One compilation: what the page needs of it. */
export interface Stage {
  readonly program: Program;
  readonly schedule: Schedule;
  readonly figures: Comparison;
}

export function pageSide(name: PageSide["name"], stage: Stage, other: Stage): PageSide {
  const { program, schedule, figures } = stage;
  const modules: number[] = [];
  const moduleOf = (kernel: number): number => {
    if (!modules.includes(kernel)) modules.push(kernel);
    return modules.indexOf(kernel);
  };
  const steps = program.entries.train?.steps.filter((step) => step.kind === "dispatch") ?? [];
  const scheduled = schedule.steps.filter((step) => step.kind === "dispatch");
  const textOf = lineReader(program.sources);
  const otherSteps = other.schedule.steps.filter((step) => step.kind === "dispatch");
  const [keys, otherKeys] = [nodeKeys(schedule), nodeKeys(other.schedule)];
  const computedBy = new Map<string, number[]>();
  otherSteps.forEach(({ nodes }, at) => {
    for (const node of nodes) {
      const key = otherKeys[node] ?? "";
      computedBy.set(key, [...(computedBy.get(key) ?? []), at]);
    }
  });
  const kernels = scheduled.map((step, at): PageKernel => {
    const { kernel, reads, writes } = step;
    const planned = steps[at];
    if (planned === undefined) throw new Error("a program's steps are its schedule's");
    const [title = "", ...places] = step.label.split("  ");
    const isShared = (node: number): boolean => !isCheap(schedule, node);
    return {
      name: title,
      path: places[0]?.includes(".bert:") === true ? "" : (places[0] ?? ""),
      kind: kernel.kind,
      shape: kernelShape(kernel),
      rules: kernel.rules,
      module: moduleOf(planned.kernel),
      workgroups: planned.workgroups.reduce((n, count) => n * count, 1),
      workgroupSize: kernel.workgroupSize,
      bytesRead: step.bytesRead,
      bytesWritten: step.bytesWritten,
      flops: kernel.flops,
      ms: figures.kernels[at]?.ms ?? null,
      roofline: figures.kernels[at]?.roofline ?? null,
      tensors: kernel.tensors.map((tensor, i) => {
        const range = step.bindings[i];
        const [isRead, isWritten] = [reads.includes(i), writes.includes(i)];
        return {
          name: tensor.name.replace(/^t_/, ""),
          type: tensor.comment,
          place: range === undefined ? "" : `${range.buffer}+${range.offsetBytes}`,
          access: isRead && isWritten ? "read, write" : isWritten ? "write" : "read",
        };
      }),
      lines: linesOf(schedule, step.nodes, textOf),
      counterparts: [
        ...new Set(step.nodes.filter(isShared).flatMap((node) => computedBy.get(keys[node] ?? "") ?? [])),
      ].sort((a, b) => a - b),
    };
  });
  return {
    name,
    kernels,
    flows: dataFlowOf(schedule),
    modules: modules.map((kernel) => program.kernels[kernel]?.wgsl ?? ""),
    arenas: schedule.scratch
      .filter((scratch) => schedule.arenaTensors.some((tensor) => tensor.buffer === scratch.name))
      .map((scratch) => ({
        ...scratch,
        tensors: schedule.arenaTensors.filter((tensor) => tensor.buffer === scratch.name),
      })),
    buffers: buffersBeside(stage),
  };
}

/** Constants and counters are made again by whoever needs them: sharing one says nothing. */
function isCheap(schedule: Schedule, node: number): boolean {
  const op = schedule.nodes[node]?.op;
  return op === "constant" || op === "iota" || op === "broadcast" || op === "reshape";
}

/**
 * A node by what it is rather than by its number: rules rewrite the graph, so that the sides number it differently. Equal
 * nodes of one place are told apart by their order.
 */
function nodeKeys({ nodes }: Schedule): readonly string[] {
  const seen = new Map<string, number>();
  return nodes.map(({ op, origin, type }) => {
    const key = [op, origin.pass, origin.path, origin.at, origin.label, type.dtype, type.shape.join()].join(
      " ",
    );
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    return `${key} ${count}`;
  });
}

/** Buffers that the step touches and that are no arena. */
function buffersBeside({ program, schedule }: Stage): PageSide["buffers"] {
  const touched = new Set(
    schedule.steps.flatMap((step) =>
      step.kind === "dispatch"
        ? step.bindings.map(({ buffer }) => buffer)
        : step.kind === "copy"
          ? [step.from.buffer, step.to.buffer]
          : [step.range.buffer],
    ),
  );
  const arenas = new Set(schedule.arenaTensors.map(({ buffer }) => buffer));
  return program.buffers.filter(({ name }) => touched.has(name) && !arenas.has(name));
}

function linesOf(
  schedule: Schedule,
  nodes: readonly number[],
  textOf: (file: string, line: number) => string,
): readonly SpecLine[] {
  const lines = new Map<string, { file: string; line: number; ops: Set<string> }>();
  for (const id of nodes) {
    const node = schedule.nodes[id];
    const place = /^(.*):(\d+):\d+$/.exec(node?.origin.at ?? "");
    if (node === undefined || place === null) continue;
    const [, file = "", line = ""] = place;
    const known = lines.get(`${file}:${line}`) ?? { file, line: Number(line), ops: new Set() };
    if (!isCheap(schedule, id)) known.ops.add(node.op);
    lines.set(`${file}:${line}`, known);
  }
  return [...lines.values()]
    .filter(({ ops }) => ops.size > 0)
    .sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line))
    .map(({ file, line, ops }) => ({ file, line, text: textOf(file, line), ops: [...ops] }));
}

function lineReader(sources: Program["sources"]): (file: string, line: number) => string {
  const files = new Map(sources.map(({ path, text }) => [path, text.split("\n")]));
  return (file, line) => files.get(file)?.[line - 1] ?? "";
}

/** What the page's own script works with. */
export interface PageData {
  readonly fused: PageSide;
  readonly unfused: PageSide;
  /** What each rule does. */
  readonly rules: Readonly<Record<string, string>>;
  readonly roofline: Roofline | null;
}
