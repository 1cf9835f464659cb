import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile } from "../../compiler/index.ts";
import type { Program, Tuning } from "../../compiler/program/index.ts";
import { problemsOf } from "../../compiler/schedule/index.ts";
import { type AdapterIdentity, openDevice, softwareProfile } from "../../runtime/device/index.ts";
import { diskLoader } from "../../tools/spec.ts";
import { readTuningFile, tunedFor, updateTuningFile } from "../../tools/tuning/tuning-file.ts";
import { run } from "./capture.ts";

const spec = "models/bert-tiny.bert";
const settings = {
  vocab: "32",
  layers: "1",
  hidden: "16",
  heads: "2",
  ffn: "16",
  max_len: "32",
  predictions: "2",
  batch: "4",
};
const small = [
  "--device",
  "software",
  ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
];

let folder: string;
let adapter: AdapterIdentity;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kiln-tune-"));
  const kiln = await openDevice({ prefer: "software" });
  adapter = kiln.adapter;
  kiln.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

function compiled(tuning?: Tuning) {
  const result = compile(spec, {
    ...diskLoader,
    settings,
    profile: softwareProfile,
    ...(tuning !== undefined && { tuning }),
  });
  const { program, stages } = result;
  if (program === undefined || stages === undefined) throw new Error("the spec is right");
  return { program, schedules: stages.schedules };
}

/** Variants of all kernels of the training step, by key. */
function variantsByKey(): ReadonlyMap<string, readonly string[]> {
  const steps = compiled().schedules.get("train")?.steps ?? [];
  const problems = steps.flatMap((step) =>
    step.kind === "dispatch" ? problemsOf(step.kernel, softwareProfile) : [],
  );
  return new Map(problems.map(({ key, variants }) => [key, variants]));
}

/** For every kernel that has a choice, another than the cost model's. */
function otherChoices(): Tuning {
  return Object.fromEntries(
    [...variantsByKey()].flatMap(([key, variants]) => (variants.length > 1 ? [[key, variants.at(-1)!]] : [])),
  );
}

const kernelsOf = (program: Program): ReadonlySet<string> => new Set(program.kernels.map(({ wgsl }) => wgsl));

describe("tune", () => {
  test("tries variants, writes what wins for this adapter, and all variants compute the same", {
    timeout: 240_000,
  }, async () => {
    const path = join(folder, "tuned.json");
    const tuned = await run("tune", spec, "--time", "5s", "-o", path, "--json", ...small);
    expect(tuned.err).toContain("SwiftShader");
    expect(tuned.code).toBe(0);
    const result = tuned.json();
    expect(result).toMatchObject({
      device: "SwiftShader (software)",
      adapter,
      file: path,
      rejected: [],
      stepRatio: expect.any(Number),
      interrupted: false,
    });
    const kernels = result.kernels as {
      key: string;
      chosen: string;
      variant: string;
      share: number;
      tried: number;
    }[];
    expect(kernels.length).toBeGreaterThan(0);
    const known = variantsByKey();
    for (const { key, chosen, variant, tried } of kernels) {
      expect(known.get(key)?.[0]).toBe(chosen);
      expect(known.get(key)).toContain(variant);
      expect(tried).toBeGreaterThan(0);
    }
    const shares = kernels.map(({ share }) => share);
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    const won = kernels.filter(({ chosen, variant }) => chosen !== variant);
    expect(tunedFor(await readTuningFile(path), adapter).variants).toEqual(
      Object.fromEntries(won.map(({ key, variant }) => [key, variant])),
    );
  });

  test("stops before it measures where it could not write", async () => {
    const broken = join(folder, "broken.json");
    writeFileSync(broken, "{");
    const failed = await run("tune", spec, "-o", broken, "--json", ...small);
    expect(failed.code).toBe(1);
    expect(failed.json()).toMatchObject({
      error: { message: `${broken} is not a tuning file: it is no JSON`, file: broken },
    });
    expect(failed.err).not.toContain("device:");
    expect(readFileSync(broken, "utf8")).toBe("{");
    const nowhere = await run("tune", spec, ...small);
    expect([nowhere.code, nowhere.err]).toEqual([2, expect.stringContaining("KILN_TUNING is none")]);
    const wrong = await run("tune", spec, "--time", "soon", ...small);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("a length of time")]);
  });

  test("Ctrl-C keeps what is found", { timeout: 240_000 }, async () => {
    const path = join(folder, "interrupted.json");
    const args = ["--import", "tsx", "tools/run.ts", "tune", spec, "--time", "10m", "-o", path, "--json"];
    const child = spawn(process.execPath, [...args, ...small], { stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (text) => {
      out += String(text);
    });
    child.stderr.on("data", (text) => {
      err += String(text);
    });
    // The file is there once the first kernel is done.
    const poll = setInterval(() => {
      if (!existsSync(path)) return;
      clearInterval(poll);
      child.kill("SIGINT");
    }, 100);
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect([code, err]).toEqual([130, expect.stringContaining("finishing the kernel in hand")]);
    const result = JSON.parse(out) as { interrupted: boolean; kernels: unknown[]; notMeasured: number };
    expect(result.interrupted).toBe(true);
    expect(result.kernels.length).toBeGreaterThan(0);
    expect(result.notMeasured).toBeGreaterThan(0);
    expect(tunedFor(await readTuningFile(path), adapter).adapter).toEqual(adapter);
  });
});

describe("what was tuned", () => {
  test("decides the kernels of a program; choices that they do not have are left out with one note", async () => {
    const path = join(folder, "stale.json");
    const choices = otherChoices();
    const [[key], ...others] = Object.entries(choices) as [[string, string]];
    await updateTuningFile(path, adapter, { variants: { ...choices, [key]: "by magic" }, dropped: [] });
    const result = await run("compile", spec, "--tuning", path, "--json", ...small);
    expect(result.code).toBe(0);
    expect(result.err.match(/left out/g)).toHaveLength(1);
    expect(result.err).toContain(`one choice of ${path} left out: the kernels have no such variant here`);
    expect(result.json()).toMatchObject({ tunedKernels: others.length });
    const none = await run("compile", spec, "--tuning", "none", "--json", ...small);
    expect(none.json()).toMatchObject({ tunedKernels: 0, hash: compiled().program.hash });
    expect(none.err).not.toContain("left out");
    const missing = await run("compile", spec, "--tuning", `${path}.missing`, ...small);
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("no such file")]);
  });

  test("trains to the same losses with other kernels, and a resumed run keeps them whatever the cache says", {
    timeout: 480_000,
  }, async () => {
    const tuning = otherChoices();
    const [plain, tuned] = [compiled().program, compiled(tuning).program];
    expect(tuned.tuning).toEqual(tuning);
    const before = kernelsOf(plain);
    expect(tuned.kernels.filter(({ wgsl }) => !before.has(wgsl)).length).toBeGreaterThan(10);

    const path = join(folder, "by-hand.json");
    await updateTuningFile(path, adapter, { variants: tuning, dropped: [] });
    const train = (out: string, steps: number, ...more: readonly string[]) =>
      run("train", spec, "--steps", `${steps}`, "--out", join(folder, out), "--json", ...more);
    const losses = (result: Awaited<ReturnType<typeof run>>) =>
      (result.json() as { losses: { mlm: number[]; nsp: number[] } }).losses;

    const untuned = await train("untuned", 4, "--tuning", "none", ...small);
    expect(untuned.json()).toMatchObject({ tunedKernels: 0 });
    process.env.KILN_TUNING = path;
    const whole = await train("whole", 4, ...small).finally(() => {
      process.env.KILN_TUNING = "none";
    });
    expect(whole.json()).toMatchObject({ tunedKernels: Object.keys(tuning).length });
    expect(whole.err).toContain("kernels tuned");
    for (const name of ["mlm", "nsp"] as const)
      losses(whole)[name].forEach((loss, step) => {
        const other = losses(untuned)[name][step]!;
        expect(Math.abs(loss - other) / other, `${name} of step ${step + 1}`).toBeLessThan(1e-5);
      });

    expect((await train("parts", 2, "--tuning", path, ...small)).code).toBe(0);
    const checkpoint = join(folder, "parts", "checkpoint.safetensors");
    const rest = await train("parts", 4, "--resume", checkpoint, "--device", "software");
    expect(rest.json()).toMatchObject({ firstStep: 3, tunedKernels: Object.keys(tuning).length });
    const bytes = (out: string) => readFileSync(join(folder, out, "checkpoint.safetensors"));
    expect(bytes("parts").equals(bytes("whole"))).toBe(true);
    expect(bytes("parts").equals(bytes("untuned"))).toBe(false);

    // A run that began without measured kernels goes on without them.
    process.env.KILN_TUNING = path;
    const plainRest = await train(
      "untuned",
      5,
      "--resume",
      join(folder, "untuned", "checkpoint.safetensors"),
      "--device",
      "software",
    ).finally(() => {
      process.env.KILN_TUNING = "none";
    });
    expect(plainRest.json()).toMatchObject({ firstStep: 5, tunedKernels: 0 });
  });

  test("comes too late for a program that is compiled", async () => {
    const program = join(folder, "tiny.kiln.json");
    const late = await run("train", program, "--tuning", "none", "--device", "software");
    expect([late.code, late.err]).toEqual([2, expect.stringContaining("--tuning comes too late")]);
  });
});
