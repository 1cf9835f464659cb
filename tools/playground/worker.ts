import { blobSource, readCheckpoint } from "../../runtime/checkpoint/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { encodeWith } from "./encode-text.ts";
import { failureOf } from "./failure.ts";
import type { Answers, FromWorker, Preparation, Question, SavedRun, ToWorker } from "./messages.ts";
import { openRun, saveImported } from "./run-store.ts";
import { checkSpec } from "./spec-sources.ts";
import { beginRun, resumeRun, type TrainingRun } from "./training-run.ts";

/*
 * Compiler and runtime, apart from the page. The page starts two of these: one that checks the text as it is typed and may be ended
 * at any time, and one that trains.
 */

function post(message: FromWorker): void {
  postMessage(message);
}

let device: KilnDevice | undefined;
let run: TrainingRun | undefined;
let isAdvancing = false;

async function openedDevice(): Promise<KilnDevice> {
  try {
    device?.throwIfFailed();
  } catch {
    // A lost device stays lost: the next run asks for another.
    device?.close();
    device = undefined;
  }
  device ??= await openDevice({ prefer: "auto" });
  return device;
}

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "ask":
      void answer(data.id, data.question);
      break;
    case "train":
      void start((kiln, onPreparing) => beginRun(data.begin, kiln, onPreparing));
      break;
    case "resume":
      void start((kiln, onPreparing) => resumeRun(data.run, kiln, onPreparing));
      break;
    case "pause":
      run?.pause();
      break;
    case "go-on":
      void goOn();
      break;
    case "stop":
      void stop();
      break;
    default:
      data satisfies never;
  }
});
post({ kind: "ready" });

async function answer(id: number, question: Question): Promise<void> {
  try {
    post({ kind: "answer", id, answer: await answerTo(question) });
  } catch (thrown) {
    post({ kind: "refusal", id, failed: failureOf(thrown) });
  }
}

async function answerTo(question: Question): Promise<Answers[Question["kind"]]> {
  switch (question.kind) {
    case "check":
      return checkSpec(question.spec);
    case "encode": {
      if (run?.started.run === question.run) await run.save();
      const { checkpoint } = await openRun(question.run);
      return encodeWith(checkpoint, await openedDevice(), question.text, question.second);
    }
    case "import":
      return importFile(question.run, question.file);
    default:
      return question satisfies never;
  }
}

/** Far more than a browser trains. */
const checkpointLimitBytes = 4 * 2 ** 30;

async function importFile(name: string, file: File): Promise<SavedRun> {
  if (file.size > checkpointLimitBytes)
    throw new KilnError(
      "user",
      `${file.name} is larger than the ${checkpointLimitBytes / 2 ** 30} GiB that are taken`,
    );
  const source = blobSource(file, file.name);
  const { step, sources } = await readCheckpoint(source);
  const specPath = sources[0]?.path.split("/").at(-1) ?? "spec.bert";
  await saveImported(name, { specPath, step, history: [] }, source);
  return { run: name, specPath, step, totalSteps: step, sizeBytes: file.size, savedAt: Date.now() };
}

async function start(
  begin: (kiln: KilnDevice, onPreparing: (what: Preparation) => void) => Promise<TrainingRun>,
): Promise<void> {
  try {
    await run?.dispose();
    run = undefined;
    post({ kind: "preparing", what: "device" });
    const kiln = await openedDevice();
    run = await begin(kiln, (what) => post({ kind: "preparing", what }));
    post({ kind: "started", started: run.started });
    await advance();
  } catch (thrown) {
    await fail(thrown);
  }
}

async function advance(): Promise<void> {
  if (run === undefined || isAdvancing) return;
  isAdvancing = true;
  try {
    const isDone = await run.advance(
      (report) => post({ kind: "step", report }),
      (step) => post({ kind: "saved", step }),
    );
    if (isDone) await end("done");
    else post({ kind: "paused" });
  } finally {
    isAdvancing = false;
  }
}

async function goOn(): Promise<void> {
  try {
    if (run === undefined || isAdvancing) return;
    post({ kind: "went-on" });
    await advance();
  } catch (thrown) {
    await fail(thrown);
  }
}

/** Pauses where it must; `advance` has saved by then. */
async function stop(): Promise<void> {
  run?.pause();
  while (isAdvancing) await new Promise((resolve) => setTimeout(resolve, 10));
  if (run !== undefined) await end("stopped");
}

async function end(why: "done" | "stopped"): Promise<void> {
  await run?.dispose();
  run = undefined;
  post({ kind: "ended", why });
}

async function fail(thrown: unknown): Promise<void> {
  await run?.dispose().catch(() => undefined);
  run = undefined;
  post({ kind: "run-failed", failed: failureOf(thrown) });
}
