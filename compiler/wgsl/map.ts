import type { MapKernel } from "../kernel/index.ts";
import { Emitter } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";

export function printMap(kernel: MapKernel, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const axis = adopted.axis(kernel.axis);
  const lane = kernel.width === 4 ? axis : undefined;
  const stores = adopted.stores(kernel.stores);
  const roots = stores.map((s) => s.value);
  const vectors = new Set(bound);
  collectVectorLoads(roots, lane, vectors);
  collectVectorStores(stores, lane, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  emitter.expect([...roots, ...stores.map((s) => s.index)]);
  const body = (at: string): void => {
    emitter.line(`let ${kernel.axis.name} = ${at};`);
    emitter.bindAxis(axis, kernel.axis.name);
    // All values first: a state that one store replaces may be read by the value of another.
    const values = stores.map((s) => emitter.emit(s.value, lane));
    stores.forEach((s, i) => {
      emitter.store(s.tensor, s.index, values[i]!, lane);
    });
  };
  const scale = kernel.width === 4 ? " * 4" : "";
  const size = kernel.workgroupSize;
  if (kernel.vectorsPerInvocation === 1) body(`invocation${scale}`);
  else {
    const perGroup = size * kernel.vectorsPerInvocation;
    const last = kernel.axis.extent / kernel.width;
    emitter.line(`let first = workgroup * ${perGroup} + local;`);
    emitter.block(
      `for (var vector = first; vector < min(first + ${perGroup}, ${last}); vector += ${size})`,
      () => body(`vector${scale}`),
    );
  }
  return { vectorTensors: vectors, emitter, wholeWorkgroups: false, workgroupVariables: [] };
}
