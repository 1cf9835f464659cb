import {
  type AttrsOf,
  type Graph,
  GraphBuilder,
  type Leaves,
  type NodeId,
  type OpName,
  type Origin,
  ops,
  type Tensor,
} from "../../compiler/graph/index.ts";
import { drawOperand, randomNumbers } from "./draw.ts";
import { type Sample, samples } from "./samples.ts";

export const origin: Origin = { path: "", at: "", label: "sample", pass: "test" };

/** A sample as the graph `y = op(x0, x1, ...)`: f32 operands are parameters, all others inputs. */
export interface SampleGraph {
  readonly op: OpName;
  /** e.g. `take 3`. */
  readonly title: string;
  readonly graph: Graph;
  readonly leaves: Leaves;
  readonly operands: readonly Tensor[];
  readonly gives: readonly number[] | undefined;
}

/** Draws the operands of a sample (the same ones every time) and builds its graph; `finish` may add to it. */
export function sampleGraph<K extends OpName>(
  op: K,
  sample: Sample<K>,
  index: number,
  finish: (b: GraphBuilder, operands: readonly NodeId[], y: NodeId) => void = () => {},
): SampleGraph {
  const random = randomNumbers(index + 1);
  const operands = sample.inputs.map((operand) => drawOperand(operand, random));
  const b = new GraphBuilder(origin);
  const ids = operands.map(({ dtype, shape }, position) =>
    dtype === "f32" ? b.parameter(`x${position}`, shape) : b.input(`x${position}`, dtype, shape),
  );
  const y = b.make(op, ids, sample.attrs);
  b.output("y", y);
  finish(b, ids, y);
  const named = operands.map((value, position): [string, Tensor] => [`x${position}`, value]);
  const leaf = sample.leaf === undefined ? undefined : drawOperand(sample.leaf, random);
  const own = leaf === undefined ? [] : [[leafName(sample.attrs), leaf] as const];
  const values = new Map([...named, ...own]);
  return {
    op,
    title: `${op} ${index}`,
    graph: b.build(),
    leaves: { inputs: values, parameters: values, states: values, randomKey: () => leaf?.data[0] ?? 0 },
    operands,
    gives: sample.gives,
  };
}

function leafName(attrs: AttrsOf<OpName>): string {
  return "name" in attrs ? attrs.name : "";
}

export const opNames: readonly OpName[] = Object.keys(ops).filter((name): name is OpName => name in samples);

function samplesOf<K extends OpName>(op: K): readonly SampleGraph[] {
  const rows: readonly Sample<K>[] = samples[op];
  return rows.map((sample, index) => sampleGraph(op, sample, index));
}

export const allSamples: readonly SampleGraph[] = opNames.flatMap((op) => samplesOf(op));
