import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elementCount } from "../../compiler/graph/index.ts";
import { layoutParameters, ParameterTooLargeError, type Recipe } from "../../compiler/training/index.ts";
import { matchesPattern } from "../../compiler/training/recipe.ts";

const adamw: Recipe = {
  optimizer: {
    kind: "adamw",
    lr: { kind: "constant", value: 1 },
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-6,
    weightDecay: 0.01,
    exclude: ["*.bias", "*.gamma"],
  },
  accumulate: 2,
  steps: 1,
};
const init = { kind: "constant", value: 0 } as const;

const parametersArbitrary = fc
  .array(
    fc.record({
      shape: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 }),
      kind: fc.constantFrom("weight", "bias", "gamma"),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((drawn) => drawn.map(({ shape, kind }, i) => ({ name: `layer.${i}.${kind}`, shape, init })));

test("parameters are aligned, disjoint, complete, decayed first, and no group outgrows a buffer", () => {
  fc.assert(
    fc.property(parametersArbitrary, fc.integer({ min: 1728, max: 4000 }), (parameters, elements) => {
      const limits = { maxBufferBytes: elements * 4, alignmentBytes: 256 };
      const layout = layoutParameters(parameters, adamw, limits);
      expect(layout.parameters.map(({ name, shape }) => ({ name, shape, init }))).toEqual(parameters);
      let first = 0;
      for (const group of layout.groups) {
        let end = 0;
        let segment = 0;
        for (const parameter of group.parameters) {
          expect(parameter.offset % 64).toBe(0);
          expect(parameter.offset).toBeGreaterThanOrEqual(end);
          expect(parameter.offset - end).toBeLessThan(64);
          expect(parameter.offsetBytes).toBe(parameter.offset * 4);
          expect(parameter.buffer).toBe(`parameters.${group.index}`);
          expect(parameter.slots).toEqual({
            "adam.m": `moment1.${group.index}`,
            "adam.v": `moment2.${group.index}`,
          });
          while (parameter.offset >= group.segments[segment]!.end) segment++;
          const decayed = parameter.name.endsWith(".weight");
          expect(parameter.treatment).toEqual({ decayed, rate: 1 });
          expect(group.segments[segment]).toMatchObject(parameter.treatment);
          end = parameter.offset + elementCount(parameter.shape);
        }
        expect(group.segments.length).toBeLessThanOrEqual(2);
        expect(group.segments.at(-1)!.end).toBe(group.size);
        expect(group.size % 64).toBe(0);
        expect(group.size).toBeGreaterThanOrEqual(end);
        expect(group.size - end).toBeLessThan(64);
        expect(group.size * 4).toBeLessThanOrEqual(limits.maxBufferBytes);
        // Groups are consecutive runs of the model's parameters.
        const members = new Set(group.parameters.map(({ name }) => name));
        expect(parameters.slice(first, first + members.size).every(({ name }) => members.has(name))).toBe(
          true,
        );
        first += members.size;
      }
      expect(first).toBe(parameters.length);
    }),
    { numRuns: 200 },
  );
});

describe("groups", () => {
  const layersOf = (count: number, weight: number) =>
    Array.from({ length: count }, (_, i) => [
      { name: `layer.${i}.weight`, shape: [weight], init },
      { name: `layer.${i}.bias`, shape: [64], init },
    ]).flat();
  const layout = (parameters: Parameters<typeof layoutParameters>[0], elements: number) =>
    layoutParameters(parameters, adamw, { maxBufferBytes: elements * 4, alignmentBytes: 256 }).groups.map(
      ({ size, segments, parameters: placed }) => ({
        size,
        decayedCount: segments.find(({ decayed }) => decayed)?.end,
        members: placed.length,
      }),
    );

  test("share the parameters evenly, and are of one size where that costs little", () => {
    expect(layout(layersOf(80, 4096), 40 * 4160)).toEqual([
      { size: 40 * 4160, decayedCount: 40 * 4096, members: 80 },
      { size: 40 * 4160, decayedCount: 40 * 4096, members: 80 },
    ]);
    const three = { size: 27 * 4160, decayedCount: 27 * 4096 };
    expect(layout(layersOf(80, 4096), 39 * 4160)).toEqual([
      { ...three, members: 54 },
      { ...three, members: 54 },
      { ...three, members: 52 },
    ]);
  });

  test("keep sizes of their own where padding would cost more than a thirty-second", () => {
    expect(layout(layersOf(3, 4096), 2 * 4160)).toEqual([
      { size: 2 * 4096 + 64, decayedCount: 2 * 4096, members: 3 },
      { size: 4096 + 2 * 64, decayedCount: 4096, members: 3 },
    ]);
  });
});

describe("treatments", () => {
  const parameters = ["encoder.weight", "encoder.bias", "head.weight", "head.bias", "norm.gamma"].map(
    (name) => ({
      name,
      shape: [64],
      init,
    }),
  );
  const limits = { maxBufferBytes: 1 << 20, alignmentBytes: 256 };

  test("what is decayed and updated alike stands together; the first pattern of a rate counts", () => {
    const rates = [
      { pattern: "encoder.*", scale: 0.1 },
      { pattern: "*.bias", scale: 2 },
    ];
    const { groups } = layoutParameters(parameters, { ...adamw, rates }, limits);
    expect(groups).toHaveLength(1);
    expect(groups[0]!.segments).toEqual([
      { decayed: true, rate: 0.1, end: 64 },
      { decayed: true, rate: 1, end: 128 },
      { decayed: false, rate: 0.1, end: 192 },
      { decayed: false, rate: 2, end: 256 },
      { decayed: false, rate: 1, end: 320 },
    ]);
    expect(groups[0]!.parameters.map(({ name }) => name)).toEqual([
      "encoder.weight",
      "head.weight",
      "encoder.bias",
      "head.bias",
      "norm.gamma",
    ]);
  });

  test("frozen parameters have buffers of their own and no slots", () => {
    const layout = layoutParameters(parameters, { ...adamw, frozen: ["encoder.*", "norm.gamma"] }, limits);
    expect(layout.groups.map(({ frozen, size }) => ({ frozen, size }))).toEqual([
      { frozen: false, size: 128 },
      { frozen: true, size: 192 },
    ]);
    expect(layout.parameters.map(({ buffer, slots }) => [buffer, Object.keys(slots).length])).toEqual([
      ["frozen.1", 0],
      ["frozen.1", 0],
      ["parameters.0", 2],
      ["parameters.0", 2],
      ["frozen.1", 0],
    ]);
    expect(layout.states.map(({ name }) => name)).toEqual([
      ...["parameters.0", "moment1.0", "moment2.0", "gradients.0", "frozen.1"],
      ...["step", "skipped", "seed", "micro"],
    ]);
  });
});

describe("states", () => {
  const parameters = [{ name: "w", shape: [10], init }];
  const names = (recipe: Recipe) =>
    layoutParameters(parameters, recipe, { maxBufferBytes: 1024, alignmentBytes: 256 }).states.map(
      ({ name, dtype, shape }) => `${name}: ${dtype}[${shape.join(", ")}]`,
    );

  test("of AdamW with accumulation", () => {
    expect(names(adamw)).toEqual([
      "parameters.0: f32[64]",
      "moment1.0: f32[64]",
      "moment2.0: f32[64]",
      "gradients.0: f32[64]",
      "step: i32[1]",
      "skipped: i32[1]",
      "seed: u32[1]",
      "micro: i32[1]",
    ]);
  });
  test("of momentum", () => {
    const optimizer = { kind: "momentum", lr: adamw.optimizer.lr, momentum: 0.9, nesterov: false } as const;
    expect(names({ optimizer, accumulate: 1, steps: 1 })).toEqual([
      "parameters.0: f32[64]",
      "velocity.0: f32[64]",
      "step: i32[1]",
      "skipped: i32[1]",
      "seed: u32[1]",
    ]);
  });
});

test("a parameter larger than a buffer is named with its size", () => {
  const parameters = [
    { name: "small", shape: [64], init },
    { name: "decoder.weight", shape: [100, 64], init },
  ];
  const limits = { maxBufferBytes: 6400 * 4 - 1, alignmentBytes: 256 };
  expect(() => layoutParameters(parameters, adamw, limits)).toThrow(ParameterTooLargeError);
  expect(() => layoutParameters(parameters, adamw, limits)).toThrow(
    "the parameter decoder.weight takes 25600 bytes; this device binds at most 25599 bytes at once",
  );
  expect(layoutParameters(parameters, adamw, { ...limits, maxBufferBytes: 6400 * 4 }).groups).toHaveLength(2);
});

test.each([
  ["*.bias", "a.b.bias", true],
  ["*.bias", "bias", false],
  ["*.bias", "a.bias.weight", false],
  ["bias", "a.bias", false],
  ["a.*.b*", "a.x.y.b", true],
  ["a.*.b", "a.b", false],
  ["*norm*", "encoder.norm.gamma", true],
  ["*", "", true],
  ["**", "x", true],
  ["a*a", "a", false],
  ["*a*b*", "bxa", false],
  ["x.[1]", "x.1", false],
])("the pattern %s on %s: %s", (pattern, path, expected) => {
  expect(matchesPattern(pattern, path)).toBe(expected);
});
