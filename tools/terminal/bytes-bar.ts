import { SingleBar } from "cli-progress";
import type { Console } from "../console.ts";
import { formatBytes, formatTimeLeft } from "./units.ts";

/** Shows how far something has come that is measured in bytes. */
export interface BytesBar {
  /** @param what is being done, in a word or two */
  update(bytes: number, what: string): void;
  /** Leaves what is shown last standing and ends the display. */
  stop(): void;
}

/** Without a terminal: milliseconds between two lines. */
const lineEveryMs = 30_000;

/** A bar where a person looks at a terminal, else a line now and then. */
export function showBytes(console: Console, total: number): BytesBar {
  const startedMs = performance.now();
  const status = (bytes: number, what: string): string => {
    const seconds = (performance.now() - startedMs) / 1000;
    const left = (seconds / bytes) * (total - bytes) * 1000;
    return `${what}  ${formatBytes(Math.min(bytes, total))} of ${formatBytes(total)}  ${formatBytes(bytes / seconds)}/s  ${formatTimeLeft(left)} left`;
  };
  const stream = console.progressStream;
  if (stream === undefined) {
    let saidAtMs = startedMs;
    return {
      update(bytes, what) {
        if (performance.now() - saidAtMs < lineEveryMs) return;
        saidAtMs = performance.now();
        console.note(status(bytes, what));
      },
      stop: () => {},
    };
  }
  const { cyan, dim } = console.errorColours;
  const width = 24;
  const bar = new SingleBar({
    stream,
    fps: 10,
    // Not hidden: a command that is killed must not leave a terminal without a cursor.
    hideCursor: false,
    gracefulExit: false,
    format: (
      _options: unknown,
      _params: unknown,
      shown: { readonly bytes?: number; readonly what?: string },
    ) => {
      const { bytes = 0, what = "" } = shown;
      const filled = Math.min(width, Math.round((bytes / total) * width));
      const words = bytes === 0 ? what : status(bytes, what);
      return `${cyan("━".repeat(filled))}${dim("─".repeat(width - filled))}  ${words}`.slice(
        0,
        // Colour codes take no columns.
        (stream.columns ?? 80) + 19,
      );
    },
  });
  bar.start(total, 0, {});
  return {
    update: (bytes, what) => bar.update(Math.min(bytes, total), { bytes, what }),
    stop: () => bar.stop(),
  };
}
