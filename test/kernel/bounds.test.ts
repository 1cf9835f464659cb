import { describe, expect, test } from "vitest";
import { checkBounds, type Expr, KernelBuilder, type MapKernel } from "../../compiler/kernel/index.ts";

/** Copies elements of x, f32[8], to y, f32[8]. */
function copy(indexOf: (b: KernelBuilder, i: Expr) => { readonly from: Expr; readonly to: Expr }): MapKernel {
  const b = new KernelBuilder();
  const axis = b.axis("i", 8);
  const { from, to } = indexOf(b, axis);
  const tensor = (id: number, name: string, access: "read" | "read_write") =>
    ({ tensor: id, name, dtype: "f32", elementCount: 8, access, comment: "" }) as const;
  return {
    kind: "map",
    name: "copy",
    comments: [],
    tensors: [tensor(1, "x", "read"), tensor(2, "y", "read_write")],
    workgroupSize: 1,
    flops: 0,
    rules: [],
    axis,
    width: 1,
    vectorsPerInvocation: 1,
    stores: [{ tensor: 2, index: to, value: b.load("f32", 1, from) }],
  };
}

describe("no kernel leaves its tensors", () => {
  const plus = (b: KernelBuilder, i: Expr, n: number) => b.addIndex(i, b.constant("i32", n));

  test("every element of each is in range", () => {
    expect(() => checkBounds(copy((_b, i) => ({ from: i, to: i })))).not.toThrow();
    expect(() =>
      checkBounds(copy((b, i) => ({ from: b.modulo(plus(b, i, 3), 8), to: b.floorDiv(i, 2) }))),
    ).not.toThrow();
  });

  test("one element too far is refused, read or written, before or behind", () => {
    const refused = (indexOf: Parameters<typeof copy>[0]) => expect(() => checkBounds(copy(indexOf)));
    refused((b, i) => ({ from: plus(b, i, 1), to: i })).toThrow(
      "copy reads elements 1 to 8 of x, which has 8",
    );
    refused((b, i) => ({ from: plus(b, i, -1), to: i })).toThrow("reads elements -1 to 6 of x");
    refused((b, i) => ({ from: i, to: b.scaleIndex(i, 2) })).toThrow("writes elements 0 to 14 of y");
  });

  test("an index from data must be clamped", () => {
    const fromData = (b: KernelBuilder, i: Expr) => b.cast("i32", b.load("f32", 1, i));
    const clamped = (b: KernelBuilder, i: Expr, last: number) =>
      b.call("min", b.call("max", fromData(b, i), b.constant("i32", 0)), b.constant("i32", last));
    expect(() => checkBounds(copy((b, i) => ({ from: clamped(b, i, 7), to: i })))).not.toThrow();
    expect(() => checkBounds(copy((b, i) => ({ from: clamped(b, i, 8), to: i })))).toThrow(
      "elements 0 to 8 of x",
    );
    expect(() => checkBounds(copy((b, i) => ({ from: fromData(b, i), to: i })))).toThrow("reads elements -");
  });
});
