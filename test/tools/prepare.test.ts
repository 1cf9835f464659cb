import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { readManifest } from "../../runtime/data/index.ts";
import { run } from "./capture.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-prepare-tools-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const spec = "models/bert-tiny.bert";
const small = ["layers=1", "hidden=16", "ffn=16", "batch=4", "vocab=160"].flatMap((setting) => [
  "--set",
  setting,
]);
const train = (out: string, ...options: readonly string[]) =>
  run("train", spec, "--device", "software", "--out", join(folder, out), ...small, ...options);

describe("generate", () => {
  it("writes whole paragraphs of at least the size, the same for a seed; a file that is there stays", async () => {
    const path = join(folder, "generated.txt");
    const made = await run("generate", "--bytes", "1MB", "-o", path, "--json");
    const { size } = statSync(path);
    expect(made.json()).toEqual({ file: path, bytes: size, seed: 0 });
    expect(size).toBeGreaterThanOrEqual(1_000_000);
    expect(size).toBeLessThan(1_300_000);
    const text = readFileSync(path, "utf8");
    expect(text.match(/^( [a-z]+)+( \.( [a-z]+)+){2,} \. \n/)?.[0]).toBe(
      text.slice(0, text.indexOf("\n") + 1),
    );
    expect(text.endsWith(" . \n")).toBe(true);
    const other = (seed: string) =>
      run("generate", "--bytes", "1MB", "-o", `${path}.${seed}`, "--seed", seed);
    await other("0");
    await other("1");
    expect(readFileSync(`${path}.0`, "utf8")).toBe(text);
    expect(readFileSync(`${path}.1`, "utf8")).not.toBe(text);
    const again = await run("generate", "--bytes", "9MB", "-o", path);
    expect([again.code, again.err]).toEqual([
      1,
      `error: ${path} exists already\n  hint: --force writes over it\n`,
    ]);
    expect(statSync(path).size).toBe(size);
    expect((await run("generate", "--bytes", "lots", "-o", path)).code).toBe(2);
  });
});

describe("prepare", () => {
  it("writes what train, resume and eval take, with the tokenizer that is asked for", {
    timeout: 120_000,
  }, async () => {
    const text = join(folder, "text.txt");
    await run("generate", "--bytes", "400kB", "-o", text, "--seed", "4");
    const prepared = join(folder, "prepared");
    const outcome = await run("prepare", text, "-o", prepared, "--valid-share", "0.2", "--json");
    const json = outcome.json();
    const manifest = await readManifest(prepared);
    expect(json).toMatchObject({
      folder: prepared,
      vocabulary: manifest.vocabulary.length,
      tokenizer: "words",
      splits: { train: { shards: 1, tokens: manifest.splits.train[0]?.tokens }, valid: { shards: 1 } },
      leftOut: [],
      forgotten: 0,
    });
    const whole = await train("whole", "--corpus", prepared, "--steps", "4", "--json");
    expect([whole.code, whole.err.includes("text.txt, train, prepared: ")]).toEqual([0, true]);
    expect(whole.json()).toMatchObject({ steps: 4, vocabulary: manifest.vocabulary.length });
    expect(whole.err).not.toContain("no held-out losses");
    await train("parts", "--corpus", prepared, "--steps", "2");
    const checkpoint = join(folder, "parts", "checkpoint.safetensors");
    const resume = ["--resume", checkpoint, "--device", "software", "--out", join(folder, "parts")];
    expect((await run("train", spec, "--steps", "4", ...resume)).code).toBe(0);
    expect(
      readFileSync(checkpoint).equals(readFileSync(join(folder, "whole", "checkpoint.safetensors"))),
    ).toBe(true);
    const evaluation = ["eval", spec, "--checkpoint", checkpoint, "--device", "software", "--batches", "1"];
    expect((await run(...evaluation, "--json")).json()).toMatchObject({ step: 4, split: "valid" });

    // With the checkpoint's own tokenizer another text becomes the same ids; with another one it is refused.
    const again = join(folder, "again");
    await run("prepare", text, "-o", again, "--tokenizer", checkpoint, "--valid-share", "0.2");
    expect((await readManifest(again)).splits).toEqual(manifest.splits);
    const pieces = join(folder, "pieces");
    const options = ["--tokenizer-kind", "wordpiece", "--vocab", "120"];
    expect((await run("prepare", text, "-o", pieces, ...options)).out).toContain(
      "vocabulary: 120 word pieces",
    );
    const other = await run("train", spec, "--steps", "6", ...resume, "--corpus", pieces);
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringContaining(
        `error: ${pieces} was prepared with another tokenizer than the one to read it with\n`,
      ),
    ]);
    const larger = await train("larger", "--corpus", pieces, "--set", "vocab=100");
    expect(larger.err).toContain("was prepared with a vocabulary of 120 entries, and the model takes 100\n");
  });

  it("Ctrl-C ends it with nothing left, and says so", { timeout: 120_000 }, async () => {
    const text = join(folder, "long.txt");
    await run("generate", "--bytes", "40MB", "-o", text);
    const args = ["--import", "tsx", "tools/run.ts", "prepare", text, "-o", join(folder, "stopped")];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (bytes) => {
      said += String(bytes);
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const partial = join(folder, `stopped.${child.pid}.partial`);
    await vi.waitUntil(() => existsSync(partial), { timeout: 100_000, interval: 5 });
    child.kill("SIGINT");
    expect([await ended, said]).toEqual([
      130,
      "stopping; Ctrl-C again to leave at once\nstopped: nothing was written\n",
    ]);
    expect(readdirSync(folder).filter((name) => name.startsWith("stopped"))).toEqual([]);
  });

  it("says what is wrong", async () => {
    const outcome = async (...args: string[]) => {
      const { code, err } = await run("prepare", ...args);
      return [code, err.replaceAll(folder, "F").match(/^error: .*/m)?.[0]];
    };
    const to = ["-o", join(folder, "no")];
    expect(await outcome(join(folder, "none"), ...to)).toEqual([1, "error: there is no corpus at F/none"]);
    mkdirSync(join(folder, "empty"));
    expect(await outcome(join(folder, "empty"), ...to)).toEqual([1, "error: the folder F/empty has no text"]);
    expect(await outcome(folder)).toEqual([
      2,
      "error: required option '-o, --output <folder>' not specified",
    ]);
    expect(await outcome(folder, ...to, "--tokenizer-kind", "wordpiece")).toEqual([
      2,
      "error: a WordPiece vocabulary is trained to a size: --vocab says which",
    ]);
    expect(await outcome(folder, ...to, "--tokenizer", "x", "--vocab", "9")).toEqual([
      2,
      "error: --vocab would make a vocabulary, and --tokenizer has one",
    ]);
    expect((await outcome(folder, ...to, "--valid-share", "0.7"))[0]).toBe(2);
    expect(existsSync(join(folder, "no"))).toBe(false);
  });
});

describe("train prepares text that it should not read whole", () => {
  it("a folder of files, once, into the cache; resumed runs find it by their checkpoint's vocabulary", {
    timeout: 120_000,
  }, async () => {
    const cache = join(folder, "cache");
    vi.stubEnv("KILN_CORPORA", cache);
    const texts = join(folder, "texts");
    mkdirSync(join(texts, "deep"), { recursive: true });
    await run("generate", "--bytes", "10kB", "-o", join(texts, "a.txt"));
    await run("generate", "--bytes", "10kB", "-o", join(texts, "deep", "b.txt"), "--seed", "1");
    const first = await train("cached", "--corpus", texts, "--steps", "1");
    expect([first.code, first.err]).toEqual([
      0,
      expect.stringMatching(/texts has .* of text: it is prepared first, once, into /),
    ]);
    expect(readdirSync(cache)).toHaveLength(1);
    const second = await train("cached", "--corpus", texts, "--steps", "1");
    expect(second.err).toContain(
      `${texts} is prepared already: ${join(cache, readdirSync(cache)[0] ?? "")}\n`,
    );
    const checkpoint = join(folder, "cached", "checkpoint.safetensors");
    const resume = ["--resume", checkpoint, "--device", "software", "--out", join(folder, "cached")];
    const resumed = await run("train", spec, "--steps", "2", ...resume);
    expect([resumed.code, resumed.err.includes("is prepared already: ")]).toEqual([0, true]);
    const other = await train("cached", "--corpus", texts, "--steps", "1", "--set", "vocab=100");
    expect(other.err).toContain("it is prepared first");
    expect(readdirSync(cache)).toHaveLength(2);
    // A text that has changed is another text.
    await run("generate", "--bytes", "20kB", "-o", join(texts, "a.txt"), "--force");
    expect((await train("cached", "--corpus", texts, "--steps", "1")).err).toContain("it is prepared first");
    expect(readdirSync(cache)).toHaveLength(3);
  });

  it("where --prepared says, however small; from then on that folder is the run's corpus", {
    timeout: 120_000,
  }, async () => {
    const text = join(folder, "named.txt");
    await run("generate", "--bytes", "10kB", "-o", text);
    const into = join(folder, "named");
    const first = await train("named-run", "--corpus", text, "--prepared", into, "--steps", "1");
    expect([first.code, first.err]).toEqual([
      0,
      expect.stringContaining("it is prepared first, once, into "),
    ]);
    expect(JSON.parse(readFileSync(join(folder, "named-run", "run.json"), "utf8"))).toMatchObject({
      corpus: into,
    });
    const second = await train("named-run", "--corpus", text, "--prepared", into, "--steps", "1");
    expect(second.err).toContain(`${text} is prepared already: ${into}\n`);
    // Another tokenizer's place is not taken without being asked.
    const other = await train("named-run", "--corpus", text, "--prepared", into, "--set", "vocab=100");
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringContaining(`error: ${into} is there already\n`),
    ]);
    const twice = await train("named-run", "--corpus", into, "--prepared", into);
    expect([twice.code, twice.err]).toEqual([
      2,
      expect.stringContaining("is prepared already: leave --prepared out"),
    ]);
    expect((await train("named-run", "--prepared", into)).code).toBe(2);
  });

  it("beyond 64 MiB, into the cache; a damaged one is prepared anew", { timeout: 300_000 }, async () => {
    vi.stubEnv("KILN_CORPORA", join(folder, "large-cache"));
    // A text, and blank lines to the end.
    const text = join(folder, "large.txt");
    await run("generate", "--bytes", "10kB", "-o", text);
    const lines = `${" ".repeat(1023)}\n`.repeat(2 ** 12);
    for (let i = 0; i < 17; i++) writeFileSync(text, lines, { flag: "a" });
    truncateSync(text, 64 * 2 ** 20 + 1);
    const first = await train("large", "--corpus", text, "--steps", "1");
    expect([first.code, first.err]).toEqual([
      0,
      expect.stringMatching(/large\.txt has 64\.0 MiB of text: it is prepared first/),
    ]);
    const cached = join(folder, "large-cache", readdirSync(join(folder, "large-cache"))[0] ?? "");
    writeFileSync(join(cached, "manifest.json"), "{");
    const anew = await train("large", "--corpus", text, "--steps", "1");
    expect([anew.code, anew.err.includes("it is prepared first")]).toEqual([0, true]);
    truncateSync(text, 64 * 2 ** 20);
    const whole = await train("large", "--corpus", text, "--steps", "1");
    expect([whole.code, whole.err.includes("it is prepared")]).toEqual([0, false]);
  });
});
