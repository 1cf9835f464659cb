import { type ForwardGraph, GraphBuilder, type NodeId } from "../graph/index.ts";
import type { TypedModel } from "../semantics/index.ts";
import { lowerInstruction } from "./lower.ts";

/** Whether `drop` drops. */
export type Mode = "train" | "evaluate";

/**
 * The forward graph of a model. Each `drop` has a random stream of its own, numbered in the order of the text; in
 * evaluation there are none.
 */
export function elaborate(model: TypedModel, mode: Mode): ForwardGraph {
  const b = new GraphBuilder({ path: "", at: "", label: model.name, pass: "elaborate" });
  const nodes: NodeId[] = [];
  let randomStreams = 0;
  for (const instruction of model.instructions) {
    const { path, at, label } = instruction.origin;
    const inputs = instruction.inputs.map((id) => nodes[id]!);
    const node = b.withOrigin({ path, at, label }, () =>
      lowerInstruction(b, instruction, inputs, mode === "train" ? () => randomStreams++ : undefined),
    );
    nodes.push(node);
  }
  for (const { name, value } of model.losses) b.output(`loss.${name}`, nodes[value]!);
  for (const { name, value } of model.outputs) b.output(`output.${name}`, nodes[value]!);
  if (mode === "evaluate") {
    for (const { name, value } of model.heads) b.output(`head.${name}`, nodes[value]!);
    for (const { name, value } of model.metrics) b.output(`metric.${name}`, nodes[value]!);
  }
  b.output("objective", nodes[model.objective]!);
  const parameters = model.parameters.map(({ name, shape, init }) => ({ name, shape, init }));
  return { graph: b.build(), parameters, randomStreams };
}
