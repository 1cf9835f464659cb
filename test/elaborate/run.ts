import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate, type Mode } from "../../compiler/elaborate/index.ts";
import { evaluate, type Graph, type Tensor, tensor, verify } from "../../compiler/graph/index.ts";
import { analyzeTexts, inForward } from "../semantics/check.ts";

/** x: f32[4, 6], ids: i32[4, 3] below 6, flag: i32[4], w: f32[6, 5]. */
export const inputs = {
  x: tensor(
    { dtype: "f32", shape: [4, 6] },
    Array.from({ length: 24 }, (_, i) => Math.sin(3 * i + 1) * 2),
  ),
  ids: tensor({ dtype: "i32", shape: [4, 3] }, [0, 5, 2, 1, 1, 4, 3, 0, 5, 2, 2, 2]),
  flag: tensor({ dtype: "i32", shape: [4] }, [1, 4, 6, 2]),
};
export const w = tensor(
  { dtype: "f32", shape: [6, 5] },
  Array.from({ length: 30 }, (_, i) => Math.cos(2 * i)),
);

/** The forward graph of a text; the test fails with the text's errors where it has some. */
export function graphOf(text: string, mode: Mode = "evaluate"): Graph {
  const result = analyzeTexts({ "spec.bert": text });
  if (result.model === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  const { graph } = elaborate(result.model, mode);
  verify(graph);
  return graph;
}

/** The value of an expression over x, ids, flag and w, by the reference evaluator. */
export function computed(expression: string, declarations = "", mode: Mode = "evaluate"): Tensor {
  const graph = graphOf(inForward(`output y = ${expression}`, declarations), mode);
  const evaluated = evaluate(graph, {
    inputs: new Map(Object.entries(inputs)),
    parameters: new Map([["w", w]]),
    randomKey: (stream) => 12345 + stream,
  });
  const value = evaluated.outputs.get("output.y");
  if (value === undefined) throw new Error("no output y");
  return value;
}

/** Row-major elements by a function of the index. */
export function elements(
  shape: readonly number[],
  at: (...index: readonly number[]) => number,
): readonly number[] {
  const index = shape.map(() => 0);
  const out: number[] = [];
  const count = shape.reduce((n, size) => n * size, 1);
  for (let i = 0; i < count; i++) {
    out.push(at(...index));
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (shape[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  return out;
}
