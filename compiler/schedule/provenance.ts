import type { Node, NodeId } from "../graph/index.ts";
import { CHUNKED } from "./chunks.ts";
import type { FusionPlan, Group } from "./fuse.ts";
import { MASKED } from "./mask-rows.ts";
import { isFree, isMovement } from "./realize.ts";
import { type FusionRule, fusionRuleNames } from "./rules.ts";
import type { TensorHomes } from "./tensors.ts";
import { isHero, type WorkGraph } from "./work-graph.ts";

/** What a kernel is made of, for people: no decision looks at it. */
export interface Provenance {
  /** The nodes that it computes: those with a name in the plan and those computed inside them. Ascending. */
  readonly nodes: readonly NodeId[];
  /** The rules that brought them together. */
  readonly rules: readonly FusionRule[];
}

interface Planned {
  readonly work: WorkGraph;
  readonly realized: ReadonlySet<NodeId>;
  readonly plan: FusionPlan;
  readonly homes: TensorHomes;
}

export function provenanceOf({ work, realized, plan, homes }: Planned, group: Group): Provenance {
  const { streams } = plan;
  const nodes = new Set<NodeId>(group.vertices);
  const rules = new Set<FusionRule>(group.rules);
  const visited = new Set<number>();
  /** `reader` is the op that computes with `id`, whatever moves it on the way. */
  const visit = (id: NodeId, reader: Node): void => {
    const key = id * work.nodes.length + reader.id;
    const isScore = streams.scores.has(id);
    if ((realized.has(id) && !isScore) || work.isStorage(id) || visited.has(key)) return;
    visited.add(key);
    const node = work.node(id);
    nodes.add(id);
    if (node.origin.pass === MASKED) rules.add("masked_sums");
    const rule = ruleInside(node, reader);
    // A walk over scores has all between its contractions in it, by the one rule.
    if (!isScore && !streams.interior.has(id) && rule !== undefined) rules.add(rule);
    for (const input of node.inputs) visit(input, isMovement(node) ? reader : node);
  };
  for (const vertex of group.vertices) {
    const node = work.node(vertex);
    if (homes.inPlace.has(vertex)) rules.add("in_place");
    if (node.origin.pass === CHUNKED) rules.add("chunks");
    if (node.origin.pass === MASKED) rules.add("masked_sums");
    for (const input of node.inputs) visit(input, node);
  }
  return {
    nodes: [...nodes].sort((a, b) => a - b),
    rules: fusionRuleNames.filter((rule) => rules.has(rule)),
  };
}

/** The rule by which `node` is computed inside `reader`; none where it would be without fusion too. */
function ruleInside(node: Node, reader: Node): FusionRule | undefined {
  if (node.op === "constant" || node.op === "iota" || isFree(node)) return undefined;
  if (isMovement(node)) return "movement";
  if (!isHero(reader)) return "elementwise";
  return reader.op === "einsum" ? "prologue" : "rows";
}
