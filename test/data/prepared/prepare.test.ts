import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { encodeEpochs } from "../../../runtime/data/corpus.ts";
import { readCorpus } from "../../../runtime/data/files.ts";
import { openMaker, prepareCorpus, readManifest, totalsOf } from "../../../runtime/data/index.ts";
import { loadShard } from "../../../runtime/data/prepared/prepared-folder.ts";
import { sentenceForm } from "../../../runtime/data/text.ts";
import {
  createTokenizer,
  type TokenizerDescription,
  uncasedWordPiece,
} from "../../../runtime/tokenizer/index.ts";
import { prepare, testFolder, tokenisedText, wordsPlan } from "./folder.ts";

const disk = vi.hoisted(() => ({ isFull: false }));
vi.mock("node:fs/promises", async (importActual) => {
  const actual = await importActual<typeof import("node:fs/promises")>();
  const writeFile: typeof actual.writeFile = async (file, ...rest) => {
    if (disk.isFull)
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { syscall: "write" });
    return actual.writeFile(file, ...rest);
  };
  return { ...actual, writeFile };
});
afterEach(() => {
  disk.isFull = false;
});

const files = testFolder("prepare");
const train = tokenisedText(300);
const valid = tokenisedText(12);
files.write("corpus/train.txt", train);
files.write("corpus/valid.txt", valid);

/** Ids and starts of a split, shard after shard, as one text. */
async function readBack(folder: string, split: "train" | "valid") {
  const manifest = await readManifest(folder);
  const tokens: number[] = [];
  const sentenceStarts = [0];
  const paragraphStarts = [0];
  for (const entry of manifest.splits[split]) {
    const text = loadShard(folder, entry, manifest.vocabulary.length);
    const [token, sentence] = [tokens.length, sentenceStarts.length - 1];
    tokens.push(...text.tokens);
    for (const start of text.sentenceStarts.slice(1)) sentenceStarts.push(token + start);
    for (const start of text.paragraphStarts.slice(1)) paragraphStarts.push(sentence + start);
  }
  return { tokens, sentenceStarts, paragraphStarts };
}

/** The same of text that is read whole. */
async function readWhole(
  split: "train" | "valid",
  description: TokenizerDescription,
  vocabulary: readonly string[],
) {
  const corpus = await readCorpus(files.path("corpus"), split, sentenceForm(description));
  const text = encodeEpochs(corpus, createTokenizer(description, vocabulary), 0, split).text(0, 0);
  return {
    tokens: [...text.tokens],
    sentenceStarts: [...text.sentenceStarts],
    paragraphStarts: [...text.paragraphStarts],
  };
}

const request = (settings: Record<string, string | number>) => ({
  kind: "PretrainingPairs",
  settings: { batch: 4, max_len: 32, min_frequency: 1, ...settings },
});

describe("a prepared corpus has the vocabulary and the ids of the text that is read whole", () => {
  test("words", async () => {
    const { manifest } = await prepare(files.path("corpus"), files.path("words"));
    const whole = await openMaker(request({}), { corpus: files.path("corpus"), split: "train", seed: 0 });
    expect(manifest.vocabulary).toEqual(whole.vocabulary);
    expect(manifest.splits.train.length).toBeGreaterThan(10);
    for (const split of ["train", "valid"] as const) {
      expect(await readBack(files.path("words"), split)).toEqual(
        await readWhole(split, manifest.tokenizer, manifest.vocabulary),
      );
    }
    expect(manifest.splits.test).toEqual([]);
    expect(manifest.splits.train.every(({ tokens }) => tokens >= 200)).toBe(false);
    expect(manifest.splits.train.slice(0, -1).every(({ tokens }) => tokens >= 200 && tokens < 260)).toBe(
      true,
    );
    expect(readdirSync(files.folder).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("word pieces, and ids of 4 bytes", async () => {
    const plan = { kind: "wordpiece", minFrequency: 1, vocabularySize: 90 } as const;
    const { manifest } = await prepare(files.path("corpus"), files.path("pieces"), { tokenizer: plan });
    const settings = request({ tokenizer: "wordpiece", vocab: 90 });
    const whole = await openMaker(settings, { corpus: files.path("corpus"), split: "train", seed: 0 });
    expect([manifest.vocabulary, manifest.tokenizer]).toEqual([whole.vocabulary, whole.tokenizer]);
    expect(await readBack(files.path("pieces"), "train")).toEqual(
      await readWhole("train", manifest.tokenizer, manifest.vocabulary),
    );
    const many = [...manifest.vocabulary, ...Array.from({ length: 2 ** 16 }, (_, i) => `filler${i}`)];
    const given = { kind: "given", description: uncasedWordPiece, vocabulary: many } as const;
    const wide = await prepare(files.path("corpus"), files.path("wide"), { tokenizer: given });
    expect([manifest.tokenBytes, wide.manifest.tokenBytes]).toEqual([2, 4]);
    expect(await readBack(files.path("wide"), "train")).toEqual(
      await readBack(files.path("pieces"), "train"),
    );
  });
});

test("paragraphs are dealt out by their number: the same way each time, in about the shares", async () => {
  const path = files.write("many.txt", tokenisedText(4000));
  const shares = { valid: 0.1, test: 0.05 };
  const counts = async (folder: string) => {
    const { manifest } = await prepare(path, files.path(folder), { shares, shardBytes: 2 ** 16 });
    return Object.values(manifest.splits).map((shards) => totalsOf(shards).paragraphs);
  };
  const [inTrain = 0, inValid = 0, inTest = 0] = await counts("many");
  expect(inTrain + inValid + inTest).toBe(4000);
  // Five standard deviations: sqrt(4000 * 0.1 * 0.9) = 19, sqrt(4000 * 0.05 * 0.95) = 14.
  expect(Math.abs(inValid - 400)).toBeLessThan(95);
  expect(Math.abs(inTest - 200)).toBeLessThan(70);
  await counts("again");
  for (const name of readdirSync(files.path("many")).filter((name) => name.endsWith(".shard"))) {
    expect(readFileSync(files.path("many", name)).equals(readFileSync(files.path("again", name)))).toBe(true);
  }
});

test("progress goes up to the text once for each time it is read", async () => {
  const seen: string[] = [];
  const onProgress = (doing: string, done: number, total: number): void =>
    void seen.push(`${doing} ${done / total}`);
  const path = files.write("progress.txt", train);
  await prepare(path, files.path("progress"), { onProgress });
  expect(seen).toEqual(["counting words 0.5", "writing tokens 1"]);
  const { vocabulary, tokenizer: description } = await readManifest(files.path("progress"));
  seen.length = 0;
  const tokenizer = { kind: "given", vocabulary, description } as const;
  await prepare(path, files.path("progress"), { onProgress, tokenizer, force: true });
  expect(seen).toEqual(["writing tokens 1"]);
});

describe("a folder is whole or not there", () => {
  const left = (name: string): string[] =>
    readdirSync(files.folder).filter((other) => other.startsWith(name));

  test("a full disk is said and leaves nothing, an earlier corpus as it was", async () => {
    disk.isFull = true;
    const full = { kind: "machine", message: expect.stringContaining("could not be written: ENOSPC") };
    await expect(prepare(files.path("corpus"), files.path("full"))).rejects.toMatchObject(full);
    expect(left("full")).toEqual([]);
    disk.isFull = false;
    await prepare(files.path("corpus"), files.path("full"));
    const before = readFileSync(files.path("full/manifest.json"), "utf8");
    disk.isFull = true;
    await expect(prepare(files.path("corpus"), files.path("full"), { force: true })).rejects.toMatchObject(
      full,
    );
    expect(left("full")).toEqual(["full"]);
    expect(readFileSync(files.path("full/manifest.json"), "utf8")).toBe(before);
  });

  test("Ctrl-C leaves nothing", async () => {
    const abort = new AbortController();
    const onProgress = (): void => abort.abort(new Error("stopped"));
    const stopped = prepare(files.path("corpus"), files.path("stop"), { signal: abort.signal, onProgress });
    await expect(stopped).rejects.toThrow("stopped");
    expect(left("stop")).toEqual([]);
  });

  test("a process that is killed leaves nothing that looks whole, and the next one cleans up", async () => {
    const path = files.write("killed.txt", tokenisedText(20_000));
    const folder = files.path("killed");
    const args = ["--import", "tsx", "tools/run.ts", "prepare", path, "-o", folder, "--valid-share", "0"];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const partial = `${folder}.${child.pid}.partial`;
    await vi.waitUntil(() => existsSync(partial), { timeout: 120_000, interval: 5 });
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    // It may have been quick enough to finish.
    if (existsSync(folder)) await readManifest(folder);
    else expect(existsSync(`${partial}/manifest.json`)).toBe(false);
    await prepare(path, folder, { shardBytes: 2 ** 20, force: true });
    expect(left("killed.").filter((name) => name !== "killed.txt")).toEqual([]);
  });

  test("what is there already stays, unless it is a prepared corpus and is to be replaced", async () => {
    const folder = files.path("there");
    await prepare(files.path("corpus"), folder);
    await expect(prepare(files.path("corpus"), folder)).rejects.toMatchObject({
      message: expect.stringMatching(/there is there already$/),
      hint: "--force writes it anew",
    });
    await prepare(files.path("corpus"), folder, {
      force: true,
      tokenizer: { ...wordsPlan, vocabularySize: 20 },
    });
    expect((await readManifest(folder)).vocabulary).toHaveLength(20);
    files.write("there/mine.txt", "precious");
    const stranger = prepare(files.path("corpus"), folder, { force: true });
    await expect(stranger).rejects.toThrow(/holds mine\.txt, which is no part of a prepared corpus$/);
    const text = prepare(files.path("corpus"), files.path("corpus"), { force: true });
    await expect(text).rejects.toThrow(/corpus is there already and holds other files$/);
    const file = prepare(files.path("corpus"), files.path("corpus/train.txt"), { force: true });
    await expect(file).rejects.toThrow(/train\.txt is a file$/);
    expect(readFileSync(files.path("there/mine.txt"), "utf8")).toBe("precious");
  });
});

describe("what cannot be prepared is told", () => {
  test("text without a sentence, and a vocabulary without a word", async () => {
    const path = files.write("dots.txt", "*** --- ...\n");
    await expect(prepare(path, files.path("no"))).rejects.toThrow(
      /^the corpus is too short: no word occurs 1 times/,
    );
    const { vocabulary, tokenizer: description } = await readManifest(files.path("words"));
    const given = { kind: "given", vocabulary, description } as const;
    await expect(prepare(path, files.path("no"), { tokenizer: given })).rejects.toThrow(
      /^no paragraph with a sentence was found in /,
    );
  });

  test("a file that is no text, by its name and byte, whatever files were good", async () => {
    files.write("mixed/a.txt", train);
    files.write("mixed/b.txt", new Uint8Array([0x61, 0x20, 0xff]));
    await expect(prepare(files.path("mixed"), files.path("no"))).rejects.toThrow(
      /mixed\/b\.txt is not UTF-8 text: byte 2 /,
    );
    expect(existsSync(files.path("no"))).toBe(false);
  });

  test("a file that changes meanwhile", async () => {
    const path = files.write("changing.txt", train);
    const { mtimeMs } = statSync(path);
    const onProgress = (): void => utimesSync(path, mtimeMs / 1000, mtimeMs / 1000 + 10);
    await expect(prepare(path, files.path("no"), { onProgress })).rejects.toThrow(
      /changed while it was read$/,
    );
  });

  test("nothing is at the path", async () => {
    const signal = new AbortController().signal;
    const options = {
      tokenizer: wordsPlan,
      shares: { valid: 0, test: 0 },
      shardBytes: 1,
      force: false,
      signal,
    };
    await expect(
      prepareCorpus(files.path("none"), files.path("no"), { ...options, onProgress: () => {} }),
    ).rejects.toThrow(/^there is no corpus at /);
  });
});
