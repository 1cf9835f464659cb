import type { AttrsOf, OpName, TensorType } from "../types.ts";

/** Everything the compiler knows of one op, in one place. */
export interface OpDef<K extends OpName> {
  /** One line: what it computes and its types. */
  readonly summary: string;
  /**
   * Type of the output.
   * @throws GraphError where inputs or attributes break the op's contract (always a compiler bug)
   */
  readonly infer: (inputs: readonly TensorType[], attrs: AttrsOf<K>) => TensorType;
}
