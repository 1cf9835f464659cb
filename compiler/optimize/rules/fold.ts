import {
  dtypeRange,
  evaluateNode,
  type GraphBuilder,
  type NodeId,
  type Tensor,
  tensor,
} from "../../graph/index.ts";
import { elementwiseOps, oneOf } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

export const foldRules: readonly Rule[] = [
  rule({
    name: "f(constants) = constant",
    // In float64 and rounded once, where the device would round after every op.
    exactness: "reassociates",
    match: oneOf(elementwiseOps),
    rewrite: (b, node) => {
      const constants = constantTensors(b, node.inputs);
      if (constants === null) return null;
      const { dtype } = node.type;
      // What an integer divided by zero is, is the device's to say.
      const dividesByZero = (node.op === "div" || node.op === "mod") && constants[1]!.data[0] === 0;
      if (dividesByZero && dtype !== "f32") return null;
      const value = evaluateNode(node, constants, {}).data[0]!;
      // WGSL has no literal for infinity and NaN, nor for what is beyond the range of an f32.
      const { min, max } = dtypeRange(dtype);
      return value >= min && value <= max ? b.constant(dtype, value) : null;
    },
  }),
];

/** The values of nodes that are all constants, else null. */
function constantTensors(b: GraphBuilder, ids: readonly NodeId[]): readonly Tensor[] | null {
  const tensors: Tensor[] = [];
  for (const id of ids) {
    const node = b.node(id);
    if (node.op !== "constant") return null;
    tensors.push(tensor(node.type, [node.attrs.value]));
  }
  return tensors;
}
