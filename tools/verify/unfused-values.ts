import { assembleAlone } from "../../compiler/assemble/index.ts";
import { type Graph, GraphBuilder, type NodeId } from "../../compiler/graph/index.ts";
import { type DeviceProfile, elementSizeBytes, type Program } from "../../compiler/program/index.ts";
import { type DispatchValues, type Schedule, schedule } from "../../compiler/schedule/index.ts";
import { printKernel } from "../../compiler/wgsl/index.ts";

/** The state buffer in which {@link unfusedProgram} reads a source, and the output in which it leaves a result. */
export const nameOf = (node: NodeId): string => `value.${node}`;

/**
 * What a dispatch computes, as a program of one kernel an op: its sources are state buffers, its results outputs of `evaluate`.
 * @throws TensorTooLargeError where a value that the dispatch never stores does not fit into a buffer
 */
export function unfusedProgram(planned: Schedule, values: DispatchValues, profile: DeviceProfile): Program {
  const graph = graphOf(planned, values);
  const states = values.sources.map(({ node }) => ({
    name: nameOf(node),
    sizeBytes: wordBytesOf(planned, node),
  }));
  return assembleAlone("unfused", profile, {
    states,
    entries: { evaluate: schedule(graph, profile, { fuse: false }) },
    print: printKernel,
  });
}

export function elementsOf({ nodes }: Schedule, node: NodeId): number {
  return nodes[node]!.type.shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a value in a buffer, in whole words as copies are. */
export function wordBytesOf(planned: Schedule, node: NodeId): number {
  const sizeBytes = elementsOf(planned, node) * elementSizeBytes(planned.nodes[node]!.type.dtype);
  return Math.ceil(sizeBytes / 4) * 4;
}

function graphOf(planned: Schedule, { sources, nodes, results }: DispatchValues): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "verify" });
  const here = new Map<NodeId, NodeId>();
  for (const { node } of sources) {
    const { dtype, shape } = planned.nodes[node]!.type;
    here.set(node, b.state(nameOf(node), dtype, shape));
  }
  for (const id of nodes) {
    const { op, inputs, attrs, origin } = planned.nodes[id]!;
    const mapped = inputs.map((input) => {
      const copy = here.get(input);
      if (copy === undefined) throw new Error(`the value of %${input} is neither read nor computed`);
      return copy;
    });
    here.set(
      id,
      b.withOrigin(origin, () => b.make(op, mapped, attrs)),
    );
  }
  for (const { node } of results) b.output(nameOf(node), here.get(node)!);
  return b.build();
}
