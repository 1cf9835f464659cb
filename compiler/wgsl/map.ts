import type { MapKernel, SegmentKernel } from "../kernel/index.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, writeModule } from "./module.ts";
import { valueType } from "./spelling.ts";

export function printMap(kernel: MapKernel): string {
  const adopted = new Adopted();
  const axis = adopted.axis(kernel.axis);
  const lane = kernel.width === 4 ? axis : undefined;
  const stores = adopted.stores(kernel.stores);
  const roots = stores.map((s) => s.value);
  const vectors = new Set<number>();
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
  return writeModule(kernel, vectors, emitter, { wholeWorkgroups: false, workgroupVariables: [] });
}

/** Sums of equal indices: each head walks its chain in ascending order. */
export function printSegment(kernel: SegmentKernel): string {
  const adopted = new Adopted();
  const item = adopted.axis(kernel.item);
  const column = adopted.axis(kernel.column);
  const lane = kernel.width === 4 ? column : undefined;
  const { b } = adopted;
  const link = b.axis("link", kernel.item.extent);
  const value = b.substitute(adopted.expr(kernel.value), new Map([[item, link]]));
  const outIndex = b.addIndex(b.scaleIndex(adopted.expr(kernel.rowIndex), kernel.column.extent), column);
  const vectors = new Set<number>();
  collectVectorLoads([value], lane, vectors);
  collectVectorStores([{ tensor: kernel.outTensor, index: outIndex, value }], lane, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  const nameOf = (tensor: number) => kernel.tensors.find((t) => t.tensor === tensor)!.name;
  const columns = kernel.column.extent / kernel.width;
  emitter.expect([value, outIndex]);
  emitter.line(`let item = invocation / ${columns};`);
  emitter.line(`let column = (invocation % ${columns}) * ${kernel.width};`);
  emitter.bindAxis(item, "item");
  emitter.bindAxis(column, "column");
  emitter.line(`if (${nameOf(kernel.headTensor)}[item] == 0) { return; }`);
  emitter.line(`var total = ${valueType(kernel.value.dtype, kernel.width)}(0);`);
  emitter.line("var link = item;");
  emitter.block(`while (link < ${kernel.item.extent})`, () => {
    emitter.line("let at = link;");
    emitter.bindAxis(link, "at");
    emitter.line(`total += ${splat(emitter.emit(value, lane), kernel.value.dtype, kernel.width)};`);
    emitter.line(`link = ${nameOf(kernel.nextTensor)}[at];`);
  });
  emitter.store(kernel.outTensor, outIndex, { text: "total", width: kernel.width }, lane);
  return writeModule(kernel, vectors, emitter, { wholeWorkgroups: false, workgroupVariables: [] });
}
