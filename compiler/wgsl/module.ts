import {
  type AxisExpr,
  type BesideKernel,
  dependsOn,
  type Expr,
  type Kernel,
  KernelBuilder,
  type KernelTensor,
  launchOf,
  type Store,
  walk,
} from "../kernel/index.ts";
import { type Emitter, isVectorIndex } from "./emitter.ts";
import { enablesOf, subgroupValuesOf } from "./extensions.ts";
import { DECLARATIONS, type DeclaredFn, storageType } from "./spelling.ts";

/** Expressions of a kernel moved into a builder of the printer's own, so that it can substitute tile positions. */
export class Adopted {
  readonly b = new KernelBuilder();
  readonly #memo = new Map<Expr, Expr>();

  expr(e: Expr): Expr {
    return this.b.adopt(e, this.#memo);
  }

  axis(a: AxisExpr): AxisExpr {
    const made = this.expr(a);
    if (made.kind !== "axis") throw new Error("wgsl: an axis became something else");
    return made;
  }

  stores(list: readonly Store[]): readonly Store[] {
    return list.map((s) => ({ tensor: s.tensor, index: this.expr(s.index), value: this.expr(s.value) }));
  }
}

/** Adds to `found` the tensors that `roots` read as whole vec4s along `lane`. */
export function collectVectorLoads(
  roots: readonly Expr[],
  lane: AxisExpr | undefined,
  found: Set<number>,
): void {
  if (lane === undefined) return;
  walk(roots, (e) => {
    if (e.kind === "load" && dependsOn(e.index, lane) && isVectorIndex(e.index, lane)) found.add(e.tensor);
  });
}

export function collectVectorStores(
  stores: readonly Store[],
  lane: AxisExpr | undefined,
  found: Set<number>,
): void {
  if (lane === undefined) return;
  for (const s of stores) if (dependsOn(s.index, lane) && isVectorIndex(s.index, lane)) found.add(s.tensor);
}

/** What an invocation of one kernel does, as the printers write it. */
export interface KernelBody {
  /** Tensors that it binds as arrays of vec4. */
  readonly vectorTensors: ReadonlySet<number>;
  /** Statements. They find `invocation` (i32, the linear number of this one, below the kernel's count), `workgroup`, `local`. */
  readonly emitter: Emitter;
  /** Whether all invocations of a workgroup stay to the end: barriers need that. */
  readonly wholeWorkgroups: boolean;
  /** Declarations. Equal names have equal types in all kernels of one workgroup size. */
  readonly workgroupVariables: readonly string[];
}

/** A whole WGSL module around one body. */
export function writeModule(kernel: Kernel, body: KernelBody): string {
  return [
    ...head(kernel, body.vectorTensors),
    ...body.workgroupVariables,
    "",
    ...declarations(body.emitter.functions.values()),
    ...entryPoint(kernel),
    ...bodyLines(kernel, body),
    "}",
    "",
  ].join("\n");
}

/** A whole WGSL module of several bodies: a function each, called by the workgroups of its range. */
export function writeModuleOfParts(kernel: BesideKernel, bodies: readonly KernelBody[]): string {
  const ends: number[] = [];
  for (const part of kernel.parts) ends.push((ends.at(-1) ?? 0) + launchOf(part).workgroups);
  const startOf = (i: number): number => ends[i - 1] ?? 0;
  return [
    ...head(kernel, new Set(bodies.flatMap((body) => [...body.vectorTensors]))),
    ...new Set(bodies.flatMap((body) => body.workgroupVariables)),
    "",
    ...declarations(bodies.flatMap((body) => [...body.emitter.functions.values()])),
    ...bodies.flatMap((body, i) => {
      const part = kernel.parts[i]!;
      const more = subgroupValuesOf(part).map(({ name }) => name);
      return [
        `// workgroups ${startOf(i)} to ${ends[i]! - 1}: ${part.name}`,
        `fn part_${i}(workgroup: i32, local: i32${more.map((name) => `, ${name}: i32`).join("")}) {`,
        ...bodyLines(part, body),
        "}",
        "",
      ];
    }),
    ...entryPoint(kernel),
    ...ends.map((end, i) => {
      const own = i === 0 ? "workgroup" : `workgroup - ${startOf(i)}`;
      const values = [own, "local", ...subgroupValuesOf(kernel.parts[i]!).map(({ name }) => name)];
      return `  if (workgroup < ${end}) { part_${i}(${values.join(", ")}); return; }`;
    }),
    "}",
    "",
  ].join("\n");
}

function head(kernel: Kernel, vectorTensors: ReadonlySet<number>): readonly string[] {
  return [
    ...enablesOf(kernel),
    `// ${kernel.name}`,
    ...kernel.comments.map((comment) => `//   ${comment}`),
    ...kernel.tensors.map((t, i) => bindingLine(t, i, vectorTensors.has(t.tensor))),
  ];
}

function entryPoint(kernel: Kernel): readonly string[] {
  const values = subgroupValuesOf(kernel);
  const builtins = values.map(({ name, builtin }) => `, @builtin(${builtin}) ${name}_index: u32`);
  return [
    `@compute @workgroup_size(${kernel.workgroupSize})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,",
    `        @builtin(local_invocation_index) local_index: u32${builtins.join("")}) {`,
    "  let workgroup = i32(group.x + group.y * groups.x);",
    "  let local = i32(local_index);",
    ...values.map(({ name }) => `  let ${name} = i32(${name}_index);`),
  ];
}

function bodyLines(kernel: Kernel, { emitter, wholeWorkgroups }: KernelBody): readonly string[] {
  const { invocations, workgroups } = launchOf(kernel);
  const guard = wholeWorkgroups
    ? `if (workgroup >= ${workgroups}) { return; }`
    : `if (invocation >= ${invocations}) { return; }`;
  return [
    `  let invocation = workgroup * ${kernel.workgroupSize} + local;`,
    `  ${guard}`,
    ...emitter.text().map((line) => `  ${line}`),
  ];
}

function bindingLine(t: KernelTensor, index: number, isVector: boolean): string {
  const type = `array<${storageType(t.dtype, isVector ? 4 : 1)}>`;
  return `@group(0) @binding(${index}) var<storage, ${t.access}> ${t.name}: ${type};  // ${t.comment}`;
}

function declarations(used: Iterable<{ readonly fn: DeclaredFn; readonly width: 1 | 4 }>): readonly string[] {
  const written = new Set<string>();
  const lines: string[] = [];
  const add = (fn: DeclaredFn, width: 1 | 4): void => {
    const declaration = DECLARATIONS[fn];
    if (declaration === undefined || written.has(`${fn}_${width}`)) return;
    written.add(`${fn}_${width}`);
    for (const needed of declaration.needs) add(needed, width);
    lines.push(declaration.text(width), "");
  };
  for (const { fn, width } of used) add(fn, width);
  return lines;
}
