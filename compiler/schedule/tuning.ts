import type { NodeId } from "../graph/index.ts";
import { type Kernel, kernelIdentity, type PartKernel, partsOf } from "../kernel/index.ts";
import { type DeviceProfile, shortHash, type Tuning } from "../program/index.ts";
import type { Dispatch } from "./dispatch.ts";
import { kernelShape } from "./print.ts";
import { neutral, variantName, variantsOf } from "./variants.ts";

/** A kernel as something to tune: what decides its speed, and the ways in which it can be written. */
export interface KernelProblem {
  /**
   * Kind and extents in words, then a hash of all that it computes from which types and layouts, whichever variant the cost
   * model has chosen. A part of a dispatch has keys of its own, as its workgroups have the size of the whole's.
   */
  readonly key: string;
  readonly kernel: PartKernel;
  /** The variant that the kernel is. */
  readonly chosen: string;
  /** Names of all variants, `chosen` first. */
  readonly variants: readonly string[];
}

/** Tuning data that names a variant which the kernel does not have on this device. */
export class UnknownVariantError extends Error {
  override readonly name = "UnknownVariantError";
}

/**
 * In tuning data in place of a variant: the kernel was wrong on the device, whichever variant it was, and all that it would
 * compute is computed by one kernel an op.
 */
export const ONE_OP_A_KERNEL = "one op a kernel";

/** What can be tuned in a kernel: its parts, each by itself. */
export function problemsOf(kernel: Kernel, profile: DeviceProfile): readonly KernelProblem[] {
  const parts = partsOf(kernel);
  return parts.map((part) => {
    const variants = variantsOf(part, profile, parts.length === 1).map(({ name }) => name);
    return { key: keyOf(part, parts.length === 1), kernel: part, chosen: variantName(part), variants };
  });
}

/**
 * The kernel with the part of that key written as `variant`.
 * @throws UnknownVariantError naming the variants that it has
 */
export function withVariant(kernel: Kernel, key: string, variant: string, profile: DeviceProfile): Kernel {
  return chosenFor(kernel, { [key]: variant }, profile, "refuse").kernel;
}

/** What to do with a variant that the kernel does not have: `ignore` keeps the cost model's. */
export type UnknownVariants = "refuse" | "ignore";

/**
 * Dispatches with the variants that the tuning data names.
 * @returns also the choices that are not the cost model's, and those that were ignored
 * @throws UnknownVariantError naming kernel, variant and the variants that it has, unless they are to be ignored
 */
export function tuned(
  dispatches: readonly Dispatch[],
  tuning: Tuning,
  profile: DeviceProfile,
  unknown: UnknownVariants,
): { readonly dispatches: readonly Dispatch[]; readonly chosen: Tuning; readonly ignored: Tuning } {
  const chosen: Record<string, string> = {};
  const ignored: Record<string, string> = {};
  const made = dispatches.map((dispatch) => {
    const found = chosenFor(dispatch.kernel, tuning, profile, unknown);
    Object.assign(chosen, found.chosen);
    Object.assign(ignored, found.ignored);
    return found.kernel === dispatch.kernel ? dispatch : { ...dispatch, kernel: found.kernel };
  });
  return { dispatches: made, chosen, ignored };
}

/** Nodes of the kernels that must not be, by the key of the kernel. */
export function distrustedNodes(
  dispatches: readonly Dispatch[],
  tuning: Tuning,
): ReadonlyMap<string, readonly NodeId[]> {
  const found = new Map<string, readonly NodeId[]>();
  if (!Object.values(tuning).includes(ONE_OP_A_KERNEL)) return found;
  for (const { kernel, nodes, nodesOfParts = [nodes] } of dispatches) {
    const parts = partsOf(kernel);
    parts.forEach((part, i) => {
      const key = keyOf(part, parts.length === 1);
      if (Object.hasOwn(tuning, key) && tuning[key] === ONE_OP_A_KERNEL)
        found.set(key, [...(found.get(key) ?? []), ...nodesOfParts[i]!]);
    });
  }
  return found;
}

function chosenFor(
  kernel: Kernel,
  tuning: Tuning,
  profile: DeviceProfile,
  unknown: UnknownVariants,
): { readonly kernel: Kernel; readonly chosen: Tuning; readonly ignored: Tuning } {
  const parts = partsOf(kernel);
  const isAlone = parts.length === 1;
  const chosen: Record<string, string> = {};
  const ignored: Record<string, string> = {};
  const made = parts.map((part) => {
    const key = keyOf(part, isAlone);
    const wanted = Object.hasOwn(tuning, key) ? tuning[key] : undefined;
    if (wanted === undefined || wanted === ONE_OP_A_KERNEL || wanted === variantName(part)) return part;
    const variants = variantsOf(part, profile, isAlone);
    const variant = variants.find(({ name }) => name === wanted);
    if (variant === undefined) {
      if (unknown === "refuse") throw unknownVariant(part, wanted, variants);
      ignored[key] = wanted;
      return part;
    }
    chosen[key] = wanted;
    return variant.make();
  });
  if (Object.keys(chosen).length === 0) return { kernel, chosen, ignored };
  return { kernel: kernel.kind === "beside" ? { ...kernel, parts: made } : made[0]!, chosen, ignored };
}

function unknownVariant(
  kernel: PartKernel,
  wanted: string,
  variants: readonly { readonly name: string }[],
): UnknownVariantError {
  const known = variants.map(({ name }) => `\`${name}\``).join(", ");
  return new UnknownVariantError(
    `the tuning data wants the kernel \`${kernel.name}\` as \`${wanted}\`; on this device it can be ${known}`,
  );
}

function keyOf(kernel: PartKernel, isAlone: boolean): string {
  const company = isAlone ? "" : ` beside others in workgroups of ${kernel.workgroupSize}`;
  return `${kernel.kind} ${kernelShape(kernel)}${company} #${shortHash(kernelIdentity(neutral(kernel)))}`;
}
