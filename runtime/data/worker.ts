import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { KilnError, messageOf } from "../errors.ts";
import type { MakeBatch, WorkerReply, WorkerStart } from "./messages.ts";
import { describeMaker, openMaker } from "./open.ts";

/** Body of the data thread: opens the source it is started with, then makes the batches it is asked for, in turn. */
async function serve(port: MessagePort, { request, options }: WorkerStart): Promise<void> {
  const reply = (message: WorkerReply, transfer: readonly ArrayBuffer[] = []): void => {
    port.postMessage(message, transfer);
  };
  try {
    const maker = await openMaker(request, options);
    port.on("message", ({ id, index }: MakeBatch) => {
      try {
        const batch = maker.make(index);
        const buffers = Object.values(batch.fields).map((field) => field.buffer);
        reply(
          { kind: "batch", id, batch },
          buffers.filter((buffer) => buffer instanceof ArrayBuffer),
        );
      } catch (thrown) {
        reply({ kind: "failed", id, error: describe(thrown) });
      }
    });
    reply({ kind: "ready", maker: describeMaker(maker) });
  } catch (thrown) {
    reply({ kind: "failed", error: describe(thrown) });
  }
}

function describe(thrown: unknown): (WorkerReply & { readonly kind: "failed" })["error"] {
  if (thrown instanceof KilnError) {
    const { kind, message, hint } = thrown;
    return { kind, message, ...(hint !== undefined && { hint }) };
  }
  // Anything else is a mistake of this program's: its stack is what helps.
  return {
    kind: "machine",
    message: `the data thread failed: ${thrown instanceof Error ? thrown.stack : messageOf(thrown)}`,
  };
}

if (parentPort !== null) void serve(parentPort, workerData);
