import { type Kernel, partsOf, rootsOf, walk } from "../kernel/index.ts";

/** A value that tells an invocation its place among subgroups: an i32 of the bodies, from a builtin. */
export interface SubgroupValue {
  readonly name: "subgroup" | "lane" | "subgroups";
  readonly builtin: "subgroup_id" | "subgroup_invocation_id" | "num_subgroups";
}

const VALUES: readonly SubgroupValue[] = [
  { name: "subgroup", builtin: "subgroup_id" },
  { name: "lane", builtin: "subgroup_invocation_id" },
  { name: "subgroups", builtin: "num_subgroups" },
];

/** Those that a kernel's body reads. */
export function subgroupValuesOf(kernel: Kernel): readonly SubgroupValue[] {
  if (usesSubgroupRows(kernel)) return VALUES;
  return usesMatrices(kernel) ? VALUES.slice(0, 1) : [];
}

/** The directives with which a module begins. */
export function enablesOf(kernel: Kernel): readonly string[] {
  return [
    ...(usesF16(kernel) ? ["enable f16;"] : []),
    ...(subgroupValuesOf(kernel).length > 0 ? ["enable subgroups;"] : []),
    ...(usesMatrices(kernel) ? ["enable chromium_experimental_subgroup_matrix;"] : []),
  ];
}

function usesSubgroupRows(kernel: Kernel): boolean {
  return partsOf(kernel).some((part) => part.kind === "row" && part.subgroups !== undefined);
}

function usesMatrices(kernel: Kernel): boolean {
  return partsOf(kernel).some((part) => part.kind === "matmul" && part.matrices !== undefined);
}

function usesF16(kernel: Kernel): boolean {
  if (kernel.tensors.some((tensor) => tensor.dtype === "f16")) return true;
  let found = false;
  walk(rootsOf(kernel), (e) => {
    if (e.dtype === "f16") found = true;
  });
  return found;
}
