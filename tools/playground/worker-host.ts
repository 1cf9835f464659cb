import type { Answers, Failed, FromWorker, Question, ToWorker } from "./messages.ts";

/** What of a worker is used here. */
export interface WorkerLike {
  postMessage(message: ToWorker): void;
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

/** A question that was refused, in a person's words. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly failed: Failed;

  constructor(failed: Failed) {
    super(failed.message);
    this.failed = failed;
  }
}

interface Waiting {
  readonly resolve: (answer: Answers[keyof Answers]) => void;
  readonly reject: (refusal: Refusal) => void;
  readonly limit: ReturnType<typeof setTimeout> | undefined;
}

/**
 * A worker that is started when it is needed, and ended when a question takes longer than it may: whatever a spec makes the compiler
 * do, the page stays free.
 */
export class WorkerHost {
  readonly #start: () => WorkerLike;
  readonly #onMessage: (message: FromWorker) => void;
  #worker: { readonly itself: WorkerLike; readonly ready: Promise<void> } | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, Waiting>();

  /** @param onMessage gets what is no answer */
  constructor(start: () => WorkerLike, onMessage: (message: FromWorker) => void) {
    this.#start = start;
    this.#onMessage = onMessage;
  }

  tell(message: ToWorker): void {
    this.#started().itself.postMessage(message);
  }

  /**
   * @param limitMs from when the worker's scripts are loaded
   * @throws Refusal what the worker says, or that it took too long, in which case it was ended with all that it did
   */
  async ask<K extends Question["kind"]>(
    question: Extract<Question, { kind: K }>,
    limitMs: number,
    tooLong: string,
  ): Promise<Answers[K]> {
    const worker = this.#started();
    await worker.ready;
    if (this.#worker !== worker) throw new Refusal({ message: "the worker was ended meanwhile" });
    const id = this.#nextId++;
    const answer = new Promise<Answers[keyof Answers]>((resolve, reject) => {
      const limit = setTimeout(() => this.end(tooLong), limitMs);
      this.#waiting.set(id, { resolve, reject, limit });
    });
    worker.itself.postMessage({ kind: "ask", id, question });
    const given = await answer;
    if (!isAnswerTo(question.kind, given)) throw new Error(`no answer to ${question.kind}`);
    return given;
  }

  /** Ends the worker and refuses what it was asked; the next message starts another. */
  end(why: string): void {
    this.#worker?.itself.terminate();
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, limit } of waiting) {
      clearTimeout(limit);
      reject(new Refusal({ message: why }));
    }
  }

  #started(): { readonly itself: WorkerLike; readonly ready: Promise<void> } {
    if (this.#worker !== undefined) return this.#worker;
    const itself = this.#start();
    const ready = new Promise<void>((resolve, reject) => {
      itself.onmessage = ({ data }) => {
        if (data.kind === "ready") resolve();
        else this.#receive(data);
      };
      itself.onerror = (event) => {
        const message = `the worker failed: ${event.message}`;
        reject(new Refusal({ message }));
        this.end(message);
        this.#onMessage({ kind: "run-failed", failed: { message } });
      };
    });
    // Whoever asks sees the failure.
    ready.catch(() => undefined);
    this.#worker = { itself, ready };
    return this.#worker;
  }

  #receive(message: Exclude<FromWorker, { kind: "ready" }>): void {
    if (message.kind !== "answer" && message.kind !== "refusal") {
      this.#onMessage(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    clearTimeout(waiting?.limit);
    if (message.kind === "answer") waiting?.resolve(message.answer);
    else waiting?.reject(new Refusal(message.failed));
  }
}

/** Each question has an answer with a field of its own. */
const answerField = { check: "problems", encode: "vectors", import: "sizeBytes" } as const;

function isAnswerTo<K extends Question["kind"]>(
  kind: K,
  answer: Answers[keyof Answers],
): answer is Answers[K] {
  return answerField[kind] in answer;
}
