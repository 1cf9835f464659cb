import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Console } from "../../tools/console.ts";
import { chooseTuning } from "../../tools/tuning/choose-tuning.ts";
import {
  defaultTuningPath,
  readTuningFile,
  TuningFileError,
  tunedFor,
  updateTuningFile,
} from "../../tools/tuning/tuning-file.ts";
import { TextSink } from "./capture.ts";

const fast = { vendor: "nvidia", architecture: "hopper", device: "H100", description: "driver 570" };
const slow = { vendor: "google", architecture: "swiftshader", device: "cpu", description: "driver 5" };

let folder: string;
let path: string;
let err: TextSink;
let console: Console;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-tuning-"));
});
beforeEach(() => {
  path = join(folder, "deep", `${Math.random()}`, "tuning.json");
  err = new TextSink();
  console = new Console({ out: new TextSink(), err, environment: {} }, false);
});
afterAll(() => rmSync(folder, { recursive: true }));

const update = (adapter: typeof fast, variants: Record<string, string>, dropped: readonly string[] = []) =>
  updateTuningFile(path, adapter, { variants, dropped });
const choose = (option: string | undefined, adapter = fast) =>
  chooseTuning(option, { adapter, name: adapter.device }, console);

describe("a tuning file", () => {
  test("is made with its folders, read back, and holds adapters side by side", async () => {
    expect(await readTuningFile(path)).toBeUndefined();
    await update(fast, { b: "2", a: "1" });
    await update(slow, { a: "3" });
    const file = await readTuningFile(path);
    expect(tunedFor(file, fast).variants).toEqual({ a: "1", b: "2" });
    expect(tunedFor(file, slow).variants).toEqual({ a: "3" });
    expect(tunedFor(file, { ...fast, description: "driver 571" }).variants).toEqual({});
    expect(tunedFor(file, { ...fast, device: "H200" }).variants).toEqual({});
  });

  test("merges: new choices replace, dropped ones go, others stay", async () => {
    await update(fast, { a: "1", b: "2", c: "3" });
    await update(slow, { c: "9" });
    await update(fast, { b: "4", d: "5" }, ["c", "nothing"]);
    const file = await readTuningFile(path);
    expect(tunedFor(file, fast).variants).toEqual({ a: "1", b: "4", d: "5" });
    expect(tunedFor(file, slow).variants).toEqual({ c: "9" });
  });

  test("has the same bytes whatever the order in which things were found", async () => {
    await update(fast, { b: "2" });
    await update(fast, { a: "1" });
    const bytes = readFileSync(path, "utf8");
    rmSync(path);
    await update(fast, { a: "1", b: "2" });
    expect(readFileSync(path, "utf8")).toBe(bytes);
  });

  test.each([
    ["", "it is no JSON"],
    ['{"format": "kiln-tuning", "version": 1, "adap', "it is no JSON"],
    ["[]", 'it has no `"format": "kiln-tuning"`'],
    ['{"format": "kiln-program"}', 'it has no `"format": "kiln-tuning"`'],
    ['{"format": "kiln-tuning", "version": 2}', "it has version 2, this Kiln reads version 1"],
    ['{"format": "kiln-tuning", "version": 1, "adapters": [{}]}', "fields are missing or of another type"],
    [
      JSON.stringify({
        format: "kiln-tuning",
        version: 1,
        adapters: [{ adapter: fast, variants: { a: 1 } }],
      }),
      "fields are missing or of another type",
    ],
  ])("that is broken is named and never overwritten: %s", async (text, reason) => {
    await update(fast, {});
    writeFileSync(path, text);
    await expect(readTuningFile(path)).rejects.toThrow(TuningFileError);
    await expect(readTuningFile(path)).rejects.toThrow(`${path} is not a tuning file: ${reason}`);
    await expect(update(fast, { a: "1" })).rejects.toThrow(TuningFileError);
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});

describe("which choices are taken", () => {
  const withDefault = async <T>(value: string, work: () => Promise<T>): Promise<T> => {
    const before = process.env.KILN_TUNING;
    process.env.KILN_TUNING = value;
    try {
      return await work();
    } finally {
      process.env.KILN_TUNING = before;
    }
  };

  test("those of the cache for this adapter, unless another file or none is named", async () => {
    await update(fast, { a: "cached" });
    await withDefault(path, async () => {
      expect((await choose(undefined))?.variants).toEqual({ a: "cached" });
      expect(await choose(undefined, slow)).toBeUndefined();
      expect(await choose("none")).toBeUndefined();
      const other = `${path}.other`;
      await updateTuningFile(other, fast, { variants: { a: "named" }, dropped: [] });
      expect((await choose(other))?.variants).toEqual({ a: "named" });
    });
    expect(await withDefault("none", () => choose(undefined))).toBeUndefined();
    expect(err.text).toBe("");
  });

  test("the cache is in the person's cache folder where the environment says nothing", async () => {
    expect(await withDefault("", async () => defaultTuningPath())).toMatch(/kiln.*tuning\.json$/);
    expect(await withDefault("/x/y.json", async () => defaultTuningPath())).toBe("/x/y.json");
    expect(await withDefault("none", async () => defaultTuningPath())).toBeUndefined();
  });

  test("a broken cache is warned of and left out; a broken or missing file that was named is an error", async () => {
    await update(fast, {});
    writeFileSync(path, "{");
    expect(await withDefault(path, () => choose(undefined))).toBeUndefined();
    expect(err.text).toBe(
      `warning: ${path} is not a tuning file: it is no JSON; it is left as it is and not used\n`,
    );
    await expect(choose(path)).rejects.toThrow(`${path} is not a tuning file`);
    await expect(choose(`${path}.missing`)).rejects.toThrow("no such file");
    expect(existsSync(`${path}.missing`)).toBe(false);
  });

  test("a named file without this adapter is said to have nothing", async () => {
    await update(fast, { a: "1" });
    expect(await choose(path, slow)).toBeUndefined();
    expect(err.text).toBe(`${path} has nothing for cpu\n`);
  });

  test("what was left out is told once", async () => {
    await update(fast, { a: "1" });
    const chosen = await choose(path);
    chosen?.noteIgnored(undefined);
    chosen?.noteIgnored({});
    expect(err.text).toBe("");
    chosen?.noteIgnored({ a: "1" });
    chosen?.noteIgnored({ a: "1" });
    expect(err.text).toBe(
      `one choice of ${path} left out: the kernels have no such variant here; \`tune\` again\n`,
    );
  });
});
