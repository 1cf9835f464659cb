import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CheckpointContents, loadCheckpoint, saveCheckpoint } from "../../runtime/checkpoint/index.ts";
import { randomAt } from "../../runtime/data/random.ts";

/*
 * A process saves one checkpoint over the other, as fast as it can, and is killed at a random moment: fifty times. What is
 * then on the disk must be a whole checkpoint: the last one whose save had ended, or the one after it.
 */

const kills = 50;
/** Processes at once: most of their time is Node's start. */
const atOnce = 4;
/** Milliseconds after a save that the kill comes at the latest; a save takes some 5 to 20. */
const longestWait = 60;
const elements = 1 << 20;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-killed-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function contents(step: number): CheckpointContents {
  const bytes = new Uint8Array(new Float32Array(elements).fill(step).buffer);
  return {
    step,
    seed: 0,
    programName: "Killed",
    programHash: "00",
    data: { kind: "none", settings: {} },
    sources: [{ path: "killed.bert", text: "" }],
    overrides: {},
    vocabulary: [],
    tensors: new Map([
      [
        "w",
        {
          dtype: "F32",
          shape: [elements],
          async *read() {
            for (let at = 0; at < bytes.length; at += 1 << 18) yield bytes.subarray(at, at + (1 << 18));
          },
        },
      ],
    ]),
  };
}

/** Saves steps 2, 3, ... of `path` without end; says each step when its save has ended. */
function saver(path: string) {
  const module = new URL("../../runtime/checkpoint/index.ts", import.meta.url).href;
  const script = `
    const { saveCheckpoint } = await import(${JSON.stringify(module)});
    const elements = ${elements};
    ${contents.toString()}
    for (let step = 2; ; step++) {
      await saveCheckpoint(${JSON.stringify(path)}, contents(step));
      process.stdout.write(step + "\\n");
    }`;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("a process killed at any of fifty random moments of its saves leaves the checkpoint before or after", {
  timeout: 300_000,
}, async () => {
  let inTheMiddle = 0;
  const killOnce = async (number: number): Promise<void> => {
    const random = randomAt(7, number);
    const path = join(folder, `${number}.safetensors`);
    await saveCheckpoint(path, contents(1));
    const child = saver(path);
    let said = "";
    child.stdout.on("data", (text) => {
      said += String(text);
    });
    await once(child.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, random.uniform() * longestWait));
    child.kill("SIGKILL");
    await once(child, "close");
    const last = Number(said.trim().split("\n").at(-1));
    const { step, tensors } = await loadCheckpoint(path);
    expect([last, last + 1]).toContain(step);
    for await (const piece of tensors.get("w")!.read()) {
      const values = new Float32Array(piece.buffer, piece.byteOffset, piece.byteLength / 4);
      expect(values.every((value) => value === step)).toBe(true);
    }
    if ((await readdir(folder)).some((name) => name.startsWith(`${number}.`) && name.endsWith(".partial")))
      inTheMiddle++;
    await rm(path);
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < kills) await killOnce(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  // Else the moments would be none of a save.
  expect(inTheMiddle).toBeGreaterThan(kills / 5);
});
