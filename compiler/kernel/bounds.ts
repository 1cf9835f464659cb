import { type Expr, walk } from "./expr.ts";
import { type Kernel, partsOf, rootsOf, storesOf } from "./kernel.ts";

/**
 * Proves that a kernel stays within the tensors that it binds, from the ranges that index expressions carry: whatever lies
 * in the buffers, no element before or behind a tensor is read or written. So devices need not check it at every access.
 * What the stages of segment sums read through an order of items is in range by how the order is made.
 * @throws Error naming the tensor and the range
 */
export function checkBounds(kernel: Kernel): void {
  for (const part of partsOf(kernel)) {
    const tensors = new Map(part.tensors.map((tensor) => [tensor.tensor, tensor]));
    const check = (id: number, index: Expr, what: "reads" | "writes"): void => {
      const tensor = tensors.get(id);
      if (tensor === undefined)
        throw new Error(`kernel: ${part.name} ${what} a tensor that it does not bind`);
      const count = tensor.boundCount ?? tensor.elementCount;
      if (index.min >= 0 && index.max < count) return;
      throw new Error(
        `kernel: ${part.name} ${what} elements ${index.min} to ${index.max} of ${tensor.name}, which has ${count}`,
      );
    };
    walk(rootsOf(part), (e) => {
      if (e.kind === "load") check(e.tensor, e.index, "reads");
    });
    for (const store of storesOf(part)) check(store.tensor, store.index, "writes");
    if (part.kind === "matmul" && part.rhsSum !== undefined)
      check(part.rhsSum.tensor, part.rhsSum.index, "writes");
    if (part.kind === "segment" && "column" in part.stage) {
      const { column, outTensor } = part.stage;
      const { rowIndex } = part;
      const rows = tensors.get(outTensor)!.elementCount / column.extent;
      if (rowIndex.min < 0 || rowIndex.max >= rows)
        throw new Error(
          `kernel: ${part.name} writes rows ${rowIndex.min} to ${rowIndex.max} of a tensor that has ${rows}`,
        );
    }
  }
}
