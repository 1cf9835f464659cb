import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { type Graph, GraphBuilder, print, verify } from "../../compiler/graph/index.ts";
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
      expect([...outputs.keys()].sort()).toEqual([
        "grad_norm",
        "learning_rate",
        "loss.squares",
        "objective",
        "skipped",
      ]);
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

describe.each(Object.entries(optimizers))("%s", (_, optimizer) => {
  const steps = (more: Partial<Recipe>, reference: ReferenceOptimizer, limits: LayoutLimits) => {
    const model = linearModel(4, FEATURES);
    const config = recipe(optimizer, { clip: { globalNorm: 0.3 }, ...more });
    const layout = layoutParameters(model.parameters, config, limits);
    const train = checked(buildTrainStep(model, config, layout, gradients));
    const runner = new StepRunner(layout, initial, 7);
    const values = structuredClone(initial);
    for (let s = 0; s < 6; s++) {
      const batch = drawBatch(4, FEATURES, s);
      const { norm } = reference.step(values, lossAndGradient(values, batch).gradient);
      const outputs = runner.run(train, batchTensors(batch));
      expectClose([scalar(outputs, "grad_norm")], [norm]);
      for (const [name, expected] of Object.entries(values)) expectClose(runner.read(name), expected);
    }
    return { layout, train };
  };
  const decays = (name: string) =>
    optimizer.exclude?.includes("*") !== true && !(optimizer.exclude?.length === 1 && name.endsWith(".bias"));

  test.each([
    ["one buffer", oneBuffer],
    ["two buffers", twoBuffers],
  ])("scales rates by pattern: %s", (_case, limits) => {
    const rates = [
      { pattern: "*.bias", scale: 3 },
      { pattern: "layer.*", scale: 0.25 },
    ];
    const rateOf = (name: string) => (name.endsWith(".bias") ? 3 : name.startsWith("layer.") ? 0.25 : 1);
    steps({ rates }, new ReferenceOptimizer(optimizer, decays, 0.3, rateOf), limits);
  });

  test("leaves frozen parameters, makes no gradient of them, clips by the norm of the others", () => {
    const isFrozen = (name: string) => name === "layer.weight";
    const reference = new ReferenceOptimizer(optimizer, decays, 0.3, () => 1, isFrozen);
    const { train } = steps({ frozen: ["layer.weight"] }, reference, oneBuffer);
    expect(train.updates.map(({ state }) => state)).not.toContain("frozen.1");
    // The gradient of the weight would contract x with the errors.
    expect(train.nodes.filter(({ op }) => op === "einsum")).toHaveLength(1);
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

describe("a gradient that is not finite", () => {
  const spoiled = (batch: Batch, value: number): Batch => ({ ...batch, y: [value, ...batch.y.slice(1)] });
  const stateOf = (runner: StepRunner, counters: readonly string[]) =>
    [...runner.states]
      .filter(([name]) => !counters.includes(name))
      .map(([name, { data }]) => [name, [...data]]);

  test.each(Object.entries(optimizers))("skips the step: %s", (_, optimizer) => {
    const model = linearModel(4, FEATURES);
    for (const clip of [undefined, { globalNorm: 0.5 }]) {
      const config = recipe(optimizer, { clip });
      const layout = layoutParameters(model.parameters, config, twoBuffers);
      const train = checked(buildTrainStep(model, config, layout, gradients));
      const [runner, steady] = [new StepRunner(layout, initial, 7), new StepRunner(layout, initial, 7)];
      const good = [0, 1].map((s) => batchTensors(drawBatch(4, FEATURES, s)));
      // The last one is finite in the reference, but its norm is no f32.
      const bad = [Number.NaN, Number.POSITIVE_INFINITY, 1e39].map((value) =>
        batchTensors(spoiled(drawBatch(4, FEATURES, 9), value)),
      );
      for (const inputs of good) steady.run(train, inputs);
      runner.run(train, good[0]!);
      const before = stateOf(runner, ["skipped"]);
      bad.forEach((inputs, i) => {
        expect(scalar(runner.run(train, inputs), "skipped")).toBe(i + 1);
        expect(stateOf(runner, ["skipped"])).toEqual(before);
      });
      expect(scalar(runner.run(train, good[1]!), "skipped")).toBe(3);
      expect(stateOf(runner, ["skipped"])).toEqual(stateOf(steady, ["skipped"]));
      expect([...runner.states.get("step")!.data]).toEqual([2]);
    }
  });

  test("of one micro-batch skips the whole step and leaves nothing behind", () => {
    const model = linearModel(4, FEATURES);
    const config = recipe(optimizers.adamw!, { clip: { globalNorm: 0.5 }, accumulate: 3 });
    const layout = layoutParameters(model.parameters, config, oneBuffer);
    const train = checked(buildTrainStep(model, config, layout, gradients));
    const accumulate = checked(buildAccumulateStep(model, config, layout, gradients));
    for (const bad of [0, 1, 2]) {
      const runner = new StepRunner(layout, initial, 7);
      const before = stateOf(runner, ["skipped"]);
      [0, 1, 2].forEach((micro) => {
        const batch = drawBatch(4, FEATURES, micro);
        const inputs = batchTensors(micro === bad ? spoiled(batch, Number.NaN) : batch);
        runner.run(micro < 2 ? accumulate : train, inputs);
      });
      expect(stateOf(runner, ["skipped"])).toEqual(before);
      expect([...runner.states.get("skipped")!.data]).toEqual([1]);
    }
  });
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

test("a step of SGD in IR text, to see it whole", () => {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "elaborate" });
  const product = b.mul(b.parameter("w", [3]), b.input("x", "f32", [3]));
  const sum = b.sum(
    b.select(b.lt(b.uniform(b.randomKey(1), [3]), b.full("f32", 0.5, [3])), product, b.fullLike(product, 0)),
    [0],
  );
  b.output("loss.total", sum);
  b.output("objective", sum);
  const model = {
    graph: b.build(),
    parameters: [{ name: "w", shape: [3], init: { kind: "constant", value: 0 } as const }],
    randomStreams: 2,
  };
  const config = recipe({ kind: "sgd", lr: { kind: "constant", value: 0.5 } });
  const layout = layoutParameters(model.parameters, config, oneBuffer);
  const graph = buildTrainStep(model, config, layout, gradients);
  expect(print(graph, { origins: false })).toMatchInlineSnapshot(`
    "%0 = state() dtype=u32 name=seed shape=[1] : u32[1]
    %1 = view(%0) offset=0 shape=[] : u32[]
    %2 = state() dtype=i32 name=step shape=[1] : i32[1]
    %3 = view(%2) offset=0 shape=[] : i32[]
    %4 = constant() dtype=i32 value=0 : i32[]
    %5 = hash(%1) : u32[]
    %6 = cast(%3) dtype=u32 : u32[]
    %7 = add(%5, %6) : u32[]
    %8 = hash(%7) : u32[]
    %9 = cast(%4) dtype=u32 : u32[]
    %10 = add(%8, %9) : u32[]
    %11 = hash(%10) : u32[]
    %12 = broadcast(%11) axes=[] shape=[128] : u32[128]
    %13 = iota() axis=0 shape=[128] : i32[128]
    %14 = cast(%13) dtype=u32 : u32[128]
    %15 = add(%12, %14) : u32[128]
    %16 = hash(%15) : u32[128]
    %17 = state() dtype=f32 name=parameters.0 shape=[64] : f32[64]
    %18 = view(%17) offset=0 shape=[3] : f32[3]
    %19 = view(%16) offset=64 shape=[] : u32[]
    %20 = input() dtype=f32 name=x shape=[3] : f32[3]
    %21 = mul(%18, %20) : f32[3]
    %22 = uniform(%19) shape=[3] : f32[3]
    %23 = constant() dtype=f32 value=0.5 : f32[]
    %24 = broadcast(%23) axes=[] shape=[3] : f32[3]
    %25 = lt(%22, %24) : bool[3]
    %26 = constant() dtype=f32 value=0 : f32[]
    %27 = broadcast(%26) axes=[] shape=[3] : f32[3]
    %28 = select(%25, %21, %27) : f32[3]
    %29 = sum(%28) axes=[0] : f32[]
    %30 = constant() dtype=f32 value=1 : f32[]
    %31 = broadcast(%30) axes=[] shape=[3] : f32[3]
    %32 = select(%25, %31, %27) : f32[3]
    %33 = mul(%32, %20) : f32[3]
    %34 = pack(%33) offsets=[0] size=64 : f32[64]
    %35 = mul(%34, %34) : f32[64]
    %36 = sum(%35) axes=[0] : f32[]
    %37 = add(%26, %36) : f32[]
    %38 = sqrt(%37) : f32[]
    %39 = is_finite(%38) : bool[]
    %40 = broadcast(%39) axes=[] shape=[64] : bool[64]
    %41 = broadcast(%23) axes=[] shape=[64] : f32[64]
    %42 = mul(%34, %41) : f32[64]
    %43 = sub(%17, %42) : f32[64]
    %44 = select(%40, %43, %17) : f32[64]
    %45 = broadcast(%39) axes=[] shape=[1] : bool[1]
    %46 = cast(%45) dtype=i32 : i32[1]
    %47 = add(%2, %46) : i32[1]
    %48 = not(%39) : bool[]
    %49 = state() dtype=i32 name=skipped shape=[1] : i32[1]
    %50 = broadcast(%48) axes=[] shape=[1] : bool[1]
    %51 = cast(%50) dtype=i32 : i32[1]
    %52 = add(%49, %51) : i32[1]
    output loss.total = %29
    output objective = %29
    output grad_norm = %38
    output learning_rate = %23
    output skipped = %52
    update parameters.0 = %44
    update step = %47
    update skipped = %52
    "
  `);
});
