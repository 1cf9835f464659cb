import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  type Graph,
  type OpName,
  type Tensor,
  tensor,
  verify,
  zeros,
} from "../../compiler/graph/index.ts";
import { allRules, optimize } from "../../compiler/optimize/index.ts";
import { rewrite } from "../../compiler/optimize/rewrite.ts";
import {
  buildEvaluate,
  buildTrainStep,
  layoutParameters,
  type Recipe,
} from "../../compiler/training/index.ts";
import { numbers } from "../training/linear-model.ts";
import { type TransformerSize, transformer } from "./transformer.ts";

const recipe: Recipe = {
  optimizer: {
    kind: "adamw",
    lr: { kind: "warmup_linear", peak: 1e-2, warmup: 4, total: 100, end: 0 },
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-6,
    weightDecay: 0.01,
    exclude: ["*.bias", "*.gamma", "*.beta"],
  },
  clip: { globalNorm: 1 },
  accumulate: 1,
  steps: 100,
};

function trainStep(size: TransformerSize) {
  const model = transformer(size);
  const layout = layoutParameters(model.parameters, recipe, {
    maxBufferBytes: 2 ** 31 - 2 ** 12,
    alignmentBytes: 256,
  });
  return { layout, graph: buildTrainStep(model, recipe, layout, gradients) };
}

function count(graph: Graph, op: OpName): number {
  return graph.nodes.filter((node) => node.op === op).length;
}

const tiny: TransformerSize = {
  layers: 2,
  batch: 2,
  length: 4,
  hidden: 6,
  heads: 2,
  ffn: 8,
  vocabulary: 11,
  dropout: 0.25,
};

describe("a tiny transformer", () => {
  const { layout, graph } = trainStep(tiny);
  const optimized = optimize(graph);

  test("computes the same step as before, to the rounding of float64", () => {
    verify(optimized, "optimize");
    const states = new Map<string, Tensor>(layout.states.map((state) => [state.name, zeros(state)]));
    const parameters = states.get("parameters.0")!;
    parameters.data.set(numbers(parameters.data.length, 3));
    states.set("seed", tensor({ dtype: "u32", shape: [1] }, [17]));
    const inputs = new Map([
      ["tokens", tensor({ dtype: "i32", shape: [2, 4] }, [1, 5, 10, 0, 3, 3, 2, 0])],
      ["labels", tensor({ dtype: "i32", shape: [2, 4] }, [7, 5, 2, 0, 9, 3, 1, 0])],
      ["valid", tensor({ dtype: "i32", shape: [2] }, [3, 4])],
    ]);
    const before = evaluate(graph, { inputs, states });
    const after = evaluate(optimized, { inputs, states });
    for (const [kept, values] of [
      [before.outputs, after.outputs],
      [before.updates, after.updates],
    ] as const) {
      expect([...values.keys()].sort()).toEqual([...kept.keys()].sort());
      for (const [name, expected] of kept)
        values.get(name)!.data.forEach((value, i) => {
          // A step is 2.5e-3; where a gradient is all cancellation Adam's division brings its rounding up.
          const error = Math.abs(value - expected.data[i]!);
          if (!(error <= 1e-10 * (1 + Math.abs(expected.data[i]!))))
            expect(value, name).toBe(expected.data[i]);
        });
    }
    expect([...after.updates.get("step")!.data]).toEqual([1]);
  });

  test("moves no data but by reshaping, and keeps no op of training alone", () => {
    expect(count(graph, "transpose")).toBeGreaterThan(0);
    for (const op of ["transpose", "stop_gradient"] as const) expect(count(optimized, op)).toBe(0);
    expect(count(optimized, "einsum")).toBe(count(graph, "einsum"));
  });

  test("is a fixed point: optimizing again changes nothing", () => {
    expect(optimize(optimized)).toEqual(optimized);
  });

  test("the same graph always gives the same result", () => {
    expect(optimize(graph)).toEqual(optimized);
  });

  test("keeps the origins of what it keeps, and names itself nowhere", () => {
    const passes = new Set(optimized.nodes.map(({ origin }) => origin.pass));
    expect([...passes].sort()).toEqual(["autodiff", "elaborate", "training"]);
  });

  test("evaluation is optimized alike", () => {
    const evaluation = optimize(buildEvaluate(transformer({ ...tiny, dropout: 0 }), layout));
    verify(evaluation, "optimize");
    expect(count(evaluation, "transpose")).toBe(0);
  });
});

test("the work on BERT-Large's training step grows with its depth alone", () => {
  const applied = (layers: number): number => {
    const { graph } = trainStep({
      layers,
      batch: 8,
      length: 512,
      hidden: 1024,
      heads: 16,
      ffn: 4096,
      vocabulary: 30522,
      dropout: 0.1,
    });
    let count = 0;
    rewrite(
      graph,
      allRules.map((rule) => ({
        ...rule,
        apply: (b, id) => {
          count++;
          return rule.apply(b, id);
        },
      })),
    );
    return count;
  };
  const [six, twelve, large] = [applied(6), applied(12), applied(24)];
  expect(large - twelve).toBe(2 * (twelve - six));
});
