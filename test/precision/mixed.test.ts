import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluate, parse, print, verify } from "../../compiler/graph/index.ts";
import { emulateF16, mixedPrecision } from "../../compiler/precision/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { compileSpec } from "../compiler/specs.ts";
import { buildRandomGraph, graphNumbers } from "../graph/random-graph.ts";

const ORIGIN = { path: "", at: "", label: "x", pass: "test" };

function printed(pass: typeof mixedPrecision, text: string): string {
  const graph = pass(parse(text, ORIGIN));
  verify(graph);
  return print(graph, { origins: false });
}

const lines = (text: string): string => text.trim().replaceAll(/^ +/gm, "");

describe("mixed precision on the graph", () => {
  test("operands of contractions are f16, their sums f32; a value is rounded once, before it is moved", () => {
    const text = `
      %0 = input() dtype=f32 name=x shape=[4, 6] : f32[4, 6]
      %1 = parameter() name=w shape=[6, 4] : f32[6, 4]
      %2 = transpose(%1) perm=[1, 0] : f32[4, 6]
      %3 = einsum(%0, %1) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[4, 4]
      %4 = einsum(%0, %2) lhs=[0, 1] out=[0, 2] rhs=[2, 1] : f32[4, 4]
      %5 = add(%3, %4) : f32[4, 4]
      output y = %5`;
    expect(lines(printed(mixedPrecision, text))).toBe(
      lines(`
      %0 = input() dtype=f32 name=x shape=[4, 6] : f32[4, 6]
      %1 = parameter() name=w shape=[6, 4] : f32[6, 4]
      %2 = cast(%0) dtype=f16 : f16[4, 6]
      %3 = cast(%1) dtype=f16 : f16[6, 4]
      %4 = einsum(%2, %3) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[4, 4]
      %5 = transpose(%3) perm=[1, 0] : f16[4, 6]
      %6 = einsum(%2, %5) lhs=[0, 1] out=[0, 2] rhs=[2, 1] : f32[4, 4]
      %7 = add(%4, %6) : f32[4, 4]
      output y = %7`),
    );
  });

  test("a sum along a contraction reads what it reads, a factor of one of them taken out; other sums stay", () => {
    const text = `
      %0 = input() dtype=f32 name=x shape=[8, 4] : f32[8, 4]
      %1 = input() dtype=f32 name=d shape=[8, 6] : f32[8, 6]
      %2 = constant() dtype=f32 value=0.5 : f32[]
      %3 = broadcast(%2) axes=[] shape=[8, 6] : f32[8, 6]
      %4 = mul(%1, %3) : f32[8, 6]
      %5 = einsum(%0, %4) lhs=[0, 1] out=[1, 2] rhs=[0, 2] : f32[4, 6]
      %6 = sum(%1) axes=[0] : f32[6]
      %7 = sum(%1) axes=[1] : f32[8]
      output weights = %5
      output bias = %6
      output rows = %7`;
    expect(lines(printed(mixedPrecision, text))).toBe(
      lines(`
      %0 = input() dtype=f32 name=x shape=[8, 4] : f32[8, 4]
      %1 = input() dtype=f32 name=d shape=[8, 6] : f32[8, 6]
      %2 = constant() dtype=f32 value=0.5 : f32[]
      %3 = cast(%0) dtype=f16 : f16[8, 4]
      %4 = cast(%1) dtype=f16 : f16[8, 6]
      %5 = einsum(%3, %4) lhs=[0, 1] out=[1, 2] rhs=[0, 2] : f32[4, 6]
      %6 = broadcast(%2) axes=[] shape=[4, 6] : f32[4, 6]
      %7 = mul(%5, %6) : f32[4, 6]
      %8 = sum(%4) axes=[0] : f32[6]
      %9 = sum(%1) axes=[1] : f32[8]
      output weights = %7
      output bias = %8
      output rows = %9`),
    );
  });

  test("what contracts nothing, and integers, stay as they are", () => {
    const text = `
      %0 = input() dtype=f32 name=x shape=[4] : f32[4]
      %1 = input() dtype=i32 name=i shape=[4, 4] : i32[4, 4]
      %2 = einsum(%0, %0) lhs=[0] out=[0, 1] rhs=[1] : f32[4, 4]
      %3 = einsum(%1, %1) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : i32[4, 4]
      %4 = logsumexp(%2) axes=[1] : f32[4]
      %5 = sum(%2) axes=[0] : f32[4]
      output lse = %4
      output sum = %5
      output integers = %3`;
    expect(lines(printed(mixedPrecision, text)).split("\n").sort()).toEqual(lines(text).split("\n").sort());
  });

  test("emulated: the same rounding, no f16", () => {
    const text = `
      %0 = input() dtype=f32 name=x shape=[4] : f32[4]
      %1 = input() dtype=i32 name=n shape=[4] : i32[4]
      %2 = cast(%0) dtype=f16 : f16[4]
      %3 = cast(%1) dtype=f16 : f16[4]
      %4 = constant() dtype=f16 value=0.5 : f16[]
      %5 = broadcast(%4) axes=[] shape=[4] : f16[4]
      %6 = pad(%2) after=[2] before=[1] : f16[7]
      %7 = cast(%6) dtype=f32 : f32[7]
      %8 = einsum(%2, %3) lhs=[0] out=[] rhs=[0] : f32[]
      %9 = sum(%5) axes=[0] : f32[]
      output padded = %7
      output product = %8
      output sum = %9`;
    expect(lines(printed(emulateF16, text))).toBe(
      lines(`
      %0 = input() dtype=f32 name=x shape=[4] : f32[4]
      %1 = input() dtype=i32 name=n shape=[4] : i32[4]
      %2 = round_f16(%0) : f32[4]
      %3 = cast(%1) dtype=f32 : f32[4]
      %4 = round_f16(%3) : f32[4]
      %5 = constant() dtype=f32 value=0.5 : f32[]
      %6 = broadcast(%5) axes=[] shape=[4] : f32[4]
      %7 = pad(%2) after=[2] before=[1] : f32[7]
      %8 = einsum(%2, %4) lhs=[0] out=[] rhs=[0] : f32[]
      %9 = sum(%6) axes=[0] : f32[]
      output padded = %7
      output product = %8
      output sum = %9`),
    );
  });
});

describe("on random graphs", () => {
  test("all but contractions and sums beside them stays, and the emulation is equal to the last bit", () => {
    let rounded = 0;
    fc.assert(
      fc.property(graphNumbers, (numbers) => {
        const { graph, leaves } = buildRandomGraph(numbers);
        const mixed = mixedPrecision(graph);
        verify(mixed);
        const emulated = emulateF16(mixed);
        verify(emulated);
        for (const { node } of mixed.outputs) expect(mixed.nodes[node]!.type.dtype).not.toBe("f16");
        for (const node of mixed.nodes) {
          if (node.type.dtype === "f16") rounded += 1;
          const takesHalves = node.inputs.some((input) => mixed.nodes[input]!.type.dtype === "f16");
          if (takesHalves && node.type.dtype !== "f16") expect(["einsum", "sum"]).toContain(node.op);
        }
        for (const node of emulated.nodes) expect(node.type.dtype).not.toBe("f16");
        const [expected, actual] = [evaluate(mixed, leaves).outputs, evaluate(emulated, leaves).outputs];
        for (const [name, { data }] of expected) expect([...actual.get(name)!.data]).toEqual([...data]);
      }),
      { numRuns: 200 },
    );
    expect(rounded).toBeGreaterThan(20);
  });
});

describe("what mixed precision makes of a training step of bert-small, batch 16, vocabulary 8,000", () => {
  const settings = { batch: "16", vocab: "8000" };
  const step = (precision: "f32" | "mixed", f16: boolean) => {
    const profile = { ...softwareProfile, f16 };
    const compiled = compileSpec("models/bert-small.bert", {
      settings,
      precision,
      profile,
      entries: ["train"],
      verify: true,
    });
    const schedule = compiled.stages!.schedules.get("train")!;
    return { ...figures(compiled.program), tensors: schedule.arenaTensors };
  };
  const figures = ({ entries }: Program) => {
    const dispatches = entries.train!.steps.filter((s) => s.kind === "dispatch");
    return {
      dispatches: dispatches.length,
      // What runs side by side may do so in another order.
      kernels: dispatches.flatMap(({ label }) => label.split("  ")[0]!.split(" | ")).sort(),
      bytes: dispatches.reduce((n, s) => n + s.bytesRead + s.bytesWritten, 0),
      peakBytes: entries.train!.peakBytes,
    };
  };

  test("activations between kernels are f16: fewer bytes move and lie there, in as many dispatches but one", () => {
    const [plain, mixed] = [step("f32", true), step("mixed", true)];
    expect(
      [plain, mixed].map(({ dispatches, bytes, peakBytes }) => ({ dispatches, bytes, peakBytes })),
    ).toMatchInlineSnapshot(`
        [
          {
            "bytes": 236694988,
            "dispatches": 63,
            "peakBytes": 53128752,
          },
          {
            "bytes": 199286320,
            "dispatches": 64,
            "peakBytes": 49149264,
          },
        ]
      `);
    const halves = mixed.tensors.filter(({ label }) => label.includes(" f16[16, 64, "));
    // In each of two blocks what attention, its projection and the feed-forward layers contract, and cotangents.
    expect(halves.length).toBe(16);
    for (const { label, sizeBytes } of halves) {
      const [, sizes] = /f16\[([\d, ]+)\]/.exec(label)!;
      expect(sizeBytes).toBe(sizes!.split(", ").reduce((n, size) => n * Number(size), 2));
    }
    // What only contractions read is there in f16 alone.
    const activations = mixed.tensors.filter(({ label }) => label.startsWith("activate "));
    expect(activations.map(({ label }) => label.split(" ")[1]!.slice(0, 3))).toEqual(["f16", "f16"]);
  });

  test("emulated it is the same plan in f32", () => {
    const [native, emulated] = [step("mixed", true), step("mixed", false)];
    expect(emulated.tensors.some(({ label }) => label.includes("f16"))).toBe(false);
    expect(emulated.kernels).toEqual(native.kernels);
  });
});
