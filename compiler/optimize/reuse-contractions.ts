import { type Graph, GraphBuilder, type Node, type NodeId, sameShape } from "../graph/index.ts";
import { isOp, type OpNode } from "./pattern.ts";

/**
 * sum_j(w * (a . c)) = (a . (w . c)), where the contraction `w . c` over j is there already: the row sum that the gradient of a
 * softmax takes off is the product of the result's cotangent with the result, so nothing of the size of the scores is
 * walked for it (Dao et al. 2022, arXiv:2205.14135, appendix B.2). Nothing is asked about softmax: w may be any product.
 * In: any verified graph. Out: the same values, sums in another order.
 */
export function reuseContractions(graph: Graph): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "optimize" });
  const rebuilt: NodeId[] = [];
  const users = graph.nodes.map((): NodeId[] => []);
  for (const node of graph.nodes) for (const input of node.inputs) users[input]!.push(node.id);
  for (const node of graph.nodes) {
    const found = node.op === "sum" ? findProduct(graph, users, node) : undefined;
    rebuilt.push(
      b.withOrigin(node.origin, () =>
        found === undefined
          ? b.make(
              node.op,
              node.inputs.map((id) => rebuilt[id]!),
              node.attrs,
            )
          : b.einsum(rebuilt[found.lhs]!, rebuilt[found.rhs]!, found.labels),
      ),
    );
  }
  for (const { name, node } of graph.outputs) b.output(name, rebuilt[node]!);
  for (const { state, node } of graph.updates) b.update(state, rebuilt[node]!);
  return b.build();
}

interface Product {
  readonly lhs: NodeId;
  readonly rhs: NodeId;
  readonly labels: {
    readonly lhs: readonly number[];
    readonly rhs: readonly number[];
    readonly out: readonly number[];
  };
}

function findProduct(
  graph: Graph,
  users: readonly (readonly NodeId[])[],
  sum: OpNode<"sum">,
): Product | undefined {
  const all = factorsOf(graph, sum.inputs[0]!);
  for (const leaf of all.leaves) {
    const inner = graph.nodes[leaf]!;
    if (!isOp(inner, "einsum")) continue;
    const rest = { ...all, leaves: without(all.leaves, leaf) };
    const summed = sum.attrs.axes.map((axis) => inner.attrs.out[axis]!);
    for (const [c, a] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const [cLabels, aLabels] =
        c === 1 ? [inner.attrs.rhs, inner.attrs.lhs] : [inner.attrs.lhs, inner.attrs.rhs];
      if (!summed.every((label) => cLabels.includes(label) && !aLabels.includes(label))) continue;
      for (const user of users[inner.inputs[c]!]!) {
        const outer = graph.nodes[user]!;
        if (user >= sum.id || !isOp(outer, "einsum")) continue;
        const out = outerLabels(graph, inner, inner.inputs[c]!, cLabels, outer, rest, summed);
        if (out === undefined) continue;
        const kept = inner.attrs.out.filter((label) => !summed.includes(label));
        return { lhs: inner.inputs[a]!, rhs: user, labels: { lhs: aLabels, rhs: out, out: kept } };
      }
    }
  }
  return undefined;
}

/**
 * The output labels of `outer`, in those of `inner`, if it contracts a product of the factors `rest` with `c` over exactly the
 * labels `summed`.
 */
function outerLabels(
  graph: Graph,
  inner: OpNode<"einsum">,
  c: NodeId,
  cLabels: readonly number[],
  outer: OpNode<"einsum">,
  rest: Factors,
  summed: readonly number[],
): readonly number[] | undefined {
  for (const side of [0, 1] as const) {
    const [w, other] = [outer.inputs[side]!, outer.inputs[1 - side]!];
    if (other !== c || !sameShape(graph.nodes[w]!.type.shape, inner.type.shape)) continue;
    if (!sameFactors(factorsOf(graph, w), rest)) continue;
    const [wLabels, otherLabels] =
      side === 0 ? [outer.attrs.lhs, outer.attrs.rhs] : [outer.attrs.rhs, outer.attrs.lhs];
    const names = new Map<number, number>();
    wLabels.forEach((label, axis) => {
      names.set(label, inner.attrs.out[axis]!);
    });
    const agrees = otherLabels.every((label, axis) => {
      const known = names.get(label);
      if (known === undefined && inner.attrs.out.includes(cLabels[axis]!)) return false;
      names.set(label, cLabels[axis]!);
      return known === undefined || known === cLabels[axis];
    });
    if (!agrees) continue;
    const contracted = [...names]
      .filter(([label]) => !outer.attrs.out.includes(label))
      .map(([, name]) => name);
    if (contracted.length !== summed.length || !contracted.every((name) => summed.includes(name))) continue;
    return outer.attrs.out.map((label) => names.get(label)!);
  }
  return undefined;
}

/** An f32 tensor as a product: a number, conditions under which it is not zero, and everything else. */
interface Factors {
  readonly scale: number;
  readonly masks: readonly NodeId[];
  readonly leaves: readonly NodeId[];
}

/** Far more than a chain of scales, masks and dropout has; a chain of squares would double at every step. */
const DEEPEST_PRODUCT = 10;

function factorsOf(graph: Graph, id: NodeId, depth = 0): Factors {
  const node: Node = graph.nodes[id]!;
  const constant = constantOf(graph, id);
  if (constant !== undefined) return { scale: constant, masks: [], leaves: [] };
  if (depth === DEEPEST_PRODUCT) return { scale: 1, masks: [], leaves: [id] };
  switch (node.op) {
    case "mul": {
      const [x, y] = [
        factorsOf(graph, node.inputs[0]!, depth + 1),
        factorsOf(graph, node.inputs[1]!, depth + 1),
      ];
      return {
        scale: x.scale * y.scale,
        masks: [...new Set([...x.masks, ...y.masks])],
        leaves: [...x.leaves, ...y.leaves],
      };
    }
    case "neg": {
      const x = factorsOf(graph, node.inputs[0]!, depth + 1);
      return { ...x, scale: -x.scale };
    }
    case "select": {
      if (constantOf(graph, node.inputs[2]!) !== 0) break;
      const x = factorsOf(graph, node.inputs[1]!, depth + 1);
      return { ...x, masks: [...new Set([node.inputs[0]!, ...x.masks])] };
    }
    default:
      break;
  }
  return { scale: 1, masks: [], leaves: [id] };
}

function constantOf(graph: Graph, id: NodeId): number | undefined {
  const node = graph.nodes[id]!;
  const source = node.op === "broadcast" ? graph.nodes[node.inputs[0]!]! : node;
  return source.op === "constant" && source.attrs.dtype === "f32" ? source.attrs.value : undefined;
}

function without(ids: readonly NodeId[], id: NodeId): readonly NodeId[] {
  const at = ids.indexOf(id);
  return [...ids.slice(0, at), ...ids.slice(at + 1)];
}

/** Equal but for the order of factors and the rounding of the number before them. */
function sameFactors(a: Factors, b: Factors): boolean {
  const same = (x: readonly NodeId[], y: readonly NodeId[]): boolean =>
    sameShape(
      [...x].sort((p, q) => p - q),
      [...y].sort((p, q) => p - q),
    );
  const isClose = Math.abs(a.scale - b.scale) <= 1e-7 * Math.abs(b.scale);
  return isClose && same(a.masks, b.masks) && same(a.leaves, b.leaves);
}
