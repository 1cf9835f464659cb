import { formatOrigin, invariant } from "./errors.ts";
import { attributesKey, inferType, nodeOf } from "./node.ts";
import {
  broadcastShapes,
  formatType,
  isIdentityPermutation,
  otherAxes,
  range,
  sameShape,
  sameType,
} from "./shape.ts";
import type { AttrsOf, DType, Graph, Node, NodeId, OpName, Origin, Shape, TensorType } from "./types.ts";

/**
 * The only maker of nodes: it infers types, gives every node the current origin, and shares equal nodes (same op,
 * inputs and attributes; the first one's origin stays).
 *
 * Methods are called as the op and take ids of this builder. Identity movements (a reshape to the same shape, a
 * transpose by the identity, a cast to the same dtype, ...) return their input; nothing else is simplified here.
 */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #byKey = new Map<string, NodeId>();
  readonly #outputs = new Map<string, NodeId>();
  readonly #updates = new Map<string, NodeId>();
  #origin: Origin;

  /** @param origin of every node made outside `withOrigin` */
  constructor(origin: Origin) {
    this.#origin = origin;
  }

  /** The origin that the next new node gets. */
  get origin(): Origin {
    return this.#origin;
  }

  /** Runs `build` with an origin: fields not given stay as they are. */
  withOrigin<T>(origin: Partial<Origin>, build: () => T): T {
    const before = this.#origin;
    this.#origin = isWhole(origin) ? origin : { ...before, ...origin };
    try {
      return build();
    } finally {
      this.#origin = before;
    }
  }

  node(id: NodeId): Node {
    const node = this.#nodes[id];
    invariant(node !== undefined, () => `no node %${id} in this builder (it has ${this.#nodes.length})`);
    return node;
  }

  type(id: NodeId): TensorType {
    return this.node(id).type;
  }

  shape(id: NodeId): Shape {
    return this.node(id).type.shape;
  }

  dtype(id: NodeId): DType {
    return this.node(id).type.dtype;
  }

  /** Nodes made so far; their ids are below this. */
  get size(): number {
    return this.#nodes.length;
  }

  /**
   * Makes (or finds) a node of any op, unsimplified.
   * @throws GraphError naming op, input types and origin where the op's type rule refuses
   */
  make<K extends OpName>(op: K, inputs: readonly NodeId[], attrs: AttrsOf<K>): NodeId {
    const key = nodeKey(op, inputs, attrs);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const types = inputs.map((id) => this.type(id));
    const id = this.#nodes.length;
    const type = inferType(op, types, attrs, this.#origin);
    this.#nodes.push(nodeOf(op, id, inputs, attrs, type, this.#origin));
    this.#byKey.set(key, id);
    return id;
  }

  /**
   * Copies the nodes of a graph into this builder, with their origins.
   * @param replace ids of `graph` to ids of this builder, of the same type, used in place of those nodes
   * @returns for each id of `graph`, its id here. Outputs and updates are not copied.
   */
  import(graph: Graph, replace: ReadonlyMap<NodeId, NodeId> = new Map()): readonly NodeId[] {
    const ids: NodeId[] = [];
    for (const node of graph.nodes) {
      const replacement = replace.get(node.id);
      if (replacement === undefined) {
        const inputs = node.inputs.map((input) => ids[input]!);
        ids.push(this.withOrigin(node.origin, () => this.make(node.op, inputs, node.attrs)));
        continue;
      }
      invariant(
        sameType(this.type(replacement), node.type),
        () =>
          `%${node.id} is ${formatType(node.type)}, its replacement ${formatType(this.type(replacement))}`,
      );
      ids.push(replacement);
    }
    return ids;
  }

  output(name: string, id: NodeId): void {
    invariant(!this.#outputs.has(name), () => `two outputs named ${name}`);
    this.node(id);
    this.#outputs.set(name, id);
  }

  /** When the step ends, `state` (of the same dtype and shape) takes the value of `id`. */
  update(state: string, id: NodeId): void {
    invariant(!this.#updates.has(state), () => `two updates of state ${state}`);
    this.node(id);
    this.#updates.set(state, id);
  }

  /** The nodes that outputs and updates need, renumbered in the order they were made. */
  build(): Graph {
    const live = new Set<NodeId>([...this.#outputs.values(), ...this.#updates.values()]);
    for (let id = this.#nodes.length - 1; id >= 0; id--)
      if (live.has(id)) for (const input of this.#nodes[id]!.inputs) live.add(input);
    const renumbered = new Map<NodeId, NodeId>();
    const nodes: Node[] = [];
    for (const node of this.#nodes) {
      if (!live.has(node.id)) continue;
      const id = nodes.length;
      renumbered.set(node.id, id);
      // Nothing before it is gone: it stays as it is.
      if (id === node.id) nodes.push(node);
      else nodes.push({ ...node, id, inputs: node.inputs.map((input) => renumbered.get(input)!) });
    }
    return {
      nodes,
      outputs: [...this.#outputs].map(([name, id]) => ({ name, node: renumbered.get(id)! })),
      updates: [...this.#updates].map(([state, id]) => ({ state, node: renumbered.get(id)! })),
    };
  }

  // --- leaves -------------------------------------------------------------------------------------------

  input(name: string, dtype: DType, shape: Shape): NodeId {
    return this.make("input", [], { name, dtype, shape });
  }
  parameter(name: string, shape: Shape): NodeId {
    return this.make("parameter", [], { name, shape });
  }
  state(name: string, dtype: DType, shape: Shape): NodeId {
    return this.make("state", [], { name, dtype, shape });
  }
  constant(dtype: DType, value: number): NodeId {
    return this.make("constant", [], { dtype, value });
  }
  iota(shape: Shape, axis: number): NodeId {
    return this.make("iota", [], { shape, axis });
  }
  randomKey(stream: number): NodeId {
    return this.make("random_key", [], { stream });
  }

  // --- elementwise --------------------------------------------------------------------------------------

  neg(x: NodeId): NodeId {
    return this.make("neg", [x], {});
  }
  exp(x: NodeId): NodeId {
    return this.make("exp", [x], {});
  }
  log(x: NodeId): NodeId {
    return this.make("log", [x], {});
  }
  sqrt(x: NodeId): NodeId {
    return this.make("sqrt", [x], {});
  }
  rsqrt(x: NodeId): NodeId {
    return this.make("rsqrt", [x], {});
  }
  tanh(x: NodeId): NodeId {
    return this.make("tanh", [x], {});
  }
  erf(x: NodeId): NodeId {
    return this.make("erf", [x], {});
  }
  abs(x: NodeId): NodeId {
    return this.make("abs", [x], {});
  }
  sin(x: NodeId): NodeId {
    return this.make("sin", [x], {});
  }
  cos(x: NodeId): NodeId {
    return this.make("cos", [x], {});
  }
  floor(x: NodeId): NodeId {
    return this.make("floor", [x], {});
  }
  roundF16(x: NodeId): NodeId {
    return this.make("round_f16", [x], {});
  }
  isFinite(x: NodeId): NodeId {
    return this.make("is_finite", [x], {});
  }
  not(x: NodeId): NodeId {
    return this.make("not", [x], {});
  }
  add(a: NodeId, b: NodeId): NodeId {
    return this.make("add", [a, b], {});
  }
  sub(a: NodeId, b: NodeId): NodeId {
    return this.make("sub", [a, b], {});
  }
  mul(a: NodeId, b: NodeId): NodeId {
    return this.make("mul", [a, b], {});
  }
  div(a: NodeId, b: NodeId): NodeId {
    return this.make("div", [a, b], {});
  }
  max(a: NodeId, b: NodeId): NodeId {
    return this.make("max", [a, b], {});
  }
  min(a: NodeId, b: NodeId): NodeId {
    return this.make("min", [a, b], {});
  }
  pow(a: NodeId, b: NodeId): NodeId {
    return this.make("pow", [a, b], {});
  }
  mod(a: NodeId, b: NodeId): NodeId {
    return this.make("mod", [a, b], {});
  }
  lt(a: NodeId, b: NodeId): NodeId {
    return this.make("lt", [a, b], {});
  }
  le(a: NodeId, b: NodeId): NodeId {
    return this.make("le", [a, b], {});
  }
  eq(a: NodeId, b: NodeId): NodeId {
    return this.make("eq", [a, b], {});
  }
  and(a: NodeId, b: NodeId): NodeId {
    return this.make("and", [a, b], {});
  }
  or(a: NodeId, b: NodeId): NodeId {
    return this.make("or", [a, b], {});
  }
  select(condition: NodeId, then: NodeId, otherwise: NodeId): NodeId {
    return this.make("select", [condition, then, otherwise], {});
  }
  cast(x: NodeId, dtype: DType): NodeId {
    return this.dtype(x) === dtype ? x : this.make("cast", [x], { dtype });
  }
  stopGradient(x: NodeId): NodeId {
    return this.make("stop_gradient", [x], {});
  }
  barrier(x: NodeId, number: number): NodeId {
    return this.make("barrier", [x], { number });
  }
  /** key: u32[] */
  uniform(key: NodeId, shape: Shape): NodeId {
    return this.make("uniform", [key], { shape });
  }
  hash(x: NodeId): NodeId {
    return this.make("hash", [x], {});
  }

  // --- movement -----------------------------------------------------------------------------------------

  reshape(x: NodeId, shape: Shape): NodeId {
    return sameShape(this.shape(x), shape) ? x : this.make("reshape", [x], { shape });
  }
  transpose(x: NodeId, perm: readonly number[]): NodeId {
    const identity = perm.length === this.shape(x).length && isIdentityPermutation(perm);
    return identity ? x : this.make("transpose", [x], { perm });
  }
  broadcast(x: NodeId, shape: Shape, axes: readonly number[]): NodeId {
    const identity = sameShape(this.shape(x), shape) && axes.length === shape.length;
    return identity ? x : this.make("broadcast", [x], { shape, axes });
  }
  slice(x: NodeId, start: readonly number[], end: readonly number[]): NodeId {
    const from = this.shape(x);
    const whole = start.length === from.length && start.every((first) => first === 0) && sameShape(from, end);
    return whole ? x : this.make("slice", [x], { start, end });
  }
  pad(x: NodeId, before: readonly number[], after: readonly number[]): NodeId {
    const rank = this.shape(x).length;
    const none =
      before.length === rank && after.length === rank && [...before, ...after].every((count) => count === 0);
    return none ? x : this.make("pad", [x], { before, after });
  }
  concat(inputs: readonly NodeId[], axis: number): NodeId {
    const [first] = inputs;
    const alone = inputs.length === 1 && first !== undefined && this.shape(first)[axis] !== undefined;
    return alone ? first : this.make("concat", inputs, { axis });
  }
  take(table: NodeId, indices: NodeId): NodeId {
    return this.make("take", [table, indices], {});
  }

  // --- reductions ---------------------------------------------------------------------------------------

  sum(x: NodeId, axes: readonly number[]): NodeId {
    return axes.length === 0 ? x : this.make("sum", [x], { axes });
  }
  reduceMax(x: NodeId, axes: readonly number[]): NodeId {
    return axes.length === 0 ? x : this.make("reduce_max", [x], { axes });
  }
  logSumExp(x: NodeId, axes: readonly number[]): NodeId {
    return axes.length === 0 ? x : this.make("logsumexp", [x], { axes });
  }
  einsum(
    a: NodeId,
    b: NodeId,
    labels: {
      readonly lhs: readonly number[];
      readonly rhs: readonly number[];
      readonly out: readonly number[];
    },
  ): NodeId {
    const { lhs, rhs, out } = labels;
    return this.make("einsum", [a, b], { lhs, rhs, out });
  }
  scatterAdd(updates: NodeId, indices: NodeId, rows: number): NodeId {
    return this.make("scatter_add", [updates, indices], { rows });
  }

  // --- flat storage -------------------------------------------------------------------------------------

  view(flat: NodeId, offset: number, shape: Shape): NodeId {
    return this.make("view", [flat], { offset, shape });
  }
  pack(inputs: readonly NodeId[], offsets: readonly number[], size: number): NodeId {
    return this.make("pack", inputs, { offsets, size });
  }

  // --- made of several ops ------------------------------------------------------------------------------

  /** A tensor of one value. */
  full(dtype: DType, value: number, shape: Shape): NodeId {
    return this.broadcast(this.constant(dtype, value), shape, []);
  }
  /** `value` in the dtype and shape of `x`. */
  fullLike(x: NodeId, value: number): NodeId {
    return this.full(this.dtype(x), value, this.shape(x));
  }
  /** NumPy's rule: aligned at the right, axes of size 1 repeat. */
  broadcastTo(x: NodeId, shape: Shape): NodeId {
    const from = this.shape(x);
    const shift = shape.length - from.length;
    invariant(
      shift >= 0 && from.every((size, axis) => size === 1 || size === shape[axis + shift]),
      () =>
        `${formatType(this.type(x))} does not broadcast to [${shape.join(", ")}], ${formatOrigin(this.#origin)}`,
    );
    if (sameShape(from, shape)) return x;
    const kept = range(from.length).filter((axis) => from[axis] === shape[axis + shift]);
    const squeezed = this.reshape(
      x,
      kept.map((axis) => from[axis]!),
    );
    return this.broadcast(
      squeezed,
      shape,
      kept.map((axis) => axis + shift),
    );
  }
  /** Both operands broadcast to their common shape by NumPy's rule. */
  broadcastTogether(a: NodeId, b: NodeId): readonly [NodeId, NodeId] {
    const shape = broadcastShapes(this.shape(a), this.shape(b));
    invariant(
      shape !== undefined,
      () =>
        `${formatType(this.type(a))} and ${formatType(this.type(b))} do not broadcast, ${formatOrigin(this.#origin)}`,
    );
    return [this.broadcastTo(a, shape), this.broadcastTo(b, shape)];
  }
  /** Puts reduced axes back by repeating: `x` has the axes of `shape` that are not in `axes`. */
  broadcastOver(x: NodeId, shape: Shape, axes: readonly number[]): NodeId {
    return this.broadcast(x, shape, otherAxes(axes, shape.length));
  }
}

function isWhole(origin: Partial<Origin>): origin is Origin {
  const { path, at, label, pass } = origin;
  return path !== undefined && at !== undefined && label !== undefined && pass !== undefined;
}

/** Equal for equal op, inputs and attributes. */
function nodeKey<K extends OpName>(op: K, inputs: readonly NodeId[], attrs: AttrsOf<K>): string {
  return `${op}(${inputs.join()})${attributesKey(attrs)}`;
}
