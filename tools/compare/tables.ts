import { fusionRules, isFusionRule } from "../../compiler/schedule/index.ts";
import { renderTable } from "../terminal/table.ts";
import { formatBytes, formatCount, formatDuration, formatFlops, formatLoss } from "../terminal/units.ts";
import type { Comparison, KernelFigures } from "./figures.ts";
import type { Roofline } from "./roofline.ts";

/** Fused and unfused side by side. */
export function sidesTable(fused: Comparison, unfused: Comparison): string {
  const row = (
    name: string,
    of: (side: Comparison) => number,
    format: (value: number) => string,
  ): string[] => {
    const [a, b] = [of(fused), of(unfused)];
    return [name, format(a), format(b), a > 0 && b > 0 ? `${(b / a).toFixed(2)}x` : ""];
  };
  const measured =
    fused.roofline === null
      ? []
      : [
          row("in kernels", (side) => kernelMs(side), formatDuration),
          ["of the roofline", formatShare(fused.roofline), formatShare(unfused.roofline), ""],
        ];
  return renderTable(
    [
      { title: "a training step", align: "left" },
      { title: "fused", align: "right" },
      { title: "unfused", align: "right" },
      { title: "unfused / fused", align: "right" },
    ],
    [
      row("dispatches", (side) => side.dispatches, formatCount),
      row("distinct pipelines", (side) => side.pipelines, formatCount),
      row("submits", (side) => side.submits, formatCount),
      row("read + written", (side) => side.bytesMoved, formatBytes),
      row("floating-point operations", (side) => side.flops, formatFlops),
      row("peak memory", (side) => side.peakBytes, formatBytes),
      row("median time", (side) => side.msPerStep ?? Number.NaN, formatDuration),
      ...measured,
      row("first loss", (side) => side.losses[0] ?? Number.NaN, formatLoss),
      row("last loss", (side) => side.losses.at(-1) ?? Number.NaN, formatLoss),
    ],
  );
}

/** What each rule is worth: the step without it, as the difference from the fused step. */
export function ablationTable(fused: Comparison, rules: Readonly<Record<string, Comparison>>): string {
  const timed = Object.values(rules).some((side) => side.msPerStep !== null);
  const more = (a: number, b: number, format: (value: number) => string): string => {
    if (a === b) return "=";
    return `${b > a ? "+" : "-"}${format(Math.abs(b - a))}`;
  };
  return renderTable(
    [
      { title: "without", align: "left" },
      { title: "dispatches", align: "right" },
      { title: "pipelines", align: "right" },
      { title: "read + written", align: "right" },
      { title: "peak memory", align: "right" },
      ...(timed ? [{ title: "median time", align: "right" } as const] : []),
      { title: "the rule", align: "left" },
    ],
    Object.entries(rules).map(([rule, side]) => [
      rule,
      more(fused.dispatches, side.dispatches, formatCount),
      more(fused.pipelines, side.pipelines, formatCount),
      more(fused.bytesMoved, side.bytesMoved, formatBytes),
      more(fused.peakBytes, side.peakBytes, formatBytes),
      ...(timed ? [more(fused.msPerStep ?? Number.NaN, side.msPerStep ?? Number.NaN, formatDuration)] : []),
      isFusionRule(rule) ? fusionRules[rule] : "",
    ]),
  );
}

/** Kernels shown in the terminal; the page and `--json` have them all. */
const shownKernels = 12;

/** The kernels that take longest, dispatches of one pipeline together. */
export function kernelTable({ kernels }: Comparison): string {
  const byPipeline = new Map<number, KernelFigures[]>();
  for (const figures of kernels)
    byPipeline.set(figures.kernel, [...(byPipeline.get(figures.kernel) ?? []), figures]);
  const sum = (list: readonly KernelFigures[], of: (figures: KernelFigures) => number): number =>
    list.reduce((total, figures) => total + of(figures), 0);
  const totalMs = sum(kernels, ({ ms }) => ms);
  const rows = [...byPipeline.values()]
    .map((list) => ({ list, ms: sum(list, ({ ms }) => ms) }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, shownKernels)
    .map(({ list, ms }) => {
      const bytes = sum(list, (figures) => figures.bytes);
      const flops = sum(list, (figures) => figures.flops);
      const least = sum(list, (figures) => figures.ms * (figures.roofline ?? 0));
      return [
        list[0]?.label.split("  ")[0] ?? "",
        `${list.length}x`,
        formatDuration(ms),
        formatShare(ms / totalMs),
        `${formatBytes(bytes / (ms / 1000))}/s`,
        `${formatFlops(flops / (ms / 1000))}FLOP/s`,
        formatShare(list[0]?.roofline === null ? null : least / ms),
      ];
    });
  return renderTable(
    [
      { title: "fused kernel", align: "left" },
      { title: "runs", align: "right" },
      { title: "time", align: "right" },
      { title: "of the step", align: "right" },
      { title: "memory", align: "right" },
      { title: "arithmetic", align: "right" },
      { title: "of the roofline", align: "right" },
    ],
    rows,
  );
}

export function rooflineLine(roofline: Roofline): string {
  return (
    `roofline of this device, measured: ${formatBytes(roofline.bytesPerSecond)}/s copied, ` +
    `${formatFlops(roofline.flopsPerSecond)}FLOP/s in registers, ${formatFlops(roofline.matmulFlopsPerSecond)}FLOP/s in a large matmul`
  );
}

/** `12 %`; a share above 1 comes from caches. */
export function formatShare(share: number | null): string {
  return share === null || !Number.isFinite(share)
    ? ""
    : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

export function kernelMs({ kernels }: Comparison): number {
  return kernels.reduce((sum, { ms }) => sum + ms, 0);
}
