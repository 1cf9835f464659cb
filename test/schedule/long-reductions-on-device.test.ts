import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { programOf, relativeError, runOnDevice } from "./run-graph.ts";

/** f32 rounds a sum of n terms of one sign by at most n / pieces + pieces half ULPs: below 2e-5 for the lengths here. */
const TOLERANCE = 2e-5;

interface Case {
  readonly shape: readonly number[];
  readonly axes: readonly number[];
  /** Dispatches of the fused sum of squares, by device class. */
  readonly dispatches: { readonly software: number; readonly gpu: number };
}

const both = (count: number) => ({ software: count, gpu: count });
const cases: readonly Case[] = [
  { shape: [8191], axes: [0], dispatches: both(1) },
  { shape: [8192], axes: [0], dispatches: both(2) },
  // Primes, and 64 times a prime: the length of a flat gradient.
  { shape: [8209], axes: [0], dispatches: both(2) },
  { shape: [64 * 1171], axes: [0], dispatches: both(2) },
  { shape: [3, 10007], axes: [1], dispatches: both(2) },
  { shape: [2, 103, 101], axes: [1, 2], dispatches: both(2) },
  { shape: [2, 9001, 5], axes: [1], dispatches: both(2) },
  { shape: [9001, 8], axes: [0], dispatches: both(2) },
  { shape: [64, 9001], axes: [1], dispatches: both(1) },
  { shape: [1027, 128], axes: [0], dispatches: { software: 1, gpu: 2 } },
  { shape: [2, 130, 12], axes: [1], dispatches: { software: 1, gpu: 2 } },
  { shape: [63, 128], axes: [0], dispatches: both(1) },
];

function graphOf({ shape, axes }: Case): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const x = b.input("x", "f32", shape);
  b.output("squares", b.sum(b.mul(x, x), axes));
  b.output("greatest", b.reduceMax(x, axes));
  return b.build();
}

describe("long reductions run in pieces, whatever the length", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  for (const deviceClass of ["software", "gpu"] as const)
    for (const fuse of [true, false])
      test.each(cases)(`$shape over $axes, ${deviceClass}, ${fuse ? "fused" : "unfused"}`, async (one) => {
        const graph = graphOf(one);
        const count = one.shape.reduce((n, size) => n * size, 1);
        const random = randomNumbers(count);
        const x = tensor(
          { dtype: "f32", shape: one.shape },
          Array.from({ length: count }, () => Math.fround(2 * random() - 1)),
        );
        const leaves = { inputs: new Map([["x", x]]) };
        const device = { ...kiln, profile: { ...kiln.profile, deviceClass } };
        const expected = evaluate(graph, leaves).outputs;
        const actual = await runOnDevice(graph, leaves, device, fuse);
        expect(relativeError(actual.outputs.get("squares")!, expected.get("squares")!)).toBeLessThan(
          TOLERANCE,
        );
        expect([...actual.outputs.get("greatest")!.data]).toEqual([...expected.get("greatest")!.data]);
      });

  test.each(cases)("$shape over $axes takes as many dispatches as it must", (one) => {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const x = b.input("x", "f32", one.shape);
    b.output("y", b.sum(b.mul(x, x), one.axes));
    const graph = b.build();
    for (const deviceClass of ["software", "gpu"] as const) {
      const { steps } = programOf(graph, { ...kiln.profile, deviceClass }, true).entries.evaluate!;
      expect(steps.length, deviceClass).toBe(one.dispatches[deviceClass]);
    }
  });
});

describe("a state is updated in place", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const N = 64 * 1171;
  /** p := p - x / norm(x), v := v + x x, count := count + 1 where the norm is at most 1e6. */
  const graph = (() => {
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const x = b.input("x", "f32", [N]);
    const norm = b.sqrt(b.sum(b.mul(x, x), [0]));
    const [p, v] = [b.state("p", "f32", [N]), b.state("v", "f32", [N])];
    const count = b.state("count", "i32", [1]);
    b.update("p", b.sub(p, b.div(x, b.broadcast(norm, [N], []))));
    b.update("v", b.add(v, b.mul(x, x)));
    const isSmall = b.broadcast(b.le(norm, b.constant("f32", 1e6)), [1], []);
    b.update("count", b.select(isSmall, b.add(count, b.full("i32", 1, [1])), count));
    b.output("norm", norm);
    return b.build();
  })();
  const random = randomNumbers(3);
  const draw = () =>
    tensor(
      { dtype: "f32", shape: [N] },
      Array.from({ length: N }, () => Math.fround(2 * random() - 1)),
    );
  const leaves = {
    inputs: new Map([["x", draw()]]),
    states: new Map([
      ["p", draw()],
      ["v", draw()],
      ["count", tensor({ dtype: "i32", shape: [1] }, [41])],
    ]),
  };

  test.each(["software", "gpu"] as const)(
    "after a norm in two kernels, without a copy: %s",
    async (deviceClass) => {
      const device = { ...kiln, profile: { ...kiln.profile, deviceClass } };
      const actual = await runOnDevice(graph, leaves, device, true);
      expect(actual.program.entries.evaluate!.steps.map((step) => step.kind)).toEqual([
        "dispatch",
        "dispatch",
        "dispatch",
      ]);
      const expected = evaluate(graph, leaves);
      for (const [state, value] of expected.updates)
        expect(relativeError(actual.updates.get(state)!, value), state).toBeLessThan(TOLERANCE);
      expect([...actual.updates.get("count")!.data]).toEqual([42]);
    },
  );
});
