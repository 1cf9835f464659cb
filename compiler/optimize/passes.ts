import type { Graph } from "../graph/index.ts";
import { reuseContractions } from "./reuse-contractions.ts";
import { rewrite } from "./rewrite.ts";
import type { Rule } from "./rule.ts";
import { algebraRules, STOP_GRADIENT_GOES } from "./rules/algebra.ts";
import { einsumRules } from "./rules/einsum.ts";
import { foldRules } from "./rules/fold.ts";
import { movementRules } from "./rules/movement.ts";
import { pieceRules } from "./rules/pieces.ts";
import { reductionRules } from "./rules/reduction.ts";
import { softmaxRules } from "./rules/softmax.ts";
import { storageRules } from "./rules/storage.ts";
import { singleUseRules, transposeRules } from "./rules/transposes.ts";

export interface Pass {
  readonly name: string;
  /** Why it is there, and why there in the order. */
  readonly reason: string;
  readonly run: (graph: Graph) => Graph;
}

/** In the order in which they are tried on a node: what makes it smallest first. */
const rules: readonly Rule[] = [
  ...foldRules,
  ...algebraRules,
  ...movementRules,
  ...pieceRules,
  ...transposeRules,
  ...storageRules,
  ...reductionRules,
  ...einsumRules,
];

/** Every rule that some pass applies. */
export const allRules: readonly Rule[] = [...rules, ...softmaxRules, ...singleUseRules];

const forwardRules: readonly Rule[] = [
  ...rules.filter(({ name }) => name !== STOP_GRADIENT_GOES),
  ...softmaxRules,
];

export const passes: readonly Pass[] = [
  {
    name: "simplify",
    reason:
      "all rules in one walk, as each feeds the others: a merged movement bares a constant, a folded one a neutral element",
    run: (graph) => rewrite(graph, rules),
  },
  {
    name: "sink-single-use",
    reason:
      "rules that ask for the readers of a node need a graph without the nodes that simplifying left unread",
    run: (graph) => rewrite(graph, [...rules, ...singleUseRules]),
  },
  {
    name: "reuse-contractions",
    reason: "asks which contractions there are, so after what merges and moves them; leaves nodes unread",
    run: (graph) => rewrite(reuseContractions(graph), rules),
  },
];

/**
 * A forward graph with its normalizers recognized, before gradients are taken: equal in value and in derivative.
 * In: any verified graph. Out: no softmax or log-softmax that divides by a sum of exponentials. `stop_gradient` stays.
 */
export function simplifyForward(graph: Graph): Graph {
  return rewrite(graph, forwardRules);
}

/**
 * An equal, cheaper graph: same outputs and updates by name, equal by each rule's exactness.
 * Gradients must be taken before: `stop_gradient` goes.
 */
export function optimize(graph: Graph): Graph {
  return passes.reduce((current, pass) => pass.run(current), graph);
}
