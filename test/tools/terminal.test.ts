import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { renderPlot } from "../../tools/terminal/plot.ts";
import { barLine, plainLine } from "../../tools/terminal/progress.ts";
import { displayWidth, renderTable } from "../../tools/terminal/table.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFlops,
  formatLoss,
  formatRate,
  formatTimeLeft,
  parseBytes,
} from "../../tools/terminal/units.ts";

describe("units", () => {
  it.each([
    [0.31, "0.3 ms"],
    [9.94, "9.9 ms"],
    [9.96, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [59_940, "59.9 s"],
    [59_960, "1m 00s"],
    [65_000, "1m 05s"],
    [3_599_400, "59m 59s"],
    [3_599_600, "1h 00m"],
    [86_399_000, "1d 00h"],
    [90_000_000, "1d 01h"],
    [Number.NaN, "?"],
  ])("a duration of %s ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [-5, "0s"],
    [400, "0s"],
    [8_400, "8s"],
    [59_600, "1m 00s"],
    [Number.POSITIVE_INFINITY, "?"],
  ])("%s ms left is %s", (ms, text) => {
    expect(formatTimeLeft(ms)).toBe(text);
  });

  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [415 * 1024 * 1024, "415.0 MiB"],
    [2 ** 50 * 3, "3072.0 TiB"],
  ])("%s bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    ["1048576", 2 ** 20],
    ["2GiB", 2 ** 31],
    ["2 gib", 2 ** 31],
    ["500MB", 500_000_000],
    ["1.5kB", 1500],
    ["0.1 KiB", 102],
    ["3TiB", 3 * 2 ** 40],
    ["12 B", 12],
  ])("%s is a size", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(["", "GiB", "2G", "-1MB", "1e9", "0x10", "1,5GB", "1.MB", "2GiBs", "9999999TiB"])(
    "%j is no size",
    (text) => {
      expect(parseBytes(text)).toBeUndefined();
    },
  );

  it("writes counts, rates, flops and losses", () => {
    expect(formatCount(5_632_546)).toBe("5,632,546");
    expect([0.4242, 57.31, 104.2, 4413.2, Number.NaN].map(formatRate)).toEqual([
      "0.42",
      "57.3",
      "104",
      "4,413",
      "?",
    ]);
    expect([999, 1200, 350_000_000].map(formatFlops)).toEqual(["999", "1.2 k", "350 M"]);
    expect([9.91612, Number.NaN, Number.POSITIVE_INFINITY].map(formatLoss)).toEqual([
      "9.916",
      "NaN",
      "Infinity",
    ]);
  });
});

describe("table", () => {
  it("aligns columns by what is seen, not by code units", () => {
    const { bold } = pc.createColors(true);
    const table = renderTable(
      [
        { title: "token", align: "left" },
        { title: "value", align: "right" },
      ],
      [
        [bold("鶴"), "1.5"],
        ["crane", bold("-10.25")],
        ["é", "0"],
      ],
    );
    expect(table.split("\n").map(displayWidth)).toEqual([13, 13, 13, 13, 13]);
    expect(renderTable([{ title: "a", align: "left" }], [])).toBe("a\n─");
  });
});

describe("plot", () => {
  it("draws a falling line from the upper left to the lower right", () => {
    const values = Array.from({ length: 8 }, (_, index) => 7 - index);
    expect(renderPlot(values, { width: 4, height: 2, firstStep: 1 }).join("\n")).toBe(
      ["7.000 ┤⠑⢄", "0.000 ┤  ⠑⢄", "      └────", "       1  8"].join("\n"),
    );
  });

  it("keeps a gap for values that are no numbers", () => {
    const values = [3, 3, Number.NaN, Number.NaN, 1, 1];
    expect(renderPlot(values, { width: 3, height: 2, firstStep: 1 }).slice(0, 2)).toEqual([
      "3.000 ┤⠉",
      "1.000 ┤  ⣀",
    ]);
  });

  it("marks a floor within reach, and keeps the curve's height where it is not", () => {
    const plot = (floor: number) => renderPlot([3, 2], { width: 3, height: 2, firstStep: 1, floor });
    expect(plot(1)[1]).toMatch(/^1\.000 ┤[^ ] /);
    expect(plot(0.5)[1]).toMatch(/^2\.000 ┤/);
  });

  it("shows equal values in the middle, and says when there is nothing", () => {
    const flat = renderPlot([2, 2, 2, 2], { width: 2, height: 3, firstStep: 5 });
    expect(flat[1]?.includes("⣀") || flat[1]?.includes("⠒") || flat[1]?.includes("⠤")).toBe(true);
    expect(renderPlot([Number.NaN], { width: 4, height: 2, firstStep: 1 })).toEqual(["(no values)"]);
  });

  it("averages long runs into its columns", () => {
    const values = Array.from({ length: 4000 }, (_, index) => (index % 2 === 0 ? 1 : 3) - index / 4000);
    const lines = renderPlot(values, { width: 20, height: 4, firstStep: 1 });
    expect(lines).toHaveLength(6);
    expect(lines.every((line) => displayWidth(line) <= 27)).toBe(true);
    expect(lines.at(-1)?.endsWith("4,000")).toBe(true);
  });
});

describe("progress", () => {
  const status = {
    done: 30,
    total: 300,
    losses: [
      { name: "mlm", value: 5.1234, floor: 2.71 },
      { name: "nsp", value: 0.694, floor: undefined },
    ],
    skipped: 0,
    perSecond: 104.2,
    unit: "pairs",
    msLeft: 65_000,
  };
  const plain = pc.createColors(false);

  it("says all of it in a line", () => {
    expect(plainLine(status)).toBe(
      "step  30/300  mlm 5.123 (best 2.710)  nsp 0.694  104 pairs/s  1m 05s left",
    );
    expect(plainLine({ ...status, done: 300 })).toBe(
      "step 300/300  mlm 5.123 (best 2.710)  nsp 0.694  104 pairs/s",
    );
  });

  it("counts skipped steps once there are any", () => {
    expect(plainLine({ ...status, skipped: 2 })).toBe(
      "step  30/300  mlm 5.123 (best 2.710)  nsp 0.694  2 skipped  104 pairs/s  1m 05s left",
    );
    for (const columns of [200, 80, 60, 40])
      expect(barLine({ ...status, skipped: 2 }, columns, plain)).toContain("2 skipped");
    expect(barLine(status, 200, plain)).not.toContain("skipped");
  });

  it.each([200, 100, 80, 60, 46, 40, 20])("fits into %i columns", (columns) => {
    const line = barLine(status, columns, plain);
    if (columns > 40) expect(displayWidth(line)).toBeLessThan(columns);
    expect(line).toContain("mlm 5.123");
    expect(line).toContain("nsp 0.694");
    expect(displayWidth(barLine(status, columns, pc.createColors(true)))).toBe(displayWidth(line));
  });

  it("fills the bar in proportion", () => {
    const filled = (done: number): number =>
      [...barLine({ ...status, done }, 200, plain)].filter((c) => c === "━").length;
    expect([0, 75, 150, 300].map(filled)).toEqual([0, 10, 20, 40]);
  });
});
