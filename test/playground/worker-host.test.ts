import { afterEach, expect, test, vi } from "vitest";
import { Checker, type CheckOutcome } from "../../tools/playground/checker.ts";
import type { FromWorker, SpecText, ToWorker } from "../../tools/playground/messages.ts";
import { WorkerHost, type WorkerLike } from "../../tools/playground/worker-host.ts";

/** A worker that answers when the test says so. */
class QuietWorker implements WorkerLike {
  readonly asked: ToWorker[] = [];
  isEnded = false;
  onmessage: WorkerLike["onmessage"] = null;
  onerror: WorkerLike["onerror"] = null;

  postMessage(message: ToWorker): void {
    this.asked.push(message);
  }

  terminate(): void {
    this.isEnded = true;
  }

  say(data: FromWorker): void {
    this.onmessage?.(new MessageEvent("message", { data }));
  }

  /** Answers the latest question: a spec without problems. */
  answer(): void {
    const last = this.asked.at(-1);
    if (last?.kind === "ask") this.say({ kind: "answer", id: last.id, answer: { problems: [] } });
  }
}

const specOf = (text: string): SpecText => ({ path: "a.bert", text, settings: {} });

function checking() {
  vi.useFakeTimers();
  const workers: QuietWorker[] = [];
  const told: [string, CheckOutcome][] = [];
  const host = new WorkerHost(
    () => {
      const worker = new QuietWorker();
      workers.push(worker);
      queueMicrotask(() => worker.say({ kind: "ready" }));
      return worker;
    },
    () => undefined,
  );
  const checker = new Checker(host, 5000, ({ text }, outcome) => told.push([text, outcome]));
  const texts = () =>
    workers.flatMap(({ asked }) =>
      asked.flatMap((message) =>
        message.kind === "ask" && message.question.kind === "check" ? [message.question.spec.text] : [],
      ),
    );
  return { checker, workers, told, texts };
}

afterEach(() => {
  vi.useRealTimers();
});

test("only the latest of the texts typed meanwhile is checked, and no older outcome is told", async () => {
  const { checker, workers, told, texts } = checking();
  for (const text of ["a", "ab", "abc"]) checker.check(specOf(text));
  await vi.advanceTimersByTimeAsync(200);
  expect(texts()).toEqual(["abc"]);
  for (const text of ["abcd", "abcde"]) {
    checker.check(specOf(text));
    await vi.advanceTimersByTimeAsync(200);
  }
  expect(texts()).toEqual(["abc"]);
  workers[0]?.answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(texts()).toEqual(["abc", "abcde"]);
  expect(told).toEqual([]);
  workers[0]?.answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual([["abcde", { problems: [] }]]);
  expect(workers.length).toBe(1);
});

test("a check that takes too long is ended with its worker, and the next one has another", async () => {
  const { checker, workers, told, texts } = checking();
  checker.check(specOf("for ever"));
  await vi.advanceTimersByTimeAsync(5100);
  expect(workers[0]?.isEnded).toBe(false);
  await vi.advanceTimersByTimeAsync(100);
  expect(workers[0]?.isEnded).toBe(true);
  expect(told).toEqual([
    ["for ever", { tooLong: "checking this spec took longer than 5 s and was ended: make it smaller" }],
  ]);
  checker.check(specOf("short"));
  await vi.advanceTimersByTimeAsync(200);
  workers[1]?.answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(texts()).toEqual(["for ever", "short"]);
  expect(told.at(-1)).toEqual(["short", { problems: [] }]);
});
