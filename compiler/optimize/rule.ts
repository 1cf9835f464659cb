import type { GraphBuilder, NodeId, OpName } from "../graph/index.ts";
import type { Pattern } from "./pattern.ts";

/**
 * - `bitwise`: the same bits for all inputs, but for the sign of a zero (which WGSL, "Floating Point Evaluation", lets
 *   an implementation ignore) and the payload of a NaN.
 * - `reassociates`: equal over the reals; in floating point the results differ by rounding (or overflow at another
 *   magnitude) alone.
 */
export type Exactness = "bitwise" | "reassociates";

/** What a rewrite builds with: every node that it makes is simplified as it is made. */
export interface Rewriter extends GraphBuilder {
  /** How many nodes and results read `id` in the graph that is being rewritten; 1 for a node that is new. */
  uses(id: NodeId): number;
}

/** A row of a rule table, its match's type closed over. */
export interface Rule {
  /** The equation, left side to right side. Unique. */
  readonly name: string;
  readonly exactness: Exactness;
  /** Ops that the left side can start with. */
  readonly roots: readonly OpName[];
  /** The right side for a node that the left side matches and whose conditions hold, else null. */
  readonly apply: (b: Rewriter, id: NodeId) => NodeId | null;
}

/** One row: the right side is made by `rewrite`, which returns null where a condition of the equation fails. */
export function rule<T>(row: {
  readonly name: string;
  readonly exactness: Exactness;
  readonly match: Pattern<T> & { readonly roots: readonly OpName[] };
  readonly rewrite: (b: Rewriter, match: T) => NodeId | null;
}): Rule {
  return {
    name: row.name,
    exactness: row.exactness,
    roots: row.match.roots,
    apply: (b, id) => {
      const match = row.match.match(b, id);
      return match === null ? null : row.rewrite(b, match);
    },
  };
}
