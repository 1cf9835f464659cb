import { GraphBuilder } from "./builder.ts";
import type { Graph, Node, NodeId } from "./types.ts";

/** Where two graphs part. */
export interface Difference {
  /** The output that only one of them computes. */
  readonly output: string;
  /** The first node of each, in its own order, that the other has not: all it is made of, both have. */
  readonly wanted: Node;
  readonly given: Node | undefined;
}

/**
 * Whether a graph computes what another one does: nodes are equal where op, attributes and inputs are, in whatever order
 * they stand, whatever outputs are called, whatever else is computed and wherever nodes come from.
 * @param outputs names of `wanted` to look for
 * @returns undefined where `given` has a node equal to each of them
 */
export function firstDifference(
  wanted: Graph,
  given: Graph,
  outputs: readonly string[],
): Difference | undefined {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "compare" });
  const wantedIds = b.import(wanted);
  const givenIds = b.import(given);
  const inGiven = new Set(givenIds);
  for (const { name, node } of wanted.outputs) {
    if (!outputs.includes(name) || inGiven.has(wantedIds[node]!)) continue;
    const inWanted = new Set(wantedIds);
    // The output of the same name is what the person means by it; other outputs may have nothing to do with this one.
    const root = given.outputs.find((output) => output.name === name)?.node;
    return {
      output: name,
      wanted: firstMissing(wanted, node, (id) => inGiven.has(wantedIds[id]!)) ?? wanted.nodes[node]!,
      given: root === undefined ? undefined : firstMissing(given, root, (id) => inWanted.has(givenIds[id]!)),
    };
  }
  return undefined;
}

/** The first node that `root` is made of and that the other graph has not. Nodes are topological. */
function firstMissing(graph: Graph, root: NodeId, isShared: (id: NodeId) => boolean): Node | undefined {
  const needed = new Set([root]);
  let first: Node | undefined;
  for (let id = root; id >= 0; id--) {
    const node = graph.nodes[id];
    if (node === undefined || !needed.has(id)) continue;
    for (const input of node.inputs) needed.add(input);
    if (!isShared(id)) first = node;
  }
  return first;
}
