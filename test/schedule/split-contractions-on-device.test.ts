import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, tensor } from "../../compiler/graph/index.ts";
import { partsOf } from "../../compiler/kernel/index.ts";
import { schedule } from "../../compiler/schedule/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

/** Sums of up to 1,536 products of numbers in [-1, 1], relative to the largest. */
const TOLERANCE = 1e-5;

interface Case {
  readonly lhs: readonly number[];
  readonly rhs: readonly number[];
  readonly out: readonly number[];
  readonly sizes: Readonly<Record<number, number>>;
  /** The right operand is summed over the same axes. */
  readonly summed?: boolean;
  /** Pieces x rows x columns x terms of the kernel on a GPU. */
  readonly shape: string;
}

const [I, O, B, T, H] = [0, 1, 2, 3, 4];

const cases: readonly (readonly [string, Case])[] = [
  [
    "a weight's gradient with the bias's: whole sequences are pieces",
    {
      lhs: [B, T, I],
      rhs: [B, T, O],
      out: [I, O],
      sizes: { 0: 64, 1: 64, 2: 48, 3: 32 },
      summed: true,
      shape: "24 x 64 x 64 x 64",
    },
  ],
  [
    "every sequence is a piece",
    {
      lhs: [B, T, I],
      rhs: [B, T, O],
      out: [I, O],
      sizes: { 0: 64, 1: 64, 2: 8, 3: 64 },
      summed: true,
      shape: "8 x 64 x 64 x 64",
    },
  ],
  [
    "one axis, ragged result, operands transposed",
    { lhs: [I, T], rhs: [O, T], out: [I, O], sizes: { 0: 37, 1: 50, 3: 600 }, shape: "8 x 37 x 50 x 75" },
  ],
  [
    "with a batch axis, the result transposed",
    {
      lhs: [H, T, I],
      rhs: [T, H, O],
      out: [H, O, I],
      sizes: { 0: 16, 1: 20, 3: 512, 4: 3 },
      shape: "24 x 16 x 20 x 64",
    },
  ],
];

function graphOf({ lhs, rhs, out, sizes, summed }: Case) {
  const b = new GraphBuilder({ path: "", at: "", label: "g", pass: "test" });
  const shapes = { x: lhs.map((label) => sizes[label]!), dy: rhs.map((label) => sizes[label]!) };
  const x = b.parameter("x", shapes.x);
  const dy = b.parameter("dy", shapes.dy);
  if (summed) b.output("db", b.sum(dy, [0, 1]));
  b.output("dw", b.einsum(x, dy, { lhs, rhs, out }));
  const random = randomNumbers(7);
  const parameters = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((a, size) => a * size, 1);
      const values = Array.from({ length: count }, () => 2 * random() - 1);
      return [name, tensor({ dtype: "f32", shape }, values)] as const;
    }),
  );
  return { graph: b.build(), leaves: { parameters } };
}

describe("a long contraction with a small result is made in pieces on a GPU", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  const shapesOn = (graph: ReturnType<typeof graphOf>["graph"], deviceClass: "gpu" | "software") =>
    schedule(graph, { ...kiln.profile, deviceClass }, { fuse: true }).steps.flatMap((step) =>
      step.kind !== "dispatch"
        ? []
        : partsOf(step.kernel).map((kernel) =>
            kernel.kind === "matmul"
              ? [kernel.batch, kernel.m, kernel.n, kernel.k].map(({ extent }) => extent).join(" x ")
              : kernel.kind,
          ),
    );

  test.each(cases)("%s", async (_, each) => {
    const { graph, leaves } = graphOf(each);
    expect(shapesOn(graph, "gpu").filter((text) => text.includes("x"))).toEqual([each.shape]);
    // A bias gradient is summed in the matmul's pieces; then both are added up, in one dispatch or two.
    expect(shapesOn(graph, "gpu")).toHaveLength(each.summed ? 3 : 2);
    expect(shapesOn(graph, "software")).toHaveLength(1);
    const device = { ...kiln, profile: { ...kiln.profile, deviceClass: "gpu" as const } };
    const actual = await runOnDevice(graph, leaves, device, true);
    for (const [name, value] of evaluate(graph, leaves).outputs)
      expect(relativeError(actual.outputs.get(name)!, value), name).toBeLessThanOrEqual(TOLERANCE);
  });

  test("not where the result fills the device, nor where the contraction is short", () => {
    const sizes = { 0: 512, 1: 512, 2: 8, 3: 128 };
    const large = graphOf({ lhs: [B, T, I], rhs: [B, T, O], out: [I, O], sizes, shape: "" });
    expect(shapesOn(large.graph, "gpu")).toEqual(["1 x 512 x 512 x 1024"]);
    const short = graphOf({
      lhs: [I, T],
      rhs: [O, T],
      out: [I, O],
      sizes: { 0: 32, 1: 32, 3: 256 },
      shape: "",
    });
    expect(shapesOn(short.graph, "gpu")).toEqual(["1 x 32 x 32 x 256"]);
  });
});
