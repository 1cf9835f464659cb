import type { DataRequest } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import type { MakeBatch, WorkerReply, WorkerStart } from "./messages.ts";
import { describeSource, type OpenOptions } from "./open.ts";
import type { Batch, BatchSource } from "./types.ts";

/** Batches made before they are asked for. */
const ahead = 4;

/** A promise with its two ends. */
interface Pending {
  readonly promise: Promise<Batch>;
  readonly resolve: (batch: Batch) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Opens a corpus in a thread of its own (`node:worker_threads`), which keeps a few batches ready. Node only; a browser
 * uses `createBatchMaker`.
 * @returns once the corpus is read and its vocabulary known
 * @throws KilnError for whatever is wrong with corpus or settings; later failures reject `next()`
 */
export async function openBatches(request: DataRequest, options: OpenOptions): Promise<BatchSource> {
  const { Worker } = await import("node:worker_threads");
  const start: WorkerStart = { request, options };
  // No flags of this process: its own loader hooks (tsx, vitest) are not meant for the thread.
  const worker = new Worker(new URL("./worker-start.mjs", import.meta.url), {
    workerData: start,
    execArgv: [],
  });

  let closed: Error | undefined;
  let at = 0;
  let nextId = 0;
  /** Requests the thread has not answered, by id. */
  const inFlight = new Map<number, Pending>();
  /** Batches asked for and not yet taken, by index. */
  const ready = new Map<number, Promise<Batch>>();
  const fail = (error: Error): void => {
    closed ??= error;
    for (const { reject } of inFlight.values()) reject(error);
    inFlight.clear();
  };
  const settle = (id: number): Pending | undefined => {
    const pending = inFlight.get(id);
    inFlight.delete(id);
    return pending;
  };

  const described = await new Promise<Omit<BatchSource, "next" | "seek" | "close">>((resolve, reject) => {
    worker.on("message", (reply: WorkerReply) => {
      if (reply.kind === "ready") return resolve(describeSource(reply.maker));
      if (reply.kind === "batch") {
        settle(reply.id)?.resolve(reply.batch);
        return;
      }
      const error = new KilnError(reply.error.kind, reply.error.message, reply.error.hint);
      if (reply.id === undefined) reject(error);
      else settle(reply.id)?.reject(error);
    });
    worker.on("error", (error) => {
      const failure = new KilnError("machine", `the data thread failed: ${error.message}`, undefined, error);
      fail(failure);
      reject(failure);
    });
    worker.on("exit", (code) => {
      const failure = new KilnError("machine", `the data thread ended with code ${code}`);
      fail(failure);
      reject(failure);
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });

  /** Keeps batches at .. at + ahead - 1 asked for; forgets the others. */
  const ask = (): void => {
    for (const index of ready.keys()) if (index < at || index >= at + ahead) ready.delete(index);
    for (let index = at; index < at + ahead; index++) {
      if (ready.has(index)) continue;
      const id = nextId++;
      const pending = createPending();
      inFlight.set(id, pending);
      ready.set(index, pending.promise);
      worker.postMessage({ id, index } satisfies MakeBatch);
    }
  };
  ask();
  // Batches kept ready must not keep a finished program alive; one that is waited for must.
  worker.unref();
  let waiting = 0;

  return {
    ...described,
    async next() {
      if (closed !== undefined) throw closed;
      ask();
      const promise = ready.get(at++)!;
      ask();
      if (waiting++ === 0) worker.ref();
      try {
        return await promise;
      } finally {
        if (--waiting === 0 && closed === undefined) worker.unref();
      }
    },
    seek(index) {
      at = index;
    },
    async close() {
      fail(new KilnError("usage", "the batch source is closed"));
      // The end of an unreferenced thread would not be waited for.
      worker.ref();
      await worker.terminate();
    },
  };
}

function createPending(): Pending {
  let resolve: Pending["resolve"] = () => {};
  let reject: Pending["reject"] = () => {};
  const promise = new Promise<Batch>((onBatch, onError) => {
    resolve = onBatch;
    reject = onError;
  });
  // Whoever takes it sees the failure; one that nobody takes must not end the process.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
