import { LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { formatLoss } from "../terminal/units.ts";

import { type HeldOutRecord, objectiveMeasure } from "./held-out-history.ts";
import { isWithinReach, type LossNames, type StepRecord, smooth } from "./history.ts";

use([LineChart, GridComponent, TitleComponent, MarkLineComponent, SVGRenderer]);

/** A level that a loss cannot fall below, and what to call it. */
export interface Floor {
  readonly value: number;
  readonly label: string;
}

export interface ChartInput {
  readonly title: string;
  /** Small print under the title: model, data, device, rate. */
  readonly subtitle: string;
  readonly names: LossNames;
  readonly records: readonly StepRecord[];
  /** Evaluations during the run. */
  readonly heldOut?: readonly HeldOutRecord[];
  /** Levels to mark, by loss: the best there is, with its label. */
  readonly floors: Readonly<Record<string, Floor>>;
}

/** Colour-blind safe (Okabe and Ito 2008), and readable in grey. */
const colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"] as const;
const ink = "#333333";
const faint = "#e4e4e4";

/**
 * The curves of a run as a standalone SVG: one panel a loss, and one a measure that only evaluations have (an accuracy), each with
 * its own scale, over common steps. The raw losses are drawn thin, their moving average thick, evaluations as points with a
 * line, the best possible loss dashed.
 */
export function renderLossChart(input: ChartInput): string {
  const { records, floors, heldOut = [] } = input;
  const names = [...input.names, ...measuredOnly(input.names, heldOut)];
  const width = 880;
  const panelHeight = 220;
  const top = 84;
  const gap = 56;
  const height = top + names.length * (panelHeight + gap) + 8;
  const span = Math.max(1, Math.round(records.length / 40));
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  const steps = records.map((record) => record.step);
  const marked = new Set(names.filter((name) => isMarked(floors[name]?.value, lossValues(records, name))));
  const panelTop = (index: number): number => top + index * (panelHeight + gap);
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif", color: ink },
    title: [
      {
        text: input.title,
        subtext: input.subtitle,
        left: 56,
        top: 10,
        textStyle: { fontSize: 18, color: ink },
        subtextStyle: { fontSize: 12, color: "#666666" },
        itemGap: 6,
      },
      ...names.map((name, index) => ({
        text: input.names.includes(name)
          ? panelTitle(name, records, heldOut, floors[name])
          : measureTitle(name, heldOut),
        left: 56,
        top: panelTop(index) - 24,
        textStyle: { fontSize: 13, color: colours[index % colours.length] ?? ink },
      })),
    ],
    grid: names.map((_, index) => ({
      left: 64,
      right: 32,
      top: panelTop(index) + 4,
      height: panelHeight - 20,
    })),
    xAxis: names.map((_, index) => ({
      type: "value" as const,
      gridIndex: index,
      min: steps[0] ?? 0,
      max: Math.max(steps.at(-1) ?? 1, (steps[0] ?? 0) + 1),
      minInterval: 1,
      name: index === names.length - 1 ? "step" : "",
      nameLocation: "middle" as const,
      nameGap: 24,
      splitLine: { show: false },
      axisLine: { lineStyle: { color: "#999999" } },
      axisLabel: { color: "#666666", showMaxLabel: true },
    })),
    yAxis: names.map((_, index) => ({
      type: "value" as const,
      gridIndex: index,
      scale: true,
      splitNumber: 5,
      splitLine: { lineStyle: { color: faint } },
      axisLabel: { color: "#666666" },
    })),
    series: names.flatMap((name, index) => {
      const colour = colours[index % colours.length] ?? ink;
      const values = lossValues(records, name);
      const points = (ys: readonly number[]): [number, number][] =>
        ys.flatMap((y, at): [number, number][] => (Number.isFinite(y) ? [[steps[at] ?? at, y]] : []));
      const floor = floors[name];
      const common = { type: "line" as const, xAxisIndex: index, yAxisIndex: index, silent: true };
      const measured = heldOut.flatMap(({ step, measures }): [number, number][] => {
        const value = measures[name];
        return value !== undefined && Number.isFinite(value) ? [[step, value]] : [];
      });
      return [
        {
          ...common,
          data: measured,
          symbol: "circle",
          symbolSize: 7,
          lineStyle: { width: 1.5, color: ink },
          itemStyle: { color: ink },
          z: 3,
        },
        {
          ...common,
          data: points(values),
          showSymbol: records.length < 2,
          lineStyle: { width: 1, color: colour, opacity: 0.4 },
          itemStyle: { color: colour },
        },
        {
          ...common,
          data: points(smooth(values, span)),
          showSymbol: false,
          lineStyle: { width: 2.25, color: colour },
          ...(floor !== undefined &&
            marked.has(name) && {
              markLine: {
                silent: true,
                symbol: "none",
                lineStyle: { type: "dashed" as const, color: "#666666", width: 1 },
                label: {
                  formatter: `${floor.label} ${formatLoss(floor.value)}`,
                  position: "insideStartTop" as const,
                  color: "#666666",
                },
                data: [{ yAxis: floor.value }],
              },
            }),
        },
      ];
    }),
  });
  // A marked level is no data to echarts' scale: widen the axis by hand where it lies outside.
  chart.setOption({
    yAxis: names.map((name) => {
      const floor = floors[name]?.value;
      return floor !== undefined && marked.has(name) && floor < Math.min(...finite(lossValues(records, name)))
        ? { min: Math.floor(floor * 2) / 2 }
        : {};
    }),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function lossValues(records: readonly StepRecord[], name: string): number[] {
  return records.map((record) => record.losses[name] ?? Number.NaN);
}

function finite(values: readonly number[]): number[] {
  return values.filter(Number.isFinite);
}

/** Measures of evaluations that are no losses of the steps, but for their sum. */
function measuredOnly(losses: LossNames, heldOut: readonly HeldOutRecord[]): readonly string[] {
  const names = Object.keys(heldOut[0]?.measures ?? {});
  return names.filter((name) => !losses.includes(name) && name !== objectiveMeasure);
}

function measureTitle(name: string, heldOut: readonly HeldOutRecord[]): string {
  const last = heldOut.at(-1);
  const value = last?.measures[name];
  return value === undefined ? name : `${name}, held out: ${formatLoss(value)} after step ${last?.step}`;
}

function isMarked(floor: number | undefined, values: readonly number[]): boolean {
  const shown = finite(values);
  return (
    floor !== undefined && shown.length > 0 && isWithinReach(floor, Math.min(...shown), Math.max(...shown))
  );
}

function panelTitle(
  name: string,
  records: readonly StepRecord[],
  heldOut: readonly HeldOutRecord[],
  floor: Floor | undefined,
): string {
  const last = records.at(-1);
  const value = last?.losses[name];
  const measured = heldOut.at(-1)?.measures[name];
  const held = measured === undefined ? "" : ` · held out (points) ${formatLoss(measured)}`;
  const best = `${held}${floor === undefined ? "" : ` · ${floor.label} ${formatLoss(floor.value)}`}`;
  return last === undefined || value === undefined
    ? `${name} loss (nats)${best}`
    : `${name} loss (nats): ${formatLoss(value)} at step ${last.step}${best}`;
}
