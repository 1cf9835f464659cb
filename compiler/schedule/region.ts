import type { Node, NodeId, NodeOf } from "../graph/index.ts";
import { isMovement } from "./realize.ts";
import { isHero, isReduction, matmulAxes, type WorkGraph } from "./work-graph.ts";

type Einsum = NodeOf<"einsum">;

/** What is made of a contraction's result ("scores") element by element, and who reads it from outside. */
export interface Region {
  readonly scores: ReadonlySet<NodeId>;
  /** Elementwise nodes of the scores' shape: made of scores, or feeding what is. */
  readonly members: ReadonlySet<NodeId>;
  /** Reductions and contractions outside -> the member that they read. */
  readonly sinks: ReadonlyMap<NodeId, NodeId>;
  /** Whether something else reads it, or it must be stored. */
  readonly escapes: boolean;
}

/**
 * Everything that is made of a contraction element by element, with the other contractions that meet it there.
 * @param isScore which contractions count as such
 */
export function growRegion(work: WorkGraph, start: Einsum, isScore: (node: Einsum) => boolean): Region {
  const scores = new Set<NodeId>([start.id]);
  const members = new Set<NodeId>();
  const sinks = new Map<NodeId, NodeId>();
  let escapes = false;
  const made = new Set<NodeId>();
  const stack: NodeId[] = [];
  const addMade = (id: NodeId): void => {
    if (made.has(id)) return;
    made.add(id);
    stack.push(id);
  };
  const shape = String(start.type.shape);
  const sides = JSON.stringify(sidesOf(start));
  const alike = (node: Node): boolean => String(node.type.shape) === shape;
  const isMember = (node: Node): boolean => isElementwise(work, node) && alike(node);
  const addInput = (id: NodeId): void => {
    const node = work.node(id);
    if (made.has(id) || members.has(id)) return;
    if (node.op === "einsum" && alike(node) && isScore(node) && JSON.stringify(sidesOf(node)) === sides) {
      scores.add(id);
      addMade(id);
    } else if (isMember(node)) {
      members.add(id);
      node.inputs.forEach(addInput);
    }
  };
  addMade(start.id);
  while (stack.length > 0) {
    const id = stack.pop()!;
    if (work.isRequired(id)) escapes = true;
    for (const user of work.users[id]!) {
      const node = work.node(user);
      if (isMember(node)) {
        members.add(user);
        addMade(user);
        node.inputs.forEach(addInput);
      } else if (isReduction(node) || (node.op === "einsum" && isHero(node))) {
        if ((sinks.get(user) ?? id) !== id) escapes = true;
        sinks.set(user, id);
      } else escapes = true;
    }
  }
  return { scores, members, sinks, escapes };
}

/** Axes of a contraction's result, by position: of both operands, of the left alone, of the right alone. */
export function sidesOf(node: Einsum): {
  readonly batch: readonly number[];
  readonly m: readonly number[];
  readonly n: readonly number[];
} {
  const { batch, m, n } = matmulAxes(node)!;
  const positions = (labels: readonly number[]) => labels.map((label) => node.attrs.out.indexOf(label));
  return { batch: positions(batch), m: positions(m), n: positions(n) };
}

function isElementwise(work: WorkGraph, node: Node): boolean {
  return !work.isStorage(node.id) && isElementwiseOp(node);
}

/** Whether an op's elements are made of those of its inputs at the same place, or of nothing. */
export function isElementwiseOp(node: Node): boolean {
  if (isHero(node) || isMovement(node)) return false;
  return node.op !== "take" && node.op !== "pack" && node.op !== "view" && node.op !== "constant";
}
