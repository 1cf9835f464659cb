import type { BinaryOp, DType, GraphBuilder, Node, NodeId, OpName } from "../graph/index.ts";

/** Looks at a node and what feeds it; yields what the rewrite needs, typed by the shape of the pattern. */
export interface Pattern<T> {
  /** Ops that the matched node can have; absent where any will do. */
  readonly roots?: readonly OpName[];
  readonly match: (b: GraphBuilder, id: NodeId) => T | null;
}
export interface OpPattern<T> extends Pattern<T> {
  readonly roots: readonly OpName[];
}

export type OpNode<K extends OpName> = Extract<Node, { readonly op: K }>;

export function isOp<K extends OpName>(node: Node, op: K): node is OpNode<K> {
  return node.op === op;
}

/** Any node, as its id. */
export const any: Pattern<NodeId> = { match: (_, id) => id };

/** A value that is the same everywhere: a constant, or one that is broadcast. */
export interface Splat {
  readonly id: NodeId;
  readonly dtype: DType;
  readonly value: number;
}

export const splat: Pattern<Splat> = { match: (b, id) => splatOf(b, id) };

export function splatOf(b: GraphBuilder, id: NodeId): Splat | null {
  const node = b.node(id);
  const source = node.op === "broadcast" ? b.node(node.inputs[0]!) : node;
  return source.op === "constant" ? { id, dtype: source.attrs.dtype, value: source.attrs.value } : null;
}

/** A splat of this value, as its id. */
export function value(wanted: number): Pattern<NodeId> {
  return { match: (b, id) => (splatOf(b, id)?.value === wanted ? id : null) };
}

/** A splat of f32. */
export const floatSplat: Pattern<Splat> = {
  match: (b, id) => {
    const found = splatOf(b, id);
    return found?.dtype === "f32" ? found : null;
  },
};

/** Any f32 node, as its id. */
export const float: Pattern<NodeId> = { match: (b, id) => (b.dtype(id) === "f32" ? id : null) };

/** A node of an op, whatever feeds it. */
export function node<K extends OpName>(op: K): OpPattern<OpNode<K>> {
  return {
    roots: [op],
    match: (b, id) => {
      const found = b.node(id);
      return isOp(found, op) ? found : null;
    },
  };
}

/** An op of one input. */
export function unary<K extends OpName, X>(
  op: K,
  x: Pattern<X>,
): OpPattern<{ readonly node: OpNode<K>; readonly x: X }> {
  return {
    roots: [op],
    match: (b, id) => {
      const found = b.node(id);
      if (!isOp(found, op)) return null;
      const [input] = found.inputs;
      const inner = input === undefined ? null : x.match(b, input);
      return inner === null ? null : { node: found, x: inner };
    },
  };
}

/** An op of two inputs, in this order. */
export function binary<K extends OpName, L, R>(
  op: K,
  lhs: Pattern<L>,
  rhs: Pattern<R>,
): OpPattern<{ readonly node: OpNode<K>; readonly lhs: L; readonly rhs: R }> {
  return {
    roots: [op],
    match: (b, id) => {
      const found = b.node(id);
      if (!isOp(found, op)) return null;
      const [first, second] = found.inputs;
      const left = first === undefined ? null : lhs.match(b, first);
      if (left === null) return null;
      const right = second === undefined ? null : rhs.match(b, second);
      return right === null ? null : { node: found, lhs: left, rhs: right };
    },
  };
}

/** An op of three inputs. */
export function ternary<K extends OpName, X, Y, Z>(
  op: K,
  x: Pattern<X>,
  y: Pattern<Y>,
  z: Pattern<Z>,
): OpPattern<{ readonly node: OpNode<K>; readonly x: X; readonly y: Y; readonly z: Z }> {
  return {
    roots: [op],
    match: (b, id) => {
      const found = b.node(id);
      if (!isOp(found, op)) return null;
      const [first, second, third] = found.inputs;
      const one = first === undefined ? null : x.match(b, first);
      const two = second === undefined || one === null ? null : y.match(b, second);
      const three = third === undefined || two === null ? null : z.match(b, third);
      return one === null || two === null || three === null
        ? null
        : { node: found, x: one, y: two, z: three };
    },
  };
}

export const unaryOps = [
  "neg",
  "exp",
  "log",
  "sqrt",
  "rsqrt",
  "tanh",
  "erf",
  "abs",
  "sin",
  "cos",
  "floor",
  "is_finite",
  "not",
] as const satisfies readonly OpName[];
export const binaryOps = [
  "add",
  "sub",
  "mul",
  "div",
  "max",
  "min",
  "pow",
  "mod",
  "lt",
  "le",
  "eq",
  "and",
  "or",
] as const satisfies readonly BinaryOp[];
/** Ops whose result at an index depends on their inputs at that index alone. */
export const elementwiseOps = [
  ...unaryOps,
  ...binaryOps,
  "select",
  "cast",
  "hash",
] as const satisfies readonly OpName[];
export const commutativeOps = [
  "add",
  "mul",
  "max",
  "min",
  "eq",
  "and",
  "or",
] as const satisfies readonly OpName[];

export type ElementwiseOp = (typeof elementwiseOps)[number];
export type ElementwiseNode = OpNode<ElementwiseOp>;

/** A node of any of these ops. */
export function oneOf<K extends OpName>(ops: readonly K[]): OpPattern<OpNode<K>> {
  const isOneOf = (found: Node): found is OpNode<K> => ops.some((op) => op === found.op);
  return {
    roots: ops,
    match: (b, id) => {
      const found = b.node(id);
      return isOneOf(found) ? found : null;
    },
  };
}

/** The same pattern, where a condition on the match holds. */
export function where<T>(pattern: OpPattern<T>, holds: (b: GraphBuilder, match: T) => boolean): OpPattern<T> {
  return {
    roots: pattern.roots,
    match: (b, id) => {
      const match = pattern.match(b, id);
      return match !== null && holds(b, match) ? match : null;
    },
  };
}
