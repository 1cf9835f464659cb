import { renderTable } from "../terminal/table.ts";
import { formatDuration } from "../terminal/units.ts";
import type { TunedKernel } from "./tune-kernels.ts";

/** The time of a step with the choices, as a part of that without, by the shares of the dispatches that have them. */
export function stepRatio(tuned: readonly TunedKernel[]): number {
  const saved = tuned.reduce(
    (sum, { kernel, ratio }) => sum + kernel.dispatchShare * (1 - (ratio?.mean ?? 1)),
    0,
  );
  // Shares of parts of one dispatch overlap.
  return Math.max(0, 1 - saved);
}

/** A line for every kernel that has become faster. */
export function tuningTable(faster: readonly TunedKernel[]): string {
  return renderTable(
    [
      { title: "kernel", align: "left" },
      { title: "of the step", align: "right" },
      { title: "was", align: "left" },
      { title: "is", align: "left" },
      { title: "ms before", align: "right" },
      { title: "time", align: "right" },
      { title: "99 % sure", align: "right" },
    ],
    faster.map(({ kernel, variant, ratio, dispatchMs }) => [
      kernel.label.split("  ")[0] ?? "",
      percent(kernel.share),
      kernel.chosen,
      variant,
      formatDuration(dispatchMs),
      percent(ratio?.mean ?? 1),
      `${percent(ratio?.low ?? 1)} - ${percent(ratio?.high ?? 1)}`,
    ]),
  );
}

/** Variants that the device refused or that computed something else. */
export function rejectedLines(tuned: readonly TunedKernel[]): readonly string[] {
  return tuned.flatMap(({ kernel, rejected }) =>
    rejected.map(({ variant, reason }) => `${kernel.label.split("  ")[0]}, ${variant}: not used, ${reason}`),
  );
}

function percent(part: number): string {
  return `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
}
