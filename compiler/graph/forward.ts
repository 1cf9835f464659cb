import type { Initializer, Shape } from "../program/index.ts";
import type { Graph } from "./types.ts";

/**
 * A model's forward pass, as `elaborate` makes it and `training` reads it.
 * Outputs of the graph are named `loss.<name>` (f32 []), `output.<name>`, `objective` (f32 []: what `minimize` says), and in evaluation
 * `head.<name>` and `metric.<name>` (f32 []) too.
 * Leaves are `input`, `parameter`, `constant`, `iota` and `random_key` (in training mode only); no `state`, no updates.
 */
export interface ForwardGraph {
  readonly graph: Graph;
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: Shape;
    readonly init: Initializer;
  }[];
  /** Random streams are 0 .. randomStreams - 1. */
  readonly randomStreams: number;
}
