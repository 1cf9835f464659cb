import type { Analysis } from "./analysis.ts";
import { axisOutOfRange, operandKinds, primitiveUsage } from "./errors.ts";
import { exactInt } from "./numbers.ts";
import type { Primitive } from "./primitives.ts";
import type { Given } from "./signature.ts";
import { errorValue, type TensorValue } from "./value.ts";

export function reduceUsage(fn: string): string {
  return `${fn}(x, axis: -1, keep: true)`;
}

/** `sum(x)`, `sum(x, axis: -1, keep: false)`, `sum(x, axis: [0, 1])`. */
export function reduce(fn: "sum" | "mean" | "max"): Primitive {
  return (a, call, given, env, label) => {
    const positional = given.filter((g) => g.name === undefined);
    const axis = given.find((g) => g.name?.text === "axis");
    const keep = given.find((g) => g.name?.text === "keep");
    const [x] = positional;
    const known = positional.length + (axis === undefined ? 0 : 1) + (keep === undefined ? 0 : 1);
    if (x === undefined || positional.length !== 1 || known !== given.length) {
      return a.fail(primitiveUsage(call.span, fn, reduceUsage(fn)));
    }
    if (given.some((g) => g.value.kind === "error")) return errorValue;
    const tensor = x.value;
    const integers = fn !== "mean";
    if (tensor.kind !== "tensor" || !(tensor.dtype === "f32" || (integers && tensor.dtype === "i32"))) {
      return a.fail(
        operandKinds(call.callee.span, fn, [x], fn === "mean" ? "an f32 tensor" : "a tensor of numbers"),
      );
    }
    if (keep !== undefined && keep.value.kind !== "bool") {
      return a.fail(operandKinds(keep.span, `keep of ${fn}`, [keep], "true or false"));
    }
    const axes = axis === undefined ? tensor.dims.map((_, i) => i) : readAxes(a, fn, axis, tensor);
    if (axes === undefined) return errorValue;
    const kept = keep?.value.kind === "bool" ? keep.value.value : axis !== undefined;
    const dims = tensor.dims.flatMap((dim, i) => (!axes.includes(i) ? [dim] : kept ? [{ size: 1 }] : []));
    const origin = { path: env.path, span: call.span, label };
    return a.emit({ op: "reduce", fn, axes, keep: kept }, [tensor.id], tensor.dtype, dims, origin);
  };
}

function readAxes(a: Analysis, fn: string, axis: Given, tensor: TensorValue): readonly number[] | undefined {
  const values = axis.value.kind === "list" ? axis.value.elements : [axis.value];
  const axes = new Set<number>();
  for (const value of values) {
    if (value.kind === "error") return undefined;
    const at = readAxis(a, fn, { value, span: axis.span }, tensor);
    if (at === undefined) return undefined;
    axes.add(at);
  }
  return [...axes].sort((p, q) => p - q);
}

/** An axis counted from 0, or from the end with a minus; undefined where it is none, which is reported. */
export function readAxis(a: Analysis, fn: string, axis: Given, tensor: TensorValue): number | undefined {
  const rank = tensor.dims.length;
  const at = exactInt(axis.value);
  if (at === undefined) {
    a.report(operandKinds(axis.span, `axis of ${fn}`, [axis], "an int"));
    return undefined;
  }
  if (at < -rank || at >= rank) {
    a.report(axisOutOfRange(axis.span, at, tensor));
    return undefined;
  }
  return at < 0 ? at + rank : at;
}
