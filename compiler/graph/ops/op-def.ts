import type { Accessor, Expr, ScalarBuilder } from "../../kernel/index.ts";
import type { GraphBuilder } from "../builder.ts";
import type { Tensor } from "../tensor.ts";
import type { AttrsOf, NodeId, NodeOf, OpName, TensorType } from "../types.ts";

/** What a gradient rule sees: a node already in the builder and the cotangent of its output. */
export interface VjpContext<K extends OpName> {
  readonly node: NodeOf<K>;
  readonly inputs: readonly NodeId[];
  readonly output: NodeId;
  /** f32, of the output's shape. */
  readonly ct: NodeId;
}

/** Values of the leaves, by name; `randomKey` gives the u32 key of a stream. */
export interface Leaves {
  readonly inputs?: ReadonlyMap<string, Tensor>;
  readonly parameters?: ReadonlyMap<string, Tensor>;
  readonly states?: ReadonlyMap<string, Tensor>;
  readonly randomKey?: (stream: number) => number;
}

/** Everything the compiler knows of one op, in one place. */
export interface OpDef<K extends OpName> {
  /** One line: what it computes and its types. */
  readonly summary: string;
  /**
   * Type of the output.
   * @throws GraphError where inputs or attributes break the op's contract (always a compiler bug)
   */
  readonly infer: (inputs: readonly TensorType[], attrs: AttrsOf<K>) => TensorType;
  /**
   * Cotangents of the inputs, undefined where none flows. "not differentiable": a cotangent that must pass is an error.
   */
  readonly vjp:
    | ((b: GraphBuilder, context: VjpContext<K>) => readonly (NodeId | undefined)[])
    | "not differentiable";
  /** Reference value in float64, written apart from `lower` so that each can catch the other. */
  readonly evaluate: (inputs: readonly Tensor[], node: NodeOf<K>, leaves: Leaves) => Tensor;
  /**
   * The element of the output at index `at` (one i32 expression an axis).
   * "by schedule": no expression of its inputs' elements; a buffer or a kernel of its own.
   */
  readonly lower:
    | ((
        s: ScalarBuilder,
        inputs: readonly Accessor[],
        at: readonly Expr[],
        node: NodeOf<K>,
        types: readonly TensorType[],
      ) => Expr)
    | "by schedule";
}
