import type { DType, TensorType } from "../graph/index.ts";
import {
  type AxisExpr,
  type Expr,
  KernelBuilder,
  type SegmentKernel,
  type SegmentStage,
} from "../kernel/index.ts";
import type { DeviceProfile } from "../program/index.ts";
import type { Group } from "./fuse.ts";
import { type BuildContext, describe, shapeOf } from "./kernels.ts";
import { Lowering } from "./lower.ts";

/** Keys that a workgroup sorts at most: 8 KiB of its memory, and few enough stages to keep its invocations at work. */
const LARGEST_BLOCK = 2048;
/** Items that one invocation sums without a second kernel for what crosses chunks. */
const SHORT = 32;

/** Sizes of the stages on a GPU. */
export interface SegmentPlan {
  /** Items that a workgroup sorts, a power of two. */
  readonly block: number;
  readonly blocks: number;
  /** Items that an invocation sums. */
  readonly chunk: number;
  readonly chunks: number;
}

/**
 * @param items at least 1
 * @param rows of the result: a key `row * block + place` stays below the greatest u32
 */
export function planSegment(profile: DeviceProfile, items: number, rows: number): SegmentPlan {
  const most = Math.min(LARGEST_BLOCK, profile.maxComputeWorkgroupStorageSize / 4);
  let block = 2;
  while (block < items && block * 2 <= most && rows * block * 2 < 2 ** 32) block *= 2;
  // As many chunks as items in a chunk: neither summing nor joining is long, even where all items are of one row.
  let chunk = SHORT;
  while (chunk * chunk < items) chunk *= 2;
  return { block, blocks: Math.ceil(items / block), chunk, chunks: Math.ceil(items / chunk) };
}

/**
 * The kernels of sums of equal indices, in order. A CPU behind the driver has few invocations to keep busy: one for every
 * few columns, which adds item after item. A GPU sorts the items by row first and sums chunks of them side by side.
 */
export function buildSegment(context: BuildContext, group: Group): readonly SegmentKernel[] {
  const { work, profile } = context;
  const hero = group.vertices[0]!;
  const node = work.node(hero);
  const [updatesId, indicesId] = [node.inputs[0]!, node.inputs[1]!];
  const items = work.count(indicesId);
  const columns = work.count(updatesId) / items;
  const width = columns % 4 === 0 ? 4 : 1;
  const outTensor = context.homes.bindingOf(hero);
  const rows = work.count(hero) / columns;

  /** Expressions of each kernel are its own, as kernels are told apart by them. */
  const make = (
    stageOf: (axes: { readonly column: AxisExpr; readonly value: Expr }) => SegmentStage,
    bound: { readonly read: readonly number[]; readonly written: readonly number[] },
    workgroupSize: number,
    prefix: string,
  ): SegmentKernel => {
    const b = new KernelBuilder();
    const item = b.axis("item", items);
    const column = b.axis("column", columns, width);
    const lowering = new Lowering(work, context.realized, b);
    const updateIndex = b.addIndex(b.scaleIndex(item, columns), column);
    const value = lowering.element(updatesId, b.delinearize(updateIndex, shapeOf(context, updatesId)));
    const row = lowering.element(indicesId, b.delinearize(item, shapeOf(context, indicesId)));
    // As a gather of those rows: an index that is none, from broken data, must not leave the tensor.
    const rowIndex = b.call("min", b.call("max", row, b.constant("i32", 0)), b.constant("i32", rows - 1));
    const stage = stageOf({ column, value });
    const roots = [...("value" in stage ? [value] : []), ...(stage.kind === "rank" ? [] : [rowIndex])];
    const { name, ...rest } = describe(context, group, roots, [], bound.read, bound.written);
    return {
      kind: "segment",
      item,
      rowIndex,
      stage,
      workgroupSize,
      flops: "value" in stage ? items * columns : 0,
      ...rest,
      name: prefix === "" ? name : `${prefix}_${name}`,
    };
  };

  if (profile.deviceClass === "software") {
    const columnwise = make(
      ({ column, value }) => ({ kind: "columns", column, width, value, outTensor }),
      { read: [], written: [outTensor] },
      4,
      "",
    );
    return [columnwise];
  }

  const { block, blocks, chunk, chunks } = planSegment(profile, items, rows);
  const tensor = (slot: number, name: string, dtype: DType, shape: readonly number[]): number => {
    const id = -(3 * group.id + slot);
    const type: TensorType = { dtype, shape };
    context.extraTensors.set(id, { id, label: `${node.origin.label}_${name}`, type });
    return id;
  };
  const order = tensor(1, "order", "i32", [items]);
  const kernels: SegmentKernel[] = [];
  const sortSize = Math.min(256, block / 2, profile.maxComputeInvocationsPerWorkgroup);
  if (blocks === 1) {
    const sorted: SegmentStage = { kind: "sort", block, writes: "order", outTensor: order };
    kernels.push(make(() => sorted, { read: [], written: [order] }, sortSize, "sort"));
  } else {
    const keys = tensor(2, "keys", "u32", [blocks * block]);
    const sorted: SegmentStage = { kind: "sort", block, writes: "keys", outTensor: keys };
    const ranked: SegmentStage = { kind: "rank", block, keysTensor: keys, outTensor: order };
    kernels.push(make(() => sorted, { read: [], written: [keys] }, sortSize, "sort"));
    kernels.push(make(() => ranked, { read: [keys], written: [order] }, 64, "rank"));
  }
  const partial = chunks === 1 ? undefined : tensor(3, "partial", node.type.dtype, [chunks, columns]);
  kernels.push(
    make(
      ({ column, value }) => ({
        kind: "sum",
        column,
        width,
        value,
        chunk,
        orderTensor: order,
        partialTensor: partial,
        outTensor,
      }),
      { read: [order], written: partial === undefined ? [outTensor] : [partial, outTensor] },
      64,
      "",
    ),
  );
  if (partial !== undefined)
    kernels.push(
      make(
        ({ column }) => ({
          kind: "join",
          column,
          width,
          chunk,
          orderTensor: order,
          partialTensor: partial,
          outTensor,
        }),
        { read: [order, partial], written: [outTensor] },
        64,
        "join",
      ),
    );
  return kernels;
}
