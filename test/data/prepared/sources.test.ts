import { mkdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findSources } from "../../../runtime/data/index.ts";
import { testFolder } from "./folder.ts";

const files = testFolder("sources");

describe("the text files of a corpus", () => {
  test("all below a folder, sorted by name; hidden and other files are none", async () => {
    for (const name of ["b.txt", "a/z.text", "a/b/c.tokens", "notes.md", ".hidden.txt", ".git/x.txt"]) {
      files.write(`mixed/${name}`, "text");
    }
    const { files: found, bytes, leftOut } = await findSources(files.path("mixed"));
    expect(found.map(({ name, split }) => [name, split])).toEqual([
      ["a/b/c.tokens", undefined],
      ["a/z.text", undefined],
      ["b.txt", undefined],
    ]);
    expect([bytes, leftOut]).toEqual([12, []]);
  });

  test("with splits, by folder or by name; what belongs to none is left out", async () => {
    for (const name of [
      "train/x.txt",
      "train/valid.txt",
      "wiki.valid.tokens",
      "test.txt",
      "more/notes.txt",
    ]) {
      files.write(`split/${name}`, "text");
    }
    const { files: found, leftOut } = await findSources(files.path("split"));
    expect(found.map(({ name, split }) => [name, split])).toEqual([
      ["test.txt", "test"],
      ["train/valid.txt", "train"],
      ["train/x.txt", "train"],
      ["wiki.valid.tokens", "valid"],
    ]);
    expect(leftOut).toEqual(["more/notes.txt"]);
  });

  test("what is no corpus is told", async () => {
    await expect(findSources(files.path("none"))).rejects.toThrow(/^there is no corpus at /);
    mkdirSync(files.path("empty"));
    await expect(findSources(files.path("empty"))).rejects.toThrow(/^the folder .*empty has no text$/);
    files.write("blank/a.txt", "");
    await expect(findSources(files.path("blank"))).rejects.toThrow(/has no text$/);
    await expect(findSources(files.path("blank/a.txt"))).rejects.toThrow(/a\.txt is empty$/);
    files.write("held/valid.txt", "text");
    await expect(findSources(files.path("held"))).rejects.toThrow(/has no training split beside valid\.txt$/);
  });
});
