import type { NodeId } from "../graph/index.ts";
import { type ExpressionKernel, retargeted, tensorsWritten } from "../kernel/index.ts";
import type { Group } from "./fuse.ts";
import { type BuildContext, buildKernel, describeBindings } from "./kernels.ts";

/** A kernel that was built, and the tensors of its group by position. */
interface Pattern {
  readonly kernel: ExpressionKernel;
  readonly tensors: readonly number[];
}

/** Builds one kernel of each structure; those of equal groups, in other layers, are the same on other tensors. */
export class KernelPatterns {
  readonly #context: BuildContext;
  readonly #patterns = new Map<string, Pattern>();

  constructor(context: BuildContext) {
    this.#context = context;
  }

  kernelOf(group: Group): ExpressionKernel {
    const { key, tensors } = this.#keyOf(group);
    const pattern = this.#patterns.get(key);
    if (pattern === undefined) {
      const kernel = buildKernel(this.#context, group);
      this.#patterns.set(key, { kernel, tensors });
      return kernel;
    }
    const own = new Map(pattern.tensors.map((tensor, i) => [tensor, tensors[i]!]));
    const ownOf = (tensor: number): number => {
      const found = own.get(tensor);
      if (found === undefined) throw new Error(`schedule: an equal kernel has no tensor ${tensor}`);
      return found;
    };
    const kernel = retargeted(pattern.kernel, ownOf);
    const bound = pattern.kernel.tensors.map(({ tensor }) => ownOf(tensor));
    return { ...kernel, ...describeBindings(this.#context, group, bound, tensorsWritten(kernel)) };
  }

  /** What the expressions of a group's kernel depend on, and the tensors that it reads or stores into. */
  #keyOf(group: Group): { readonly key: string; readonly tensors: readonly number[] } {
    const { structures, plan, work, homes } = this.#context;
    const structure = structures.of(group.vertices);
    const tensors = [...structure.tensors];
    const storeOf = (id: NodeId): string => {
      if (!plan.stored.has(id) && id !== group.rhsSum) return "";
      const window = work.windows.get(id);
      const target = window?.of ?? homes.bindingOf(id);
      if (!tensors.includes(target)) tensors.push(target);
      const place = window === undefined ? "" : ` ${window.offset} ${window.width} ${window.pitch}`;
      return `${tensors.indexOf(target)}${place}${id === group.rhsSum ? " sum" : ""}`;
    };
    const stores = group.vertices.map(storeOf).join(",");
    return { key: `${structure.kind} ${group.kind} ${group.rowShape?.key} ${stores}`, tensors };
  }
}
