/** Watches for Ctrl-C (SIGINT) and a polite kill (SIGTERM). */
export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Exit code of the signal that came: 128 plus its number; undefined if none did. */
  readonly exitCode: number | undefined;
  dispose(): void;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * The first signal asks to finish what is in flight (`onFirst` says so to the person), the second ends the process at
 * once. What is on the disk is whole at every moment, so nothing is lost but the steps since the last checkpoint.
 */
export function watchInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let firstAt = 0;
  const receive = (name: keyof typeof exitCodes): void => {
    if (exitCode !== undefined) {
      // A terminal's Ctrl-C reaches every process of the group, and npm hands it on: the same key press may come twice.
      if (performance.now() - firstAt > 300) process.exit(exitCodes[name]);
      return;
    }
    exitCode = exitCodes[name];
    firstAt = performance.now();
    onFirst();
    controller.abort();
  };
  const onInterrupt = (): void => receive("SIGINT");
  const onTerminate = (): void => receive("SIGTERM");
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    dispose() {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
    },
  };
}
