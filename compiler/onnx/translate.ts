import type { DType } from "../program/index.ts";
import type { OnnxBuilder, Operand } from "./build.ts";
import { einsumNodes } from "./contraction.ts";
import { binaryNode, castNode, unaryNode, whereNode } from "./elementwise.ts";
import type { OnnxElement } from "./model.ts";
import { layerNormAt, softmaxAt } from "./patterns.ts";
import { constantOf, sameSize, sameSizes } from "./size.ts";
import type { SizedInstruction } from "./sized.ts";

/** An input that counts the elements of a row: gathering by it changes nothing. */
export interface TranslatedInput extends Operand {
  readonly every?: boolean;
}

export function elementOf(dtype: DType): OnnxElement {
  switch (dtype) {
    case "i32":
      return "int32";
    case "bool":
      return "bool";
    case "f32":
      return "float";
    default:
      throw new Error(`the language has no tensors of ${dtype}`);
  }
}

/**
 * Adds the nodes of one instruction.
 * @param values results of the instructions before
 * @param inputs the model's inputs, by the spec's names
 */
export function translate(
  b: OnnxBuilder,
  model: readonly SizedInstruction[],
  id: number,
  values: readonly TranslatedInput[],
  inputs: ReadonlyMap<string, TranslatedInput>,
): TranslatedInput {
  const sized = model[id];
  if (sized === undefined) throw new Error(`there is no instruction ${id}`);
  const { instruction, shape } = sized;
  const operands = instruction.inputs.map((input) => valueAt(values, input));
  const [x, y, z] = operands;
  const element = elementOf(instruction.type.dtype);
  const result = (name: string): Operand => ({ name, element, shape });
  const first = (): Operand => x ?? missing(instruction.op);
  switch (instruction.op) {
    case "input":
      return inputs.get(instruction.name) ?? missing(instruction.name);
    case "parameter":
      return result(instruction.name);
    case "fill":
      return result(fill(b, sized, element));
    case "iota":
      return result(counted(b, sized));
    case "unary":
      return instruction.fn === "stop_gradient"
        ? first()
        : result(unaryNode(b, instruction.fn, first().name));
    case "binary":
      return result(fused(b, model, id, values) ?? binaryNode(b, instruction.fn, first(), y ?? missing("y")));
    case "where":
      return result(whereNode(b, first().name, y ?? missing("y"), z ?? missing("z")));
    case "cast":
      return result(castNode(b, first(), element));
    case "reduce":
      return result(reduced(b, instruction, first()));
    case "matmul":
      return result(b.node("MatMul", [first().name, (y ?? missing("y")).name]));
    case "einsum":
      return einsumNodes(b, operands, instruction.labels, instruction.out);
    case "rearrange":
      return b.reshape(b.transpose(b.reshape(first(), sized.split), instruction.perm), shape);
    case "take":
      return result(
        b.node("Gather", [first().name, (y ?? missing("y")).name], { axis: { kind: "int", value: 0 } }),
      );
    case "gather":
      return gathered(b, first(), y ?? missing("y"), result);
    // Identity in evaluation.
    case "drop":
      return first();
    case "slice":
      return sliced(b, sized, instruction.dropped, first());
    case "concat":
      return result(
        b.node(
          "Concat",
          operands.map((operand) => operand.name),
          { axis: { kind: "int", value: instruction.axis } },
        ),
      );
    default:
      return instruction satisfies never;
  }
}

function valueAt(values: readonly TranslatedInput[], id: number): TranslatedInput {
  return values[id] ?? missing(`value ${id}`);
}

function missing(what: string): never {
  throw new Error(`ONNX export: ${what} is missing`);
}

/** What an operator of ONNX computes as a whole. */
function fused(
  b: OnnxBuilder,
  model: readonly SizedInstruction[],
  id: number,
  values: readonly Operand[],
): string | undefined {
  const softmax = softmaxAt(model, id);
  if (softmax !== undefined) {
    const { x, axis } = softmax;
    return b.node("Softmax", [valueAt(values, x).name], { axis: { kind: "int", value: axis } });
  }
  const norm = layerNormAt(model, id);
  if (norm === undefined) return undefined;
  const operands = [norm.x, norm.scale, norm.shift].map((input) => valueAt(values, input).name);
  return b.node("LayerNormalization", operands, {
    axis: { kind: "int", value: -1 },
    epsilon: { kind: "float", value: norm.epsilon },
  });
}

function fill(b: OnnxBuilder, { instruction, shape, value }: SizedInstruction, element: OnnxElement): string {
  const number = instruction.op === "fill" ? instruction.value : 0;
  if (value === undefined && shape.length === 0) return b.scalar(element, number);
  if (value !== undefined) {
    const one = b.cast(b.size(value), element);
    return shape.length === 0
      ? b.node("Squeeze", [one, b.integers([0])])
      : b.node("Expand", [one, b.sizes(shape)]);
  }
  if (element === "bool") return b.node("Expand", [b.scalar(element, number), b.sizes(shape)]);
  return b.node("ConstantOfShape", [b.sizes(shape)], {
    value: { kind: "tensor", element: element === "float" ? "float" : "int32", value: number },
  });
}

/** int32 [n]: 0 .. n-1 */
function counted(b: OnnxBuilder, { shape }: SizedInstruction): string {
  const [size] = shape;
  const end = b.node("Squeeze", [b.cast(b.size(size ?? []), "int32"), b.integers([0])]);
  return b.node("Range", [b.scalar("int32", 0), end, b.scalar("int32", 1)]);
}

function reduced(
  b: OnnxBuilder,
  instruction: SizedInstruction["instruction"] & { readonly op: "reduce" },
  x: Operand,
): string {
  const { fn, axes, keep } = instruction;
  if (axes.length === 0) return x.name;
  const keepdims = { kind: "int", value: keep ? 1 : 0 } as const;
  if (fn === "sum") return b.node("ReduceSum", [x.name, b.integers(axes)], { keepdims });
  const op = fn === "mean" ? "ReduceMean" : "ReduceMax";
  return b.node(op, [x.name], { axes: { kind: "ints", value: axes }, keepdims });
}

/** x [B, T, ...rest] at indices [B, P] */
function gathered(
  b: OnnxBuilder,
  x: Operand,
  indices: TranslatedInput,
  result: (name: string) => Operand,
): Operand {
  if (indices.every === true && sameSizes(x.shape.slice(0, 2), indices.shape)) return x;
  const places = b.node("Unsqueeze", [b.cast(indices.name, "int64"), b.integers([2])]);
  return result(b.node("GatherND", [x.name, places], { batch_dims: { kind: "int", value: 1 } }));
}

function sliced(b: OnnxBuilder, sized: SizedInstruction, dropped: readonly number[], x: Operand): Operand {
  const { start, end, shape } = sized;
  const cut = x.shape.flatMap((size, axis) => {
    const isWhole = constantOf(start[axis] ?? []) === 0 && sameSize(end[axis] ?? [], size);
    return isWhole ? [] : [axis];
  });
  const [only, second] = cut;
  const place = only === undefined ? undefined : constantOf(start[only] ?? []);
  // One row, as other exporters write it.
  if (
    only !== undefined &&
    second === undefined &&
    place !== undefined &&
    dropped.includes(only) &&
    dropped.length === 1
  ) {
    const name = b.node("Gather", [x.name, b.scalar("int64", place)], { axis: { kind: "int", value: only } });
    return { ...x, name, shape };
  }
  const bounds = [start, end].map((bound) => b.sizes(cut.map((axis) => bound[axis] ?? [])));
  const name = cut.length === 0 ? x.name : b.node("Slice", [x.name, ...bounds, b.integers(cut)]);
  if (dropped.length === 0) return { ...x, name, shape };
  return { ...x, name: b.node("Squeeze", [name, b.integers(dropped)]), shape };
}
