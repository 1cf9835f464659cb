import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { type Graph, verify } from "../../compiler/graph/index.ts";
import {
  buildAccumulateStep,
  buildEncode,
  buildEvaluate,
  buildTrainStep,
  type LayoutLimits,
  layoutParameters,
  type OptimizerRecipe,
  type Recipe,
} from "../../compiler/training/index.ts";
import {
  type Batch,
  batchTensors,
  drawBatch,
  linearModel,
  lossAndGradient,
  numbers,
} from "./linear-model.ts";
import { ReferenceOptimizer, referenceRate } from "./reference-optimizers.ts";
import { StepRunner } from "./step-runner.ts";

const FEATURES = 5;
const oneBuffer: LayoutLimits = { maxBufferBytes: 1 << 20, alignmentBytes: 256 };
/** Two parameters at most fit a buffer, so the third starts another group. */
const twoBuffers: LayoutLimits = { maxBufferBytes: 512, alignmentBytes: 256 };

const initial = {
  "layer.weight": numbers(FEATURES, 1),
  "layer.bias": numbers(1, 2),
  "unused.weight": numbers(3, 3),
};

const adam = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const optimizers: Readonly<Record<string, OptimizerRecipe>> = {
  sgd: { kind: "sgd", lr: { kind: "constant", value: 0.05 } },
  momentum: {
    kind: "momentum",
    lr: { kind: "warmup", peak: 0.05, warmup: 3 },
    momentum: 0.9,
    nesterov: false,
  },
  nesterov: { kind: "momentum", lr: { kind: "constant", value: 0.02 }, momentum: 0.8, nesterov: true },
  adam: { kind: "adam", lr: { kind: "warmup_linear", peak: 0.1, warmup: 2, total: 6, end: 0.01 }, ...adam },
  adamw: {
    kind: "adamw",
    lr: { kind: "warmup_cosine", peak: 0.1, warmup: 2, total: 9, end: 0 },
    ...adam,
    weightDecay: 0.1,
    exclude: ["*.bias"],
  },
  "adamw, all decayed": {
    kind: "adamw",
    lr: { kind: "constant", value: 0.1 },
    ...adam,
    weightDecay: 0.2,
    exclude: [],
  },
  "adamw, none decayed": {
    kind: "adamw",
    lr: { kind: "constant", value: 0.1 },
    ...adam,
    weightDecay: 0.2,
    exclude: ["*"],
  },
};

function recipe(optimizer: OptimizerRecipe, more: Partial<Recipe> = {}): Recipe {
  return { optimizer, accumulate: 1, steps: 8, ...more };
}

/**
 * Equal but for the series of Adam's bias correction, cut at 2^-35 = 3e-11 of a step: steps here are 0.1 at most and
 * ten of them are compared, so 3e-11 in all. The rounding of float64 is far below.
 */
function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(3e-11 * (1 + Math.abs(expected[i]!)));
  });
}

function scalar(outputs: ReturnType<StepRunner["run"]>, name: string): number {
  return outputs.get(name)!.data[0]!;
}

function checked(graph: Graph): Graph {
  verify(graph, "training");
  for (const { op } of graph.nodes) expect(["parameter", "random_key"]).not.toContain(op);
  return graph;
}

describe.each(Object.entries(optimizers))("%s", (_, optimizer) => {
  test.each([
    ["one buffer", oneBuffer, undefined],
    ["two buffers", twoBuffers, undefined],
    ["two buffers, clipped", twoBuffers, 0.3],
    ["clip that never bites", oneBuffer, 1e6],
  ] as const)("follows the hand-written steps: %s", (_case, limits, clipNorm) => {
    const model = linearModel(4, FEATURES);
    const config = recipe(optimizer, clipNorm === undefined ? {} : { clip: { globalNorm: clipNorm } });
    const layout = layoutParameters(model.parameters, config, limits);
    const train = checked(buildTrainStep(model, config, layout, gradients));
    const runner = new StepRunner(layout, initial, 7);

    const decays = (name: string) =>
      optimizer.exclude?.includes("*") !== true &&
      !(optimizer.exclude?.length === 1 && name.endsWith(".bias"));
    const reference = new ReferenceOptimizer(optimizer, decays, clipNorm);
    const values = structuredClone(initial);
    for (let s = 0; s < 10; s++) {
      const batch = drawBatch(4, FEATURES, s);
      const { loss, gradient } = lossAndGradient(values, batch);
      const { norm, rate } = reference.step(values, gradient);
      const outputs = runner.run(train, batchTensors(batch));
      expect([...outputs.keys()].sort()).toEqual(["grad_norm", "learning_rate", "loss.squares", "objective"]);
      expectClose(
        ["loss.squares", "objective", "grad_norm", "learning_rate"].map((name) => scalar(outputs, name)),
        [loss, loss, norm, rate],
      );
      for (const [name, expected] of Object.entries(values)) expectClose(runner.read(name), expected);
    }
    expect([...runner.states.get("step")!.data]).toEqual([10]);
    for (const { slot } of layout.slots)
      for (const name of Object.keys(values)) {
        const kept = slot === "adam.v" ? reference.second : reference.first;
        expectClose(runner.read(name, slot), kept[name]!);
      }
  });
});

test("clipping bites in the clipped case above, so that it is a case", () => {
  const { gradient } = lossAndGradient(initial, drawBatch(4, FEATURES, 0));
  expect(Math.hypot(...Object.values(gradient).flat())).toBeGreaterThan(0.3);
});

test("the gaps between parameters stay zero", () => {
  const model = linearModel(4, FEATURES);
  const config = recipe(optimizers.adamw!);
  const layout = layoutParameters(model.parameters, config, oneBuffer);
  const train = buildTrainStep(model, config, layout, gradients);
  const runner = new StepRunner(layout, initial, 7);
  runner.run(train, batchTensors(drawBatch(4, FEATURES, 0)));
  const held = layout.parameters.flatMap(({ offset, elementCount }) =>
    Array.from({ length: elementCount }, (_, i) => offset + i),
  );
  for (const name of ["parameters.0", "moment1.0", "moment2.0"])
    runner.states.get(name)!.data.forEach((value, i) => {
      if (!held.includes(i)) expect(value).toBe(0);
    });
});

test("accumulating k batches of b is one batch of k b", () => {
  const k = 3;
  const optimizer = optimizers.adamw!;
  const whole = linearModel(4 * k, FEATURES);
  const part = linearModel(4, FEATURES);
  const clip = { globalNorm: 0.5 };
  const one = recipe(optimizer, { clip });
  const many = recipe(optimizer, { clip, accumulate: k });
  const oneLayout = layoutParameters(whole.parameters, one, twoBuffers);
  const manyLayout = layoutParameters(part.parameters, many, twoBuffers);
  const oneTrain = checked(buildTrainStep(whole, one, oneLayout, gradients));
  const manyTrain = checked(buildTrainStep(part, many, manyLayout, gradients));
  const accumulate = checked(buildAccumulateStep(part, many, manyLayout, gradients));
  const oneRunner = new StepRunner(oneLayout, initial, 7);
  const manyRunner = new StepRunner(manyLayout, initial, 7);

  for (let s = 0; s < 4; s++) {
    const parts = Array.from({ length: k }, (_, i) => drawBatch(4, FEATURES, s * k + i));
    const joined: Batch = { x: parts.flatMap(({ x }) => x), y: parts.flatMap(({ y }) => y) };
    const expected = oneRunner.run(oneTrain, batchTensors(joined));
    const losses = parts.map((batch, i) => {
      const outputs = manyRunner.run(i < k - 1 ? accumulate : manyTrain, batchTensors(batch));
      if (i === k - 1) expectClose([scalar(outputs, "grad_norm")], [scalar(expected, "grad_norm")]);
      return scalar(outputs, "objective");
    });
    expectClose([losses.reduce((a, c) => a + c, 0) / k], [scalar(expected, "objective")]);
    for (const name of Object.keys(initial)) expectClose(manyRunner.read(name), oneRunner.read(name));
    expect([...manyRunner.states.get("micro")!.data]).toEqual([0]);
    expect([...manyRunner.states.get("step")!.data]).toEqual([s + 1]);
    expect(manyRunner.states.get("gradients.0")!.data.every((value) => value === 0)).toBe(true);
  }
});

test("a plan without accumulation has no accumulate entry", () => {
  const model = linearModel(2, FEATURES);
  const config = recipe(optimizers.sgd!);
  const layout = layoutParameters(model.parameters, config, oneBuffer);
  expect(() => buildAccumulateStep(model, config, layout, gradients)).toThrow("no accumulation");
});

describe("random streams", () => {
  const model = linearModel(8, FEATURES, 0.5);
  const config = recipe({ kind: "sgd", lr: { kind: "constant", value: 0 } }, { accumulate: 2 });
  const layout = layoutParameters(model.parameters, config, oneBuffer);
  const train = buildTrainStep(model, config, layout, gradients);
  const accumulate = buildAccumulateStep(model, config, layout, gradients);
  const inputs = batchTensors(drawBatch(8, FEATURES, 1));
  const losses = (seed: number): readonly number[] => {
    const runner = new StepRunner(layout, initial, seed);
    return [accumulate, train, accumulate, train].map((graph) =>
      scalar(runner.run(graph, inputs), "objective"),
    );
  };

  test("differ from step to step, from micro-batch to micro-batch and from seed to seed", () => {
    const drawn = [...losses(1), ...losses(2)];
    expect(new Set(drawn).size).toBe(drawn.length);
  });
  test("are the same for the same seed", () => {
    expect(losses(3)).toEqual(losses(3));
  });
});

describe("evaluation", () => {
  const model = linearModel(4, FEATURES);
  const config = recipe(optimizers.adam!);
  const layout = layoutParameters(model.parameters, config, twoBuffers);
  const batch = drawBatch(4, FEATURES, 3);

  test("gives all outputs and changes nothing", () => {
    const runner = new StepRunner(layout, initial, 7);
    const graph = checked(buildEvaluate(model, layout));
    const outputs = runner.run(graph, batchTensors(batch));
    expect([...outputs.keys()]).toEqual(["loss.squares", "output.predicted", "objective"]);
    expectClose([scalar(outputs, "objective")], [lossAndGradient(initial, batch).loss]);
    expect(graph.updates).toEqual([]);
  });
  test("encoding gives the outputs alone and reads only what they need", () => {
    const graph = checked(buildEncode(model, layout));
    expect(graph.outputs.map(({ name }) => name)).toEqual(["output.predicted"]);
    expect(graph.nodes.flatMap((node) => (node.op === "input" ? [node.attrs.name] : []))).toEqual(["x"]);
  });
  test("refuses a graph that draws random numbers", () => {
    expect(() => buildEvaluate(linearModel(4, FEATURES, 0.5), layout)).toThrow("random stream 0");
  });
});

describe("learning rates", () => {
  const ends = { peak: 2, warmup: 4, total: 10, end: 0.5 };
  test.each([
    ["warmup_linear", [0.5, 1, 1.5, 2, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.5]],
    ["warmup_cosine", [0.5, 1, 1.5, 2, 2, undefined, undefined, 1.25, undefined, undefined, 0.5, 0.5]],
  ] as const)("%s rises to its peak and falls to its end", (kind, expected) => {
    expected.forEach((rate, s) => {
      if (rate !== undefined) expect(referenceRate({ kind, ...ends }, s)).toBeCloseTo(rate, 12);
    });
  });
  test("a schedule that ends inside its warm-up is refused", () => {
    const model = linearModel(2, FEATURES);
    const config = recipe({
      kind: "sgd",
      lr: { kind: "warmup_linear", peak: 1, warmup: 5, total: 4, end: 0 },
    });
    const layout = layoutParameters(model.parameters, config, oneBuffer);
    expect(() => buildTrainStep(model, config, layout, gradients)).toThrow("inside the warm-up");
  });
});
