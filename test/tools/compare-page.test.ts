import { describe, expect, it } from "vitest";
import { kernelFigures, planFigures } from "../../tools/compare/figures.ts";
import type { PageData, Stage } from "../../tools/compare/page/content.ts";
import { renderPage } from "../../tools/compare/page/page.ts";
import { compileSpec } from "../compiler/specs.ts";

const roofline = { bytesPerSecond: 1e9, flopsPerSecond: 4e9, matmulFlopsPerSecond: 2e9 };

/** As measured, with a millisecond for each kernel. */
function stageOf(fuse: boolean): Stage {
  const { program, stages } = compileSpec("models/bert-tiny.bert", {
    settings: { layers: "1", batch: "4" },
    entries: ["train"],
    fuse,
  });
  const train = program.entries.train!;
  const times = train.steps.flatMap((step) =>
    step.kind === "dispatch" ? { label: step.label, kernel: "", milliseconds: 1 } : [],
  );
  const figures = { ...planFigures(program), ...kernelFigures(train, [times], roofline) };
  return { program, schedule: stages!.schedules.get("train")!, figures };
}

describe("the page of a comparison", () => {
  const [fused, unfused] = [stageOf(true), stageOf(false)];
  const page = renderPage({
    title: "<tiny>",
    device: "a device",
    fused,
    unfused,
    rules: { rows: fused.figures },
    roofline,
  });
  const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)?.[1] ?? "";
  const data: PageData = JSON.parse(json);

  it("holds all it needs", () => {
    expect(page).not.toMatch(/\s(?:src|href)\s*=|@import|url\(/);
    const addresses = [...page.matchAll(/https?:\/\/[^\s"'<]*/g)].map(([address]) => address);
    expect(new Set(addresses)).toEqual(new Set(["http://www.w3.org/2000/svg"]));
    expect(page).toContain("<title>&lt;tiny&gt;: fused and unfused</title>");
    // Types are gone from the script, or no browser would run it.
    const script = page.slice(page.lastIndexOf("<script>") + 8, page.lastIndexOf("</script>"));
    expect(() => new Function(script)).not.toThrow();
  });

  it.each(["fused", "unfused"] as const)("shows every kernel of the %s step everywhere", (name) => {
    const stage = name === "fused" ? fused : unfused;
    const steps = stage.program.entries.train!.steps.filter((step) => step.kind === "dispatch");
    const side = data[name];
    expect(side.kernels).toHaveLength(steps.length);
    side.kernels.forEach((kernel, at) => {
      const step = steps[at]!;
      expect(side.modules[kernel.module]).toBe(stage.program.kernels[step.kernel]!.wgsl);
      expect([kernel.bytesRead, kernel.bytesWritten, kernel.flops]).toEqual([
        step.bytesRead,
        step.bytesWritten,
        step.flops,
      ]);
      const least = Math.max((step.bytesRead + step.bytesWritten) / 1e9, step.flops / 4e9) * 1000;
      expect(kernel.roofline).toBeCloseTo(least, 9);
      // In the graph, the timeline and the list; in the memory plan where it writes there first.
      const places = page.split(`data-kernel="${name}:${at}"`).length - 1;
      expect(places).toBeGreaterThanOrEqual(3);
    });
    for (const flow of side.flows) {
      expect(flow.producer).toBeLessThan(flow.consumer);
      expect(flow.reason.length).toBeGreaterThan(8);
      expect(page).toContain(`data-edge="${flow.producer} ${flow.consumer}"`);
    }
  });

  it("says which lines of the spec a kernel comes from", () => {
    const walk = data.fused.kernels.find(({ kind }) => kind === "stream");
    expect(walk?.lines.map(({ file }) => file)).toContain("models/lib/attention.bert");
    const sources = new Map(fused.program.sources.map(({ path, text }) => [path, text.split("\n")]));
    for (const kernel of [...data.fused.kernels, ...data.unfused.kernels]) {
      for (const { file, line, text, ops } of kernel.lines) {
        expect(text).toBe(sources.get(file)?.[line - 1]);
        expect(ops.length).toBeGreaterThan(0);
      }
    }
  });

  it("pairs kernels that compute the same ops", () => {
    const replaced = new Set(data.fused.kernels.flatMap(({ counterparts }) => counterparts));
    // What is only moved or linked may have no counterpart; nearly all have one.
    expect(replaced.size).toBeGreaterThan(0.9 * data.unfused.kernels.length);
    const most = Math.max(...data.fused.kernels.map(({ counterparts }) => counterparts.length));
    expect(most).toBeGreaterThan(5);
  });

  it("draws every tensor of the arenas", () => {
    for (const [name, stage] of [
      ["fused", fused],
      ["unfused", unfused],
    ] as const) {
      const drawn = data[name].arenas.flatMap(({ tensors }) => tensors);
      expect(drawn).toEqual(stage.schedule.arenaTensors);
      const highest = Math.max(...drawn.map(({ offsetBytes, sizeBytes }) => offsetBytes + sizeBytes));
      expect(highest).toBeLessThanOrEqual(data[name].arenas[0]!.sizeBytes);
    }
  });
});
