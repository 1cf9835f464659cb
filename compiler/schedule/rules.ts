/**
 * What fusion may do, rule by rule. A rule is asked about where the decision falls (`rules.has("epilogue")`), so that any of
 * them can be switched off: the plan is then another and computes the same.
 */
export const fusionRules = {
  elementwise: "elementwise ops are computed inside the ops that read them, or join their kernel",
  movement: "transposes, slices, pads and concatenations are index arithmetic of what reads them",
  rows: "reductions run with what feeds them and what is made of them, sweep by sweep over the same rows",
  prologue: "cheap operands of a matmul are computed where it reads them",
  epilogue: "elementwise ops on a contraction's result are applied before it is stored",
  sums: "the sum of a matmul's right operand over the contraction is taken inside the matmul",
  columns:
    "sums down the columns of what a kernel of rows reads or makes are taken there, block after block of rows",
  beside: "kernels of one size that read the same tensor, or that are small, run as one",
  attention:
    "contractions whose results are only reduced or contracted again are walked in blocks, never stored",
  chunks:
    "a long axis of scores that are only reduced or contracted again, under a logsumexp, is walked in chunks",
  masked_sums: "sums of equal indices into a few rows are sums under a mask, which fuse like others",
  terms: "contractions whose results are added up are one contraction over all their axes",
  stacked: "equal kernels that read the same tensor are one kernel of more rows, batches or elements",
  side_by_side: "kernels that do not wait for each other share a dispatch, each with workgroups of its own",
  in_place:
    "an update is computed straight into its state, and where most memory is in use a result over what it is made of",
} as const satisfies Readonly<Record<string, string>>;

export type FusionRule = keyof typeof fusionRules;

/** In the order in which they are printed. */
export const fusionRuleNames: readonly FusionRule[] = Object.keys(fusionRules).filter(isFusionRule);

export function isFusionRule(name: string): name is FusionRule {
  return Object.hasOwn(fusionRules, name);
}

/** The rules in force: all but those that are switched off. */
export function rulesWithout(without: readonly FusionRule[]): ReadonlySet<FusionRule> {
  return new Set(fusionRuleNames.filter((rule) => !without.includes(rule)));
}
