import type { OnnxBuilder, Operand } from "./build.ts";
import type { Size } from "./size.ts";

type Labels = readonly number[];

interface Labelled {
  readonly tensor: Operand;
  readonly labels: Labels;
}

/** An einsum of one or two operands, as MatMul where it is a product of (batches of) matrices. */
export function einsumNodes(
  b: OnnxBuilder,
  operands: readonly Operand[],
  labels: readonly Labels[],
  out: Labels,
): Operand {
  const [x, y] = operands;
  const [lhs, rhs] = labels;
  if (x === undefined || lhs === undefined) throw new Error("an einsum without operands");
  if (y === undefined || rhs === undefined) {
    return ordered(
      b,
      summed(b, { tensor: x, labels: lhs }, (label) => out.includes(label)),
      out,
    );
  }
  // What only one operand has and the result has not is summed before the product.
  const left = summed(b, { tensor: x, labels: lhs }, (label) => out.includes(label) || rhs.includes(label));
  const right = summed(b, { tensor: y, labels: rhs }, (label) => out.includes(label) || lhs.includes(label));
  return matrixProduct(b, left, right, out) ?? generalEinsum(b, left, right, out);
}

/** [batch..., rows, inner] @ [batch..., inner, columns]; without batch axes the left operand may have more rows' axes. */
function matrixProduct(b: OnnxBuilder, left: Labelled, right: Labelled, out: Labels): Operand | undefined {
  const shared = left.labels.filter((label) => right.labels.includes(label));
  const batch = out.filter((label) => shared.includes(label));
  const inner = shared.filter((label) => !out.includes(label));
  const rows = out.filter((label) => !shared.includes(label) && left.labels.includes(label));
  const columns = out.filter((label) => !shared.includes(label) && right.labels.includes(label));
  if (inner.length !== 1 || columns.length !== 1 || rows.length < 1) return undefined;
  if (rows.length > 1 && batch.length > 0) return undefined;
  const x = ordered(b, left, [...batch, ...rows, ...inner]);
  const y = ordered(b, right, [...batch, ...inner, ...columns]);
  const shape = [...x.shape.slice(0, -1), ...y.shape.slice(-1)];
  const product: Operand = { name: b.node("MatMul", [x.name, y.name]), element: "float", shape };
  return ordered(b, { tensor: product, labels: [...batch, ...rows, ...columns] }, out);
}

function generalEinsum(b: OnnxBuilder, left: Labelled, right: Labelled, out: Labels): Operand {
  const all = [...new Set([...left.labels, ...right.labels])];
  const letters = (labels: Labels): string =>
    labels.map((label) => String.fromCharCode(97 + all.indexOf(label))).join("");
  const equation = `${letters(left.labels)},${letters(right.labels)}->${letters(out)}`;
  const name = b.node("Einsum", [left.tensor.name, right.tensor.name], {
    equation: { kind: "string", value: equation },
  });
  const sizeOf = (label: number): Size =>
    left.tensor.shape[left.labels.indexOf(label)] ?? right.tensor.shape[right.labels.indexOf(label)] ?? [];
  return { name, element: "float", shape: out.map(sizeOf) };
}

function summed(b: OnnxBuilder, { tensor, labels }: Labelled, keep: (label: number) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (keep(label) ? [] : [axis]));
  if (axes.length === 0) return { tensor, labels };
  const name = b.node("ReduceSum", [tensor.name, b.integers(axes)], { keepdims: { kind: "int", value: 0 } });
  const rest = <T>(of: readonly T[]): readonly T[] => of.filter((_, axis) => !axes.includes(axis));
  return { tensor: { ...tensor, name, shape: rest(tensor.shape) }, labels: rest(labels) };
}

function ordered(b: OnnxBuilder, { tensor, labels }: Labelled, order: Labels): Operand {
  return b.transpose(
    tensor,
    order.map((label) => labels.indexOf(label)),
  );
}
