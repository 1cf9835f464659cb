import type { LossScaling } from "../program/index.ts";

/** How the rate depends on the step, which counts from 0. In warm-up it is `peak * (step + 1) / warmup`. */
export type LearningRate =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "warmup"; readonly peak: number; readonly warmup: number }
  /** After warm-up straight (or along half a cosine) from `peak` to `end`, which step `total` reaches and keeps. */
  | {
      readonly kind: "warmup_linear" | "warmup_cosine";
      readonly peak: number;
      readonly warmup: number;
      readonly total: number;
      readonly end: number;
    };

/** A field that a kind of optimizer uses must be given: the defaults belong to the language, not to this room. */
export interface OptimizerRecipe {
  readonly kind: "sgd" | "momentum" | "adam" | "adamw";
  readonly lr: LearningRate;
  /** `momentum` only. */
  readonly momentum?: number | undefined;
  readonly nesterov?: boolean | undefined;
  /** `adam` and `adamw`. */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly eps?: number | undefined;
  /** `adamw` only: decoupled decay, times the learning rate. */
  readonly weightDecay?: number | undefined;
  /** `adamw` only: parameters whose path matches a pattern are not decayed; `*` matches any text. */
  readonly exclude?: readonly string[] | undefined;
}

/** What a `train` block says, but for its data, and how its objective is scaled. */
export interface Recipe {
  readonly optimizer: OptimizerRecipe;
  /** Parameters whose path matches one of these patterns stay as they are: no gradient, no slots. */
  readonly frozen?: readonly string[] | undefined;
  /** Of the learning rate; the first whose pattern matches a parameter's path counts, 1 where none does. */
  readonly rates?: readonly { readonly pattern: string; readonly scale: number }[] | undefined;
  /** Scale the gradients of all parameters together so that their Euclidean norm is at most this. */
  readonly clip?: { readonly globalNorm: number } | undefined;
  /** Micro-batches a step, at least 1. */
  readonly accumulate: number;
  readonly steps: number;
  /** Undefined: the objective is differentiated as it is. */
  readonly lossScaling?: LossScaling | undefined;
}

/** An optimizer's numbers, all present. */
export type Optimizer =
  | { readonly kind: "sgd" }
  | { readonly kind: "momentum"; readonly momentum: number; readonly nesterov: boolean }
  | {
      readonly kind: "adam";
      readonly beta1: number;
      readonly beta2: number;
      readonly eps: number;
      /** 0 for plain Adam. */
      readonly weightDecay: number;
      readonly exclude: readonly string[];
    };

/**
 * Narrows a recipe's optimizer to the numbers it works with. Adam is AdamW with a decay of 0.
 * @throws Error naming the field that the recipe leaves out (a compiler bug: `semantics` fills in the defaults)
 */
export function optimizerOf(recipe: OptimizerRecipe): Optimizer {
  const need = <T>(value: T | undefined, field: string): T => {
    if (value === undefined) throw new Error(`the recipe for ${recipe.kind} has no ${field}`);
    return value;
  };
  switch (recipe.kind) {
    case "sgd":
      return { kind: "sgd" };
    case "momentum":
      return {
        kind: "momentum",
        momentum: need(recipe.momentum, "momentum"),
        nesterov: need(recipe.nesterov, "nesterov"),
      };
    case "adam":
    case "adamw":
      return {
        kind: "adam",
        beta1: need(recipe.beta1, "beta1"),
        beta2: need(recipe.beta2, "beta2"),
        eps: need(recipe.eps, "eps"),
        weightDecay: recipe.kind === "adamw" ? need(recipe.weightDecay, "weightDecay") : 0,
        exclude: recipe.kind === "adamw" ? need(recipe.exclude, "exclude") : [],
      };
    default:
      return recipe.kind satisfies never;
  }
}

/** A state laid out like the parameters, one value an element, that an optimizer keeps. */
export interface OptimizerSlot {
  /** Its name in checkpoints, e.g. `adam.m`. */
  readonly slot: string;
  /** Its state buffers are `<prefix>.0`, `<prefix>.1`, ... */
  readonly prefix: string;
}

export function slotsOf(optimizer: Optimizer): readonly OptimizerSlot[] {
  switch (optimizer.kind) {
    case "sgd":
      return [];
    case "momentum":
      return [{ slot: "momentum.velocity", prefix: "velocity" }];
    case "adam":
      return [
        { slot: "adam.m", prefix: "moment1" },
        { slot: "adam.v", prefix: "moment2" },
      ];
    default:
      return optimizer satisfies never;
  }
}

/** Whether a parameter's path matches a pattern as a whole; `*` matches any text, dots included. */
export function matchesPattern(pattern: string, path: string): boolean {
  const pieces = pattern.split("*");
  const first = pieces[0] ?? "";
  if (pieces.length === 1) return pattern === path;
  const last = pieces[pieces.length - 1] ?? "";
  if (!path.startsWith(first)) return false;
  // Leftmost matches of the middle pieces leave the most room for what follows, so no backtracking is needed.
  let from = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = path.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return path.length - last.length >= from && path.endsWith(last);
}
