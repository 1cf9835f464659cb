import { SingleBar } from "cli-progress";
import type { Console } from "../console.ts";
import { formatCount, formatTimeLeft } from "../terminal/units.ts";
import type { KernelToTune } from "./kernels-to-tune.ts";
import type { TunedKernel } from "./tune-kernels.ts";

/** Shows a search while it goes on. */
export interface TuningProgress {
  variant(kernel: KernelToTune, at: number, elapsedMs: number): void;
  kernel(tuned: TunedKernel): void;
  /** Leaves what is shown last standing and ends the display. */
  stop(): void;
}

/** A bar where a person looks at a terminal, else a line a kernel. */
export function showTuning(console: Console, budgetMs: number): TuningProgress {
  const stream = console.progressStream;
  let found = 0;
  if (stream === undefined) {
    return {
      variant: () => {},
      kernel: (tuned) => console.note(kernelLine(tuned)),
      stop: () => {},
    };
  }
  const { dim, cyan, bold } = console.errorColours;
  const bar = new SingleBar({
    stream,
    fps: 10,
    hideCursor: false,
    gracefulExit: false,
    format: (
      _options: unknown,
      _params: unknown,
      shown: { readonly at?: number; readonly name?: string; readonly ms?: number },
    ): string => {
      const ms = Math.min(budgetMs, shown.ms ?? 0);
      const left = `${formatTimeLeft(budgetMs - ms)} ${dim("left")}`;
      const faster = `${bold(formatCount(found))} ${dim("faster")}`;
      const words = `kernel ${(shown.at ?? 0) + 1}  ${faster}  ${left}  ${shown.name ?? ""}`;
      const filled = Math.round((20 * ms) / budgetMs);
      const line = `${cyan("━".repeat(filled))}${dim("─".repeat(20 - filled))}  ${words}`;
      // Colour codes take no columns; a name that is cut is still told by the line that follows.
      return line.slice(0, (stream.columns ?? 80) + 30);
    },
  });
  bar.start(budgetMs, 0, {});
  return {
    variant: (kernel, at, ms) => {
      bar.update(Math.min(budgetMs, ms), { at, ms, name: shortLabel(kernel) });
    },
    kernel: (tuned) => {
      if (tuned.ratio !== undefined) found += 1;
    },
    stop: () => bar.stop(),
  };
}

/** `matmul_add: 8x8x4 in registers, ...: 23 % faster (12 variants tried)` */
function kernelLine({ kernel, variant, ratio, tried }: TunedKernel): string {
  const outcome =
    ratio === undefined
      ? "stays as it is"
      : `${variant}: takes ${(100 * ratio.mean).toFixed(0)} % of the time`;
  return `${shortLabel(kernel)}: ${outcome} (${formatCount(tried)} variants tried)`;
}

function shortLabel({ label }: KernelToTune): string {
  return label.split("  ")[0] ?? label;
}
