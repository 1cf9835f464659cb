import { type GraphBuilder, invariant, type NodeId, otherAxes, range } from "../graph/index.ts";
import type { BinaryFn, Instruction, UnaryFn } from "../semantics/index.ts";

type Lowered<K extends Instruction["op"]> = Extract<Instruction, { readonly op: K }>;

/**
 * The graph of one instruction.
 * @param nextStream gives a fresh random stream; absent in evaluation, where `drop` is the identity
 */
export function lowerInstruction(
  b: GraphBuilder,
  instruction: Instruction,
  inputs: readonly NodeId[],
  nextStream: (() => number) | undefined,
): NodeId {
  const { dtype, shape } = instruction.type;
  const [x, y, z] = inputs;
  switch (instruction.op) {
    case "input":
      return b.input(instruction.name, dtype, shape);
    case "parameter":
      return b.parameter(instruction.name, shape);
    case "fill":
      return b.full(dtype, instruction.value, shape);
    case "iota":
      return b.iota(shape, 0);
    case "unary":
      return lowerUnary(b, instruction.fn, x!);
    case "binary":
      return lowerBinary(b, instruction.fn, x!, y!, instruction);
    case "where":
      return b.select(b.broadcastTo(x!, shape), b.broadcastTo(y!, shape), b.broadcastTo(z!, shape));
    case "cast":
      return b.cast(x!, dtype);
    case "reduce":
      return lowerReduce(b, instruction, x!);
    case "matmul":
      return lowerMatmul(b, x!, y!);
    case "einsum":
      return lowerEinsum(b, instruction, inputs);
    case "rearrange":
      return b.reshape(b.transpose(b.reshape(x!, instruction.split), instruction.perm), shape);
    case "take":
      return b.take(x!, y!);
    case "gather":
      return lowerGather(b, x!, y!);
    case "drop":
      return nextStream === undefined ? x! : lowerDrop(b, x!, instruction.rate, nextStream());
    case "slice":
      return b.reshape(b.slice(x!, instruction.start, instruction.end), shape);
    case "concat":
      return b.concat(inputs, instruction.axis);
    default:
      return instruction satisfies never;
  }
}

function lowerUnary(b: GraphBuilder, fn: UnaryFn, x: NodeId): NodeId {
  switch (fn) {
    // By tanh, which neither overflows nor cancels: 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2.
    case "sigmoid": {
      const half = b.fullLike(x, 0.5);
      return b.add(half, b.mul(half, b.tanh(b.mul(half, x))));
    }
    case "stop_gradient":
      return b.stopGradient(x);
    default:
      return b[fn](x);
  }
}

function lowerBinary(b: GraphBuilder, fn: BinaryFn, x: NodeId, y: NodeId, at: Instruction): NodeId {
  const exponent = fn === "pow" ? constantOf(b, y) : undefined;
  if (exponent !== undefined) {
    const base = b.broadcastTo(x, at.type.shape);
    const power = lowerPower(b, base, exponent);
    if (power !== undefined) return power;
  }
  const left = b.broadcastTo(x, at.type.shape);
  const right = b.broadcastTo(y, at.type.shape);
  switch (fn) {
    case "gt":
      return b.lt(right, left);
    case "ge":
      return b.le(right, left);
    case "ne":
      return b.not(b.eq(left, right));
    default:
      return b[fn](left, right);
  }
}

/** The number that every element of a node is, where the spec wrote one. */
function constantOf(b: GraphBuilder, id: NodeId): number | undefined {
  const node = b.node(id);
  return node.op === "constant" ? node.attrs.value : undefined;
}

const LARGEST_UNROLLED_POWER = 16;

/**
 * Powers by a small whole number or a half as products and roots: `pow` of a device has no value for a negative base
 * (WGSL, "pow"), its gradient none at 0.
 */
function lowerPower(b: GraphBuilder, x: NodeId, exponent: number): NodeId | undefined {
  if (exponent === 0.5) return b.sqrt(x);
  if (exponent === -0.5) return b.rsqrt(x);
  const count = Math.abs(exponent);
  if (!Number.isInteger(exponent) || count > LARGEST_UNROLLED_POWER) return undefined;
  if (count === 0) return b.fullLike(x, 1);
  let power: NodeId | undefined;
  for (let bit = 1, square = x; bit <= count; bit *= 2, square = b.mul(square, square)) {
    if ((count & bit) !== 0) power = power === undefined ? square : b.mul(power, square);
  }
  if (power === undefined) return undefined;
  return exponent > 0 ? power : b.div(b.fullLike(x, 1), power);
}

function lowerReduce(b: GraphBuilder, { fn, axes, type }: Lowered<"reduce">, x: NodeId): NodeId {
  const reduced = fn === "max" ? b.reduceMax(x, axes) : b.sum(x, axes);
  const kept = b.reshape(reduced, type.shape);
  if (fn !== "mean") return kept;
  const shape = b.shape(x);
  const count = axes.reduce((n, axis) => n * shape[axis]!, 1);
  return b.div(kept, b.fullLike(kept, count));
}

/** [..., i, k] @ [..., k, j] as an einsum: every axis keeps its place, so no reshape stands around a product. */
function lowerMatmul(b: GraphBuilder, x: NodeId, y: NodeId): NodeId {
  const isVector = b.shape(x).length === 1;
  const xBatch = isVector ? [] : b.shape(x).slice(0, -2);
  const yBatch = b.shape(y).slice(0, -2);
  const batchRank = Math.max(xBatch.length, yBatch.length);
  // Labels: the leading axes of the result, then i, j, k.
  const [j, k] = [batchRank + 1, batchRank + 2];
  const rows = isVector ? [] : [batchRank];
  const left = leading(b, x, xBatch, yBatch, batchRank);
  const right = leading(b, y, yBatch, xBatch, batchRank);
  return b.einsum(left.node, right.node, {
    lhs: [...left.labels, ...rows, k],
    rhs: [...right.labels, k, j],
    out: [...range(batchRank), ...rows, j],
  });
}

/**
 * An operand of a product and the labels of its leading axes. An axis of size 1 that the other operand repeats is taken
 * away: an einsum repeats what has no label.
 */
function leading(
  b: GraphBuilder,
  x: NodeId,
  own: readonly number[],
  other: readonly number[],
  batchRank: number,
): { readonly node: NodeId; readonly labels: readonly number[] } {
  const shift = batchRank - own.length;
  const kept = range(own.length).filter((axis) => {
    const opposite = other[axis + shift - (batchRank - other.length)] ?? 1;
    return own[axis] !== 1 || opposite === 1;
  });
  const rest = b.shape(x).slice(own.length);
  const node = b.reshape(x, [...kept.map((axis) => own[axis]!), ...rest]);
  return { node, labels: kept.map((axis) => axis + shift) };
}

function lowerEinsum(
  b: GraphBuilder,
  { labels, out, type }: Lowered<"einsum">,
  inputs: readonly NodeId[],
): NodeId {
  const [lhs, rhs] = labels;
  const [x, y] = inputs;
  invariant(lhs !== undefined && x !== undefined, () => "einsum without operands");
  if (rhs === undefined || y === undefined) return b.reshape(sumAndReorder(b, x, lhs, out), type.shape);
  // What only one operand has and the result has not is summed before the product.
  const a = sumOut(b, x, lhs, (label) => out.includes(label) || rhs.includes(label));
  const c = sumOut(b, y, rhs, (label) => out.includes(label) || lhs.includes(label));
  return b.einsum(a.node, c.node, { lhs: a.labels, rhs: c.labels, out });
}

function sumOut(
  b: GraphBuilder,
  x: NodeId,
  labels: readonly number[],
  keep: (label: number) => boolean,
): { readonly node: NodeId; readonly labels: readonly number[] } {
  const axes = range(labels.length).filter((axis) => !keep(labels[axis]!));
  return { node: b.sum(x, axes), labels: otherAxes(axes, labels.length).map((axis) => labels[axis]!) };
}

function sumAndReorder(
  b: GraphBuilder,
  x: NodeId,
  labels: readonly number[],
  out: readonly number[],
): NodeId {
  const summed = sumOut(b, x, labels, (label) => out.includes(label));
  return b.transpose(
    summed.node,
    out.map((label) => summed.labels.indexOf(label)),
  );
}

/** x [B, T, ...rest], indices [B, P]: a `take` from [B * T, ...rest] at indices + T * b. */
function lowerGather(b: GraphBuilder, x: NodeId, indices: NodeId): NodeId {
  const [batch, rows, ...rest] = b.shape(x);
  invariant(batch !== undefined && rows !== undefined, () => "gather from a tensor without rows");
  const offsets = b.mul(b.iota(b.shape(indices), 0), b.full("i32", rows, b.shape(indices)));
  return b.take(b.reshape(x, [batch * rows, ...rest]), b.add(indices, offsets));
}

/** Inverted dropout (Srivastava et al. 2014): what stays is scaled, so that evaluation need not be. */
function lowerDrop(b: GraphBuilder, x: NodeId, rate: number, stream: number): NodeId {
  const kept = b.lt(b.uniform(b.randomKey(stream), b.shape(x)), b.fullLike(x, 1 - rate));
  return b.select(kept, b.mul(x, b.fullLike(x, 1 / (1 - rate))), b.fullLike(x, 0));
}
