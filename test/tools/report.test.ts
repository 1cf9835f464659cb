import { describe, expect, it } from "vitest";
import { renderLossChart } from "../../tools/report/chart.ts";
import {
  meanLosses,
  pairsPerSecond,
  readCsv,
  recordsUpTo,
  type StepRecord,
  smooth,
  writeCsv,
} from "../../tools/report/history.ts";

const records: readonly StepRecord[] = [
  { step: 1, losses: { mlm: 6.25, nsp: 0.7 }, examples: 32, ms: 500 },
  { step: 2, losses: { mlm: 1 / 3, nsp: Number.NaN }, examples: 32, ms: 300 },
  { step: 3, losses: { mlm: 5, nsp: 0.5 }, examples: 16, ms: 200 },
];

describe("history", () => {
  it("writes a table that reads back exactly", () => {
    const text = writeCsv(["mlm", "nsp"], records);
    expect(text).toBe(
      "step,mlm,nsp,pairs,ms\n1,6.25,0.7,32,500\n2,0.3333333333333333,NaN,32,300\n3,5,0.5,16,200\n",
    );
    expect(readCsv(["mlm", "nsp"], text)).toEqual(records);
  });

  it.each([
    ["of other losses", "step,lm,pairs,ms\n0,1,2,3\n"],
    ["with a short line", "step,mlm,nsp,pairs,ms\n0,1,2,3\n"],
    ["of another kind", "hello"],
    ["with a broken step", "step,mlm,nsp,pairs,ms\nx,1,2,3,4\n"],
  ])("does not read a table %s", (_, text) => {
    expect(readCsv(["mlm", "nsp"], text)).toBeUndefined();
  });

  it("cuts what a resumed run will do again", () => {
    expect(recordsUpTo(records, 2).map(({ step }) => step)).toEqual([1, 2]);
  });

  it("computes means and the rate", () => {
    expect(meanLosses(["mlm"], records).mlm).toBeCloseTo((6.25 + 1 / 3 + 5) / 3, 12);
    expect(pairsPerSecond(records)).toBe(80);
    expect(pairsPerSecond([])).toBeNaN();
    const bad = { step: 4, losses: { mlm: Number.NaN, nsp: 9 }, examples: 32, ms: 1, skipped: true };
    expect(meanLosses(["mlm", "nsp"], [...records, bad])).toEqual(meanLosses(["mlm", "nsp"], records));
  });

  it("smooths without a bias at the start", () => {
    expect(smooth([4, 4, 4, 4], 10).every((value) => Math.abs(value - 4) < 1e-12)).toBe(true);
    expect(smooth([1, Number.NaN, 1], 3)[1]).toBeNaN();
    expect(smooth([0, 3], 2)[1]).toBeCloseTo((0 * (1 / 3) + 3) / (1 / 3 + 1), 12);
    expect(smooth([5, 1], 1)).toEqual([5, 1]);
  });
});

describe("chart", () => {
  it("draws a panel for every loss, with the floor", () => {
    const svg = renderLossChart({
      title: "tiny <b>",
      subtitle: "software device",
      names: ["mlm", "nsp"],
      records,
      floors: { mlm: { value: 2.5, label: "best possible" } },
    });
    expect(svg.startsWith("<svg")).toBe(true);
    expect(svg).toContain("tiny &lt;b&gt;");
    expect(svg).toContain("mlm loss (nats): 5.000 at step 3");
    expect(svg).toContain("nsp loss (nats): 0.500 at step 3");
    expect(svg).toContain("best possible 2.500");
    expect(svg.match(/NaN/g)).toBeNull();
  });

  it("draws runs of one step and of none", () => {
    for (const count of [0, 1]) {
      const svg = renderLossChart({
        title: "t",
        subtitle: "",
        names: ["mlm"],
        records: records.slice(0, count),
        floors: {},
      });
      expect(svg.startsWith("<svg")).toBe(true);
    }
  });
});
