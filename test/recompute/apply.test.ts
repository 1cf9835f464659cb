import { describe, expect, test } from "vitest";
import {
  evaluate,
  GraphBuilder,
  type MemoryUse,
  type PlannedVertex,
  print,
  tensor,
  verify,
} from "../../compiler/graph/index.ts";
import { applyRecomputation, chooseRecomputation } from "../../compiler/recompute/index.ts";

const MiB = 2 ** 20;

/** `inner` and `early` are read before the peak, at which nothing reads them, and once more after it. */
function chain() {
  const b = new GraphBuilder({ path: "", at: "", label: "", pass: "test" });
  const x = b.input("x", "f32", [4]);
  const label = (name: string, make: () => number) => b.withOrigin({ label: name }, make);
  const inner = label("inner", () => b.exp(x));
  const early = label("early", () => b.tanh(b.mul(inner, inner)));
  const sum = label("sum", () => b.sum(early, [0]));
  const peak = label("peak", () => b.exp(sum));
  const late = label("late", () => b.log(peak));
  const last = label("last", () => b.mul(b.broadcast(late, [4], []), b.add(early, b.neg(inner))));
  b.output("last", last);
  const vertex = (node: number, step: number, size: number, sources: readonly number[]): PlannedVertex => ({
    node,
    step,
    sizeBytes: size * MiB,
    place: "arena",
    isRequired: node === last,
    sources,
  });
  const use: MemoryUse = {
    liveBytes: [2, 6, 7, 11, 11, 8].map((size) => size * MiB),
    vertices: [
      vertex(inner, 0, 2, []),
      vertex(early, 1, 4, [inner]),
      vertex(sum, 2, 1, [early]),
      vertex(peak, 3, 4, [sum]),
      vertex(late, 4, 1, [peak]),
      vertex(last, 5, 1, [late, early, inner]),
    ],
  };
  return { graph: b.build(), use, inner, early };
}

describe("computing a value again", () => {
  test("reads what was kept through a barrier, for those after the peak alone", () => {
    const { graph, use, inner, early } = chain();
    const again = applyRecomputation(graph, use, {
      peakStep: 3,
      again: new Set([early]),
      kept: new Set([inner]),
      freedBytes: 4 * MiB,
      peakBytes: 11 * MiB,
      liveBytes: 8 * MiB,
      work: 0,
    });
    verify(again);
    expect(print(again, { origins: true })).toMatchInlineSnapshot(`
      "%0 = input() dtype=f32 name=x shape=[4] : f32[4]  # test "" "" ""
      %1 = exp(%0) : f32[4]  # test "" inner ""
      %2 = mul(%1, %1) : f32[4]  # test "" early ""
      %3 = tanh(%2) : f32[4]  # test "" early ""
      %4 = sum(%3) axes=[0] : f32[]  # test "" sum ""
      %5 = exp(%4) : f32[]  # test "" peak ""
      %6 = log(%5) : f32[]  # test "" late ""
      %7 = broadcast(%6) axes=[] shape=[4] : f32[4]  # test "" last ""
      %8 = barrier(%1) number=0 : f32[4]  # recompute "" inner ""
      %9 = mul(%8, %8) : f32[4]  # recompute "" early ""
      %10 = tanh(%9) : f32[4]  # recompute "" early ""
      %11 = neg(%1) : f32[4]  # test "" last ""
      %12 = add(%10, %11) : f32[4]  # test "" last ""
      %13 = mul(%7, %12) : f32[4]  # test "" last ""
      output last = %13
      "
    `);
    const leaves = { inputs: new Map([["x", tensor({ dtype: "f32", shape: [4] }, [-1, 0, 0.5, 2])]]) };
    expect(evaluate(again, leaves).outputs).toEqual(evaluate(graph, leaves).outputs);
  });

  test("is chosen where it frees something at the peak, and never for what must be stored", () => {
    const { graph, use, inner, early } = chain();
    const stored = (ids: readonly number[]): MemoryUse => ({
      liveBytes: use.liveBytes,
      vertices: use.vertices.map((vertex) => ({ ...vertex, isRequired: ids.includes(vertex.node) })),
    });
    const chosen = chooseRecomputation(graph, stored([inner]), { limitBytes: 8 * MiB, flopsPerByte: 2 });
    expect(chosen).toMatchObject({
      peakStep: 3,
      again: new Set([early]),
      kept: new Set([inner]),
      freedBytes: 4 * MiB,
      peakBytes: 11 * MiB,
      liveBytes: 8 * MiB,
    });
    expect(
      chooseRecomputation(graph, stored([inner, early]), { limitBytes: 0, flopsPerByte: 2 }),
    ).toBeUndefined();
  });
});
