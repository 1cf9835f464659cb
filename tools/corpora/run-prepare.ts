import type { Prepared, PreparePlan } from "../../runtime/data/index.ts";
import type { Console } from "../console.ts";
import { watchInterrupt } from "../interrupt.ts";
import { type BytesBar, showBytes } from "../terminal/bytes-bar.ts";

/** A preparation that Ctrl-C ended: nothing of it is left. */
export interface Interrupted {
  /** Of the process: 128 plus the number of the signal. */
  readonly interruptedBy: number;
}

/**
 * Prepares a corpus, with a bar.
 * @returns what was written, or the signal that ended it
 * @throws what `prepareCorpus` throws
 */
export async function runPrepare(
  path: string,
  folder: string,
  plan: PreparePlan & { readonly force: boolean },
  console: Console,
): Promise<Prepared | Interrupted> {
  const { prepareCorpus, usualShardBytes } = await import("../../runtime/data/index.ts");
  let bar: BytesBar | undefined;
  const interrupt = watchInterrupt(() => {
    bar?.stop();
    console.note("stopping; Ctrl-C again to leave at once");
  });
  try {
    return await prepareCorpus(path, folder, {
      ...plan,
      shardBytes: usualShardBytes,
      signal: interrupt.signal,
      onProgress(doing, doneBytes, totalBytes) {
        bar ??= showBytes(console, totalBytes);
        bar.update(doneBytes, doing);
      },
    });
  } catch (thrown) {
    if (interrupt.exitCode === undefined) throw thrown;
    return { interruptedBy: interrupt.exitCode };
  } finally {
    bar?.stop();
    interrupt.dispose();
  }
}
