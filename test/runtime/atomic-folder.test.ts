import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeFolderAtomically } from "../../runtime/checkpoint/index.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kiln-folder-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("a folder is there whole, or not at all", async () => {
  const path = join(root, "below", "new");
  await writeFolderAtomically({ path, replace: false, marker: "a" }, async (partial) => {
    expect(await readdir(partial)).toEqual([]);
    await writeFile(join(partial, "a"), "1");
    // Not in its place before it is done.
    expect(await readdir(join(root, "below"))).not.toContain("new");
  });
  expect(await readdir(path)).toEqual(["a"]);
  const failed = writeFolderAtomically({ path, replace: true, marker: "a" }, async (partial) => {
    await writeFile(join(partial, "a"), "2");
    throw new Error("the disk is full");
  });
  await expect(failed).rejects.toThrow(`${path} could not be written: the disk is full`);
  expect(await readFile(join(path, "a"), "utf8")).toBe("1");
  expect(await readdir(join(root, "below"))).toEqual(["new"]);
});

test("what is there is replaced only if it is of the kind, and was asked for", async () => {
  const path = join(root, "there");
  const write = (replace: boolean) =>
    writeFolderAtomically({ path, replace, marker: "a" }, (partial) => writeFile(join(partial, "a"), "new"));
  await mkdir(path);
  await writeFile(join(path, "b"), "mine");
  await expect(write(false)).rejects.toThrow(`${path} exists already`);
  await expect(write(true)).rejects.toThrow(`${path} is no folder that has a: it is not replaced`);
  await writeFile(join(path, "a"), "old");
  await write(true);
  expect(await readdir(path)).toEqual(["a"]);
  const file = join(root, "file");
  await writeFile(file, "mine");
  await expect(
    writeFolderAtomically({ path: file, replace: true, marker: "a" }, async () => {}),
  ).rejects.toThrow("it is not replaced");
  expect(await readFile(file, "utf8")).toBe("mine");
});

test("a folder that comes while it is written stays", async () => {
  const path = join(root, "race");
  const write = writeFolderAtomically({ path, replace: false, marker: "a" }, async (partial) => {
    await writeFile(join(partial, "a"), "late");
    await mkdir(path);
    await writeFile(join(path, "a"), "first");
  });
  await expect(write).rejects.toThrow(`${path} exists already`);
  expect(await readFile(join(path, "a"), "utf8")).toBe("first");
});

test("a process that is killed in the middle leaves nothing in its place, and its leftovers go with the next", async () => {
  const path = join(root, "killed");
  const module = new URL("../../runtime/checkpoint/index.ts", import.meta.url).href;
  const script = `
    const { writeFolderAtomically } = await import(${JSON.stringify(module)});
    await writeFolderAtomically({ path: ${JSON.stringify(path)}, replace: false, marker: "a" }, async () => {
      console.log("half");
      await new Promise((resolve) => setTimeout(resolve, 60000));
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const names = async () => (await readdir(root)).filter((name) => name.startsWith("killed"));
  expect(await names()).toEqual([`killed.${child.pid}.partial`]);
  await writeFolderAtomically({ path, replace: false, marker: "a" }, (partial) =>
    writeFile(join(partial, "a"), "1"),
  );
  expect(await names()).toEqual(["killed"]);
});
