import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDevice } from "../../runtime/device/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { createExecutor } from "../../runtime/execute/index.ts";
import { lineBatches, lineProgram } from "./line-program.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-device-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a script in a process of its own: Vulkan's loader is one per process and reads its variables once. */
async function inProcess(script: string, environment: Readonly<Record<string, string>>) {
  const module = JSON.stringify(new URL("../../runtime/device/index.ts", import.meta.url).href);
  const child = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      `const { openDevice } = await import(${module});\n${script}`,
    ],
    { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  let errors = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const [code, signal] = await once(child, "exit");
  return { code, signal, output: output.trim(), errors: errors.trim() };
}

const openAuto = `
  const kiln = await openDevice({ prefer: "auto" });
  console.log(kiln.name);
  const queue = kiln.device.queue;
  queue.writeBuffer(await kiln.checked("a buffer", () => kiln.device.createBuffer({ size: 4, usage: 8 })), 0, new Uint32Array(1));
  await queue.onSubmittedWorkDone();
  kiln.close();`;

describe("openDevice in a process of its own", () => {
  it("unpacks the software device into an empty cache, says nothing of its own, and lets the process end", async () => {
    const cache = join(folder, "empty");
    const { code, errors, output } = await inProcess(openAuto.replace('"auto"', '"software"'), {
      XDG_CACHE_HOME: cache,
    });
    expect({ code, errors, output }).toEqual({ code: 0, errors: "", output: "SwiftShader (software)" });
    const [only, ...others] = await readdir(join(cache, "kiln"));
    expect(others).toEqual([]);
    expect(await readdir(join(cache, "kiln", only ?? ""))).toEqual(
      expect.arrayContaining(["libvulkan.so.1", "libvk_swiftshader.so", "vk_swiftshader_icd.json"]),
    );
  });

  it("lets processes that start together unpack together", async () => {
    const cache = join(folder, "together");
    const script = openAuto.replace('"auto"', '"software"');
    const ends = await Promise.all([1, 2, 3].map(() => inProcess(script, { XDG_CACHE_HOME: cache })));
    expect(ends.map(({ code, errors }) => ({ code, errors }))).toEqual(
      [1, 2, 3].map(() => ({ code: 0, errors: "" })),
    );
    expect(await readdir(join(cache, "kiln"))).toHaveLength(1);
  });

  it("takes the temporary folder where the cache cannot be written", async () => {
    const temporary = join(folder, "temporary");
    await mkdir(temporary);
    // A file where the folder should be: root may write into any folder.
    const environment = { XDG_CACHE_HOME: "/dev/null", TMPDIR: temporary };
    const { code, output, errors } = await inProcess(openAuto.replace('"auto"', '"software"'), environment);
    expect({ code, output, errors }).toEqual({ code: 0, output: "SwiftShader (software)", errors: "" });
    expect(await readdir(temporary)).toContainEqual(expect.stringMatching(/^kiln-\d+$/));
    const nowhere = await inProcess(
      `process.env.TMPDIR = "/dev/null";
       await openDevice({ prefer: "software" }).catch((error) => console.log(error.kind, error.message, error.hint));`,
      environment,
    );
    expect(nowhere.output).toMatch(
      /^machine the software device could not be unpacked .* set XDG_CACHE_HOME to a folder/,
    );
  });

  it("takes no libraries from a folder that others could have written", async () => {
    const cache = join(folder, "shared");
    await inProcess(openAuto.replace('"auto"', '"software"'), { XDG_CACHE_HOME: cache });
    const [only] = await readdir(join(cache, "kiln"));
    await chmod(join(cache, "kiln", only ?? ""), 0o777);
    const temporary = join(folder, "temporary2");
    await mkdir(temporary);
    const { code } = await inProcess(openAuto.replace('"auto"', '"software"'), {
      XDG_CACHE_HOME: cache,
      TMPDIR: temporary,
    });
    expect(code).toBe(0);
    expect(await readdir(temporary)).toContainEqual(expect.stringMatching(/^kiln-\d+$/));
  });

  it("goes on to the software device where the system's Vulkan has no GPU", async () => {
    const cache = join(folder, "system");
    await inProcess(openAuto.replace('"auto"', '"software"'), { XDG_CACHE_HOME: cache });
    const [only] = await readdir(join(cache, "kiln"));
    const system = join(cache, "kiln", only ?? "");
    const open = (variables: Readonly<Record<string, string>>) =>
      inProcess(openAuto, { XDG_CACHE_HOME: cache, LD_LIBRARY_PATH: system, ...variables });
    // A loader without a driver; one whose only driver is software; one that is told of a driver that is not there.
    const variants = [
      {},
      { VK_ICD_FILENAMES: join(system, "vk_swiftshader_icd.json") },
      { VK_DRIVER_FILES: "/nowhere.json" },
    ] as const;
    for (const variables of variants) {
      const { code, output } = await open(variables);
      expect({ code, output }).toEqual({ code: 0, output: "SwiftShader (software)" });
    }
  });
});

describe("a device that fails", () => {
  it("is reported once it is lost, and nothing hangs", async () => {
    const kiln = await openDevice({ prefer: "software" });
    const executor = await createExecutor(lineProgram({ batch: 4, accumulate: 1 }), kiln);
    const { fields } = await lineBatches(4).next();
    await executor.run("train", fields);
    const underWay = executor.run("train", fields);
    // Not through `close`: as if the driver had taken it away.
    kiln.device.destroy();
    await kiln.device.lost;
    const works: readonly (() => Promise<unknown>)[] = [
      () => underWay,
      () => executor.run("train", fields),
      () => kiln.checked("a test", () => 1),
    ];
    for (const work of works) {
      const error: unknown = await Promise.resolve()
        .then(() => work())
        .then(
          () => "fine",
          (thrown) => thrown,
        );
      // The run that was under way may have been done in time.
      if (error === "fine") continue;
      expect(error).toBeInstanceOf(KilnError);
      expect(error instanceof KilnError && [error.kind, error.exitCode, error.message]).toEqual([
        "machine",
        3,
        expect.stringMatching(/^the device `SwiftShader \(software\)` was lost/),
      ]);
    }
    expect(() => kiln.throwIfFailed()).toThrow(/was lost/);
    executor.destroy();
    kiln.close();
  });

  it("surfaces errors that no scope caught", async () => {
    const kiln = await openDevice({ prefer: "software" });
    kiln.device.createBuffer({ size: 4, usage: 0x81 });
    await kiln.device.queue.onSubmittedWorkDone();
    expect(() => kiln.throwIfFailed()).toThrow(/reported an error: .*MapRead/s);
    kiln.close();
    expect(() => kiln.close()).not.toThrow();
  });

  it("says so when it is used after it was closed", async () => {
    const kiln = await openDevice({ prefer: "software" });
    kiln.close();
    expect(() => kiln.throwIfFailed()).toThrow("the device `SwiftShader (software)` is closed");
  });
});
