import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import { readTokenizer } from "../../runtime/tokenizer/index.ts";
import { run } from "./capture.ts";

let folder: string;
let corpus: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-tokenizer-"));
  corpus = join(folder, "corpus.txt");
  const nouns = ["Crane", "Driver", "Player", "Sailor", "Reader"];
  const verbs = ["plays", "sails", "reads", "drives", "replays"];
  const sentence = (n: number): string =>
    `The ${nouns[n % 5]} ${verbs[(n * 3) % 5]} near the ${nouns[(n * 2 + 1) % 5]}s.`;
  writeFileSync(
    corpus,
    Array.from({ length: 60 }, (_, n) => `${sentence(n)} ${sentence(n + 2)} ${sentence(n + 3)}\n`).join(""),
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const spec = "models/bert-tiny.bert";
const small = ["layers=1", "hidden=16", "ffn=16", "max_len=48", "predictions=4", "batch=4"];
const common = (out: string): string[] => [
  ...["--device", "software", "--corpus", corpus, "--out", join(folder, out)],
  ...small.flatMap((setting) => ["--set", setting]),
];

describe("tokenizer", () => {
  it("trains a vocabulary into a folder, shows it, and a run trains, encodes and resumes with it", {
    timeout: 120_000,
  }, async () => {
    const into = join(folder, "pieces");
    const trained = await run("tokenizer", "train", corpus, "--vocab", "70", "--cased", "-o", into, "--json");
    expect(trained.json()).toEqual({
      vocabulary: 70,
      files: ["vocab.txt", "tokenizer.json", "tokenizer_config.json"].map((name) => join(into, name)),
    });
    const tokenizer = await readTokenizer(into);
    expect(tokenizer.description).toMatchObject({ kind: "wordpiece", lowercase: false });
    expect(readFileSync(join(into, "vocab.txt"), "utf8")).toBe(
      tokenizer.tokens.map((token) => `${token}\n`).join(""),
    );

    const text = "The Crane replays zoos [MASK]";
    const shown = await run("tokenizer", "show", into, text, "--json");
    const ids = tokenizer.encode(text);
    const tokens = ids.map((id) => tokenizer.tokens[id]);
    expect(shown.json()).toEqual({ tokens, ids: [...ids], unknown: ["zoos"], vocabulary: 70 });
    const table = await run("tokenizer", "show", into, text);
    expect(table.out).toMatch(/^token +id\n/);
    expect(table.err).toBe("not in the vocabulary, read as [UNK]: zoos\n");

    // Whatever the spec's setting says, and however the vocabulary is smaller than the model's.
    const options = ["--tokenizer", into, "--set", "vocab=72", "--seed", "3", "--json"];
    const whole = await run("train", spec, "--steps", "3", ...options, ...common("whole"));
    expect([whole.code, whole.err.includes("vocabulary 70 word pieces")]).toEqual([0, true]);
    expect(whole.json()).toMatchObject({ steps: 3, vocabulary: 70 });
    await run("train", spec, "--steps", "2", ...options, ...common("parts"));
    const checkpoint = join(folder, "parts", "checkpoint.safetensors");
    const resume = ["--resume", checkpoint, "--device", "software", "--out", join(folder, "parts")];
    expect((await run("train", spec, "--steps", "3", ...resume)).code).toBe(0);
    expect(
      readFileSync(checkpoint).equals(readFileSync(join(folder, "whole", "checkpoint.safetensors"))),
    ).toBe(true);
    const late = await run("train", spec, "--steps", "4", ...resume, "--tokenizer", into);
    expect([late.code, late.err.includes("--tokenizer comes too late")]).toEqual([2, true]);

    expect(await loadCheckpoint(checkpoint)).toMatchObject({
      tokenizer: tokenizer.description,
      vocabulary: tokenizer.tokens,
    });
    const encode = ["encode", spec, "--checkpoint", checkpoint, "--device", "software"];
    const encoded = (await run(...encode, text, "--json")).json();
    expect(encoded.tokens).toEqual(["[CLS]", ...tokens, "[SEP]"]);
    expect((await run("tokenizer", "show", checkpoint, text, "--json")).json()).toEqual(shown.json());
    const evaluation = ["eval", spec, "--checkpoint", checkpoint, "--device", "software", "--batches", "1"];
    expect((await run(...evaluation, "--json")).json()).toMatchObject({ step: 3, bestPossible: {} });
  });

  it("a spec's setting trains one on the corpus; a model too small for a given one is told both numbers", {
    timeout: 120_000,
  }, async () => {
    const setting = ["--set", "tokenizer=wordpiece", "--set", "vocab=64"];
    const own = await run("train", spec, "--steps", "1", ...setting, "--json", ...common("own"));
    expect(own.err).toContain("vocabulary 64 word pieces");
    expect(own.json()).toMatchObject({ vocabulary: 64, bestPossible: {} });
    const path = join(folder, "vocab.txt");
    writeFileSync(path, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncrane\n");
    const few = ["--tokenizer", path, "--set", "vocab=6"];
    const large = await run("train", spec, "--steps", "1", ...few, ...common("large"));
    expect(large.code).toBe(1);
    expect(large.err).toContain("the vocabulary has 7 entries, and the model takes 6");
  });

  it("says what is wrong", async () => {
    for (const name of ["train", "show"]) {
      const help = await run("tokenizer", name, "--help");
      expect([help.code, help.err, help.out.includes("--json")]).toEqual([0, "", true]);
    }
    const outcome = async (...args: string[]) => {
      const { code, err } = await run("tokenizer", ...args);
      return [code, err.replaceAll(folder, "F").match(/^error: .*/m)?.[0]];
    };
    expect(await outcome()).toEqual([
      2,
      "error: `tokenizer` is two commands: `tokenizer train` and `tokenizer show`",
    ]);
    expect(await outcome("show", join(folder, "none"), "x")).toEqual([
      1,
      "error: there is no tokenizer at F/none",
    ]);
    expect(await outcome("train", corpus)).toEqual([2, "error: required option '--vocab <n>' not specified"]);
    expect(await outcome("train", corpus, "--vocab", "8", "-o", join(folder, "no"))).toEqual([
      1,
      "error: a vocabulary of 8 leaves no room for word pieces beside the 5 special tokens",
    ]);
    expect(await outcome("train", join(folder, "no.txt"), "--vocab", "80")).toEqual([
      1,
      "error: there is no corpus at F/no.txt",
    ]);
  });
});
