import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBatches, openMaker, sourceOf } from "../../runtime/data/index.ts";

const request = { kind: "PretrainingPairs", settings: { batch: 8, max_len: 32 } };
const options = { split: "train", seed: 4 } as const;
const small = { kind: "PretrainingPairs", settings: { batch: 2, max_len: 32, min_frequency: 1 } };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-data-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});
const file = async (name: string, contents: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
};

describe("batches from a thread", () => {
  test("are those made in process, in order, after seeks, and with several waited for at once", async () => {
    const maker = await openMaker(request, options);
    const source = await openBatches(request, options);
    try {
      expect(source.vocabulary).toEqual(maker.vocabulary);
      expect(source.summary).toBe(maker.summary);
      expect(source.bestMaskedLanguageModelLoss).toBe(maker.best()?.maskedLanguageModel.mean);
      expect(source.bestLosses).toEqual(maker.best());
      for (let i = 0; i < 7; i++) expect(await source.next()).toEqual(maker.make(i));
      source.seek(900);
      expect(await Promise.all([source.next(), source.next()])).toEqual([maker.make(900), maker.make(901)]);
      source.seek(900);
      expect((await source.next()).index).toBe(900);
      source.seek(3);
      const waiting = Array.from({ length: 9 }, () => source.next());
      expect((await Promise.all(waiting)).map((batch) => batch.index)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    } finally {
      await source.close();
    }
  });

  test("the source in process behaves alike", async () => {
    const maker = await openMaker(request, options);
    const source = sourceOf(maker);
    expect((await source.next()).index).toBe(0);
    source.seek(5);
    expect(await source.next()).toEqual(maker.make(5));
    expect((await source.next()).index).toBe(6);
    await source.close();
  });

  test("what goes wrong in the thread reaches the caller as the same error", async () => {
    await expect(openBatches(request, { ...options, corpus: join(folder, "none") })).rejects.toMatchObject({
      name: "KilnError",
      kind: "user",
      message: `there is no corpus at ${join(folder, "none")}`,
      hint: "check the path, or leave out --corpus",
    });
    const source = await openBatches(request, options);
    source.seek(-1);
    await expect(source.next()).rejects.toMatchObject({
      name: "KilnError",
      kind: "usage",
      message: "there is no batch -1: batches are counted from 0",
    });
    // One failure ends nothing.
    expect((await source.next()).index).toBe(0);
    await source.close();
    await expect(openBatches({ kind: "Pictures", settings: {} }, options)).rejects.toThrow(
      "no corpus reader",
    );
  });

  test("closing ends the waiting, and nothing follows", async () => {
    const source = await openBatches(request, options);
    source.seek(1_000_000);
    const waiting = expect(source.next()).rejects.toThrow("the batch source is closed");
    await source.close();
    await waiting;
    await expect(source.next()).rejects.toThrow("the batch source is closed");
    await source.close();
  });

  test("under tsx, from any folder, a program that forgets to close ends by itself", () => {
    const index = new URL("../../runtime/data/index.ts", import.meta.url).href;
    const program = `import { openBatches } from ${JSON.stringify(index)};
      const source = await openBatches(${JSON.stringify(request)}, { split: "train", seed: 4 });
      console.log((await source.next()).index, (await source.next()).index);`;
    const tsx = fileURLToPath(new URL("../../node_modules/tsx/dist/cli.mjs", import.meta.url));
    const run = spawnSync(process.execPath, [tsx, "--input-type=module", "--eval", program], {
      cwd: folder,
      encoding: "utf8",
      timeout: 30_000,
    });
    expect(run.stderr).toBe("");
    expect(run.stdout).toBe("0 1\n");
    expect(run.status).toBe(0);
  });
});

describe("corpora", () => {
  const prose = Array.from(
    { length: 40 },
    (_, i) => `Paragraph ${i} starts here. It goes on, and on! Does it end?\n\n`,
  ).join("");

  test("a prose file, split by paragraphs in order", async () => {
    const corpus = await file("prose.txt", prose);
    const [train, valid, heldOut] = await Promise.all(
      (["train", "valid", "test"] as const).map((split) => openMaker(small, { split, seed: 1, corpus })),
    );
    expect(train?.summary).toContain("prose.txt, train: 36 paragraphs, 108 sentences");
    expect(valid?.summary).toContain("valid: 2 paragraphs, 6 sentences");
    expect(heldOut?.summary).toContain("test: 2 paragraphs, 6 sentences");
    expect(valid?.vocabulary).toEqual(train?.vocabulary);
    expect(train?.vocabulary).toContain("35");
    expect(train?.vocabulary).not.toContain("36");
  });

  test("a text that is no file gives the batches of the file", async () => {
    const asked = { split: "train", seed: 1 } as const;
    const corpus = await file("given.txt", prose);
    const text = { name: "given.txt", bytes: new TextEncoder().encode(prose) };
    const [given, read] = await Promise.all([
      openMaker(small, { ...asked, text }),
      openMaker(small, { ...asked, corpus }),
    ]);
    expect(given.summary).toBe(read.summary);
    expect(given.make(3)).toEqual(read.make(3));
    const labelled = { kind: "Classification", settings: { batch: 2, max_len: 32, classes: 3 } };
    await expect(openMaker(labelled, { ...asked, text })).rejects.toThrow(
      "Classification reads labelled examples, and given.txt is a plain text",
    );
  });

  test("a folder with official names, and a vocabulary that comes from a checkpoint", async () => {
    await file("wiki.train.tokens", " = T = \n a b c . d e f . g h \n a b . c d \n");
    const maker = await openMaker(small, { split: "train", seed: 1, corpus: folder });
    expect(maker.summary).toContain("2 paragraphs, 5 sentences, 12 tokens, vocabulary 13");
    const vocabulary = ["<cls>", "<mask>", "<pad>", "<sep>", "<unk>", "a", "zebra"];
    const other = await openMaker(small, { split: "train", seed: 1, corpus: folder, vocabulary });
    expect(other.vocabulary).toEqual(vocabulary);
    const limited = await openMaker(small, { split: "train", seed: 1, corpus: folder, vocabularySize: 9 });
    expect(limited.vocabulary).toEqual(["<cls>", "<mask>", "<pad>", "<sep>", "<unk>", "a", "b", "c", "d"]);
    await expect(
      openMaker(small, { split: "train", seed: 1, corpus: folder, vocabulary, vocabularySize: 6 }),
    ).rejects.toThrow("the vocabulary has 7 entries, and the model takes 6");
    await expect(openMaker(small, { split: "valid", seed: 1, corpus: folder })).rejects.toThrow(
      `the corpus folder ${folder} has no valid file`,
    );
  });

  test.each([
    ["empty.txt", "", "is empty"],
    ["zeros.bin", new Uint8Array(64), "is not UTF-8 text"],
    ["latin1.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x20), "is not UTF-8 text"],
    ["blank.txt", " \n\n \n", "no paragraph with a sentence was found"],
    ["word.txt", "hello", "is too short: no paragraph has two sentences"],
    ["rare.txt", "Each word once. No other twice?", "no word occurs 2 times or more", 2],
  ])("%s", async (name, contents, message, minFrequency = 1) => {
    const corpus = await file(name, contents);
    const asked = { kind: "PretrainingPairs", settings: { ...small.settings, min_frequency: minFrequency } };
    await expect(openMaker(asked, { split: "train", seed: 1, corpus })).rejects.toMatchObject({
      name: "KilnError",
      kind: "user",
      message: expect.stringContaining(message),
    });
  });
});
