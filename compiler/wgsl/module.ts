import {
  type AxisExpr,
  dependsOn,
  type Expr,
  type Kernel,
  KernelBuilder,
  type KernelTensor,
  launchOf,
  type ScalarFn,
  type Store,
  walk,
} from "../kernel/index.ts";
import { type Emitter, isVectorIndex } from "./emitter.ts";
import { DECLARATIONS, storageType } from "./spelling.ts";

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

/**
 * A whole WGSL module around the body of `main`. The body finds `invocation` (i32, the linear number of this invocation,
 * below the kernel's count), `workgroup` and `local`.
 */
export function writeModule(
  kernel: Kernel,
  vectorTensors: ReadonlySet<number>,
  emitter: Emitter,
  options: { readonly wholeWorkgroups: boolean; readonly workgroupVariables: readonly string[] },
): string {
  const bindings = kernel.tensors.map((t, i) => bindingLine(t, i, vectorTensors.has(t.tensor)));
  const { invocations, workgroups } = launchOf(kernel);
  const guard = options.wholeWorkgroups
    ? `if (workgroup >= ${workgroups}) { return; }`
    : `if (invocation >= ${invocations}) { return; }`;
  return [
    `// ${kernel.name}`,
    ...kernel.comments.map((comment) => `//   ${comment}`),
    ...bindings,
    ...options.workgroupVariables,
    "",
    ...declarations(emitter.functions.values()),
    `@compute @workgroup_size(${kernel.workgroupSize})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,",
    "        @builtin(local_invocation_index) local_index: u32) {",
    "  let workgroup = i32(group.x + group.y * groups.x);",
    "  let local = i32(local_index);",
    `  let invocation = workgroup * ${kernel.workgroupSize} + local;`,
    `  ${guard}`,
    ...emitter.text().map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
}

function bindingLine(t: KernelTensor, index: number, isVector: boolean): string {
  const type = `array<${storageType(t.dtype, isVector ? 4 : 1)}>`;
  return `@group(0) @binding(${index}) var<storage, ${t.access}> ${t.name}: ${type};  // ${t.comment}`;
}

function declarations(used: Iterable<{ readonly fn: ScalarFn; readonly width: 1 | 4 }>): readonly string[] {
  const written = new Set<string>();
  const lines: string[] = [];
  const add = (fn: ScalarFn, width: 1 | 4): void => {
    const declaration = DECLARATIONS[fn];
    if (declaration === undefined || written.has(`${fn}_${width}`)) return;
    written.add(`${fn}_${width}`);
    for (const needed of declaration.needs) add(needed, width);
    lines.push(declaration.text(width), "");
  };
  for (const { fn, width } of used) add(fn, width);
  return lines;
}
