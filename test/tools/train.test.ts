import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FusionRule, fusionRuleNames } from "../../compiler/schedule/index.ts";
import { readTensorFile } from "../../runtime/checkpoint/index.ts";
import type { Comparison } from "../../tools/compare/figures.ts";
import type { Roofline } from "../../tools/compare/roofline.ts";
import { type Captured, run } from "./capture.ts";

let folder: string;
let corpus: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-train-"));
  corpus = join(folder, "corpus.txt");
  const words = ["crane", "driver", "bird", "river", "tree", "house", "came", "left", "saw", "flew"];
  const word = (n: number): string => words[(n * 7919 + (n >> 3)) % words.length] ?? "";
  const sentence = (n: number): string => `the ${word(n)} ${word(n + 1)} a ${word(n + 2)}`;
  const paragraph = (n: number): string =>
    ` ${[0, 1, 2, 3].map((i) => sentence(4 * n + i)).join(" . ")} . \n`;
  writeFileSync(corpus, Array.from({ length: 120 }, (_, n) => paragraph(n)).join(""));
});
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

const children: ChildProcess[] = [];
const spec = "models/bert-tiny.bert";
const small = [
  "vocab=32",
  "layers=1",
  "hidden=16",
  "heads=2",
  "ffn=16",
  "max_len=16",
  "predictions=2",
  "batch=4",
];
const common = (out: string): string[] => [
  ...["--device", "software", "--corpus", corpus, "--out", join(folder, out)],
  ...small.flatMap((setting) => ["--set", setting]),
];

describe("train", () => {
  it("leaves losses, a curve and a checkpoint that encodes, and resumes bitwise", {
    timeout: 120_000,
  }, async () => {
    const whole = await run("train", spec, "--steps", "6", "--seed", "7", "--json", ...common("whole"));
    expect(whole.err).toContain("SwiftShader (software); slow");
    expect(whole.code).toBe(0);
    const result = whole.json();
    expect(result).toMatchObject({
      device: "SwiftShader (software)",
      steps: 6,
      losses: { mlm: expect.any(Array), nsp: expect.any(Array) },
      mean: { mlm: expect.any(Number), nsp: expect.any(Number) },
      pairsPerSecond: expect.any(Number),
      skipped: 0,
      vocabulary: 18,
      checkpoint: join(folder, "whole", "checkpoint.safetensors"),
      heldOut: { losses: { mlm: expect.any(Number), nsp: expect.any(Number) }, examples: 4 },
      interrupted: false,
    });
    expect(readFileSync(join(folder, "whole", "loss.svg"), "utf8")).toContain("mlm loss (nats)");

    const first = await run("train", spec, "--steps", "4", "--seed", "7", "--json", ...common("parts"));
    expect(first.code).toBe(0);
    const checkpoint = join(folder, "parts", "checkpoint.safetensors");
    // Settings, seed and corpus come from the checkpoint's folder.
    const resume = [
      "train",
      spec,
      "--resume",
      checkpoint,
      "--out",
      join(folder, "parts"),
      "--device",
      "software",
    ];
    const rest = await run(...resume, "--steps", "6", "--json");
    expect(rest.err).toContain("after step 4");
    expect(rest.json()).toMatchObject({ steps: 6, firstStep: 5 });
    const curve = (name: string): string[] =>
      readFileSync(join(folder, name, "loss.csv"), "utf8")
        .split("\n")
        .map((line) => line.split(",").slice(0, 3).join(","));
    expect(curve("parts")).toEqual(curve("whole"));
    expect(curve("whole")).toHaveLength(8);
    expect(
      readFileSync(checkpoint).equals(readFileSync(join(folder, "whole", "checkpoint.safetensors"))),
    ).toBe(true);

    const again = await run(...resume, "--steps", "6");
    expect([again.code, again.out]).toEqual([1, ""]);
    expect(again.err).toContain("has done 6 steps already");
    const otherSeed = await run(...resume, "--steps", "8", "--seed", "8");
    expect(otherSeed.err).toContain("leave --seed out");
    const otherShape = await run(...resume, "--steps", "8", "--set", "hidden=8");
    expect(otherShape.code).toBe(1);
    expect(otherShape.err).toContain("hint");

    const encode = ["encode", spec, "--checkpoint", checkpoint, "--device", "software"];
    const single = (await run(...encode, "the crane flew", "--json")).json();
    expect(single).toMatchObject({ tokens: ["<cls>", "the", "crane", "flew", "<sep>"], shape: [5, 16] });
    const pair = (await run(...encode, "the crane", "the driver left", "--json")).json();
    expect(pair.shape).toEqual([8, 16]);
    const table = await run(...encode, "the heron");
    expect(table.err).toContain("read as <unk>: heron");
    expect(table.out).toMatch(/^token +\[0\].*\.\.\. 16 +norm\n/);
    const target = join(folder, "vectors.safetensors");
    expect((await run(...encode, "the crane flew", "--format", "safetensors", "-o", target)).code).toBe(0);
    const stored = await readTensorFile(target);
    expect(stored.tensors.get("vectors")?.shape).toEqual([5, 16]);
    const chunks: Buffer[] = [];
    for await (const piece of stored.tensors.get("vectors")?.read() ?? []) chunks.push(Buffer.from(piece));
    const bytes = Uint8Array.from(Buffer.concat(chunks));
    expect(Array.from(new Float32Array(bytes.buffer))).toEqual((single.vectors as number[][]).flat());
    expect((await run(...encode, "the ".repeat(15))).err).toContain("the model takes 16");
    const wrongSpec = await run(
      "encode",
      "models/bert-small.bert",
      "--checkpoint",
      checkpoint,
      "x",
      "--device",
      "software",
    );
    expect([wrongSpec.code, wrongSpec.err.includes("was trained from models/bert-tiny.bert")]).toEqual([
      1,
      true,
    ]);

    const evaluation = await run(
      "eval",
      spec,
      "--checkpoint",
      checkpoint,
      "--device",
      "software",
      "--batches",
      "2",
      "--json",
    );
    expect(evaluation.json()).toMatchObject({
      step: 6,
      split: "valid",
      examples: 8,
      losses: { mlm: expect.any(Number) },
    });
  });

  it("plans within a memory limit, which a checkpoint remembers", { timeout: 120_000 }, async () => {
    const settings = [...small, "layers=3", "hidden=32", "ffn=128", "batch=8"].flatMap((s) => ["--set", s]);
    const compiled = await run("compile", spec, "--device", "software", "--json", ...settings);
    const unlimited = Number(compiled.json().plannedBytes);
    const memory = Math.floor(0.8 * unlimited);
    const train = async (out: string, ...options: readonly string[]) => {
      const common = ["--device", "software", "--corpus", corpus, "--out", join(folder, out), "--json"];
      const { code, err, json } = await run("train", spec, ...common, ...options);
      expect(code).toBe(0);
      return { err, result: json() };
    };
    const limit = [...settings, "--memory", `${memory}B`];
    const whole = await train("limited", "--steps", "4", ...limit);
    expect(whole.err).toMatch(
      /memory: planned peak [\d.]+ MiB, [\d.]+ MiB without recomputation; \d+ tensors are computed again, \+[\d.]+ % FLOPs\n/,
    );
    const planned = Number(whole.result.plannedBytes);
    expect(planned).toBeLessThanOrEqual(memory);
    expect(whole.result.memory).toMatchObject({ peakBytes: planned, unlimitedBytes: unlimited });
    await train("halves", "--steps", "2", ...limit);
    const halves = join(folder, "halves", "checkpoint.safetensors");
    const rest = await train("halves", "--steps", "4", "--resume", halves);
    expect(rest.result).toMatchObject({ firstStep: 3, plannedBytes: planned, memory: whole.result.memory });
    const limited = join(folder, "limited", "checkpoint.safetensors");
    expect(readFileSync(halves).equals(readFileSync(limited))).toBe(true);
  });

  it("trains in mixed precision, which a checkpoint remembers", { timeout: 120_000 }, async () => {
    const settings = small.flatMap((setting) => ["--set", setting]);
    const train = async (out: string, ...options: readonly string[]) => {
      const common = ["--device", "software", "--corpus", corpus, "--out", join(folder, out), "--json"];
      const { code, err, json } = await run("train", spec, ...common, ...options);
      expect(code).toBe(0);
      return { err, result: json() };
    };
    const mixed = [...settings, "--precision", "mixed"];
    const whole = await train("mixed", "--steps", "4", ...mixed);
    expect(whole.err).toContain("mixed precision is emulated on this device: same numbers, no gain\n");
    // So few examples have gradients too large for the first scales.
    expect(whole.err).toContain(
      "step 1: the gradient is not finite, so the step was skipped and the loss scale is now 32,768\n",
    );
    expect(whole.err).toContain("loss scale: 16,384\n");
    expect(whole.result).toMatchObject({ precision: "mixed", lossScale: 16384, skipped: 2 });
    await train("mixed-halves", "--steps", "2", ...mixed);
    const halves = join(folder, "mixed-halves", "checkpoint.safetensors");
    const rest = await train("mixed-halves", "--steps", "4", "--resume", halves);
    expect(rest.result).toMatchObject({ firstStep: 3, precision: "mixed", lossScale: 16384 });
    const done = join(folder, "mixed", "checkpoint.safetensors");
    expect(readFileSync(halves).equals(readFileSync(done))).toBe(true);
    const plain = await train("plain", "--steps", "2", ...settings);
    expect(plain.result.precision).toBe("f32");
    expect(plain.result).not.toHaveProperty("lossScale");
    expect(plain.err).not.toContain("precision");
    // From f32 to mixed: the scale starts as that of a new run.
    const from = join(folder, "plain", "checkpoint.safetensors");
    const changed = await train("changed", "--steps", "3", "--resume", from, "--precision", "mixed");
    expect(changed.result).toMatchObject({ firstStep: 3, precision: "mixed", lossScale: 32768, skipped: 1 });
  });

  it("runs a compiled program without its spec", { timeout: 60_000 }, async () => {
    const target = join(folder, "tiny.kiln.json");
    const settings = small.flatMap((setting) => ["--set", setting]);
    await run("compile", spec, "--device", "software", "--emit", "program", "-o", target, ...settings);
    const args = [
      "--device",
      "software",
      "--corpus",
      corpus,
      "--steps",
      "2",
      "--out",
      join(folder, "program"),
      "--json",
    ];
    expect((await run("train", target, ...args)).json()).toMatchObject({ steps: 2 });
    for (const option of [
      ["--set", "hidden=8"],
      ["--memory", "2GiB"],
      ["--precision", "mixed"],
    ]) {
      const late = await run("train", target, ...args, ...option);
      expect([late.code, late.json().error]).toMatchObject([
        2,
        { message: expect.stringContaining("compiled already") },
      ]);
    }
    writeFileSync(target, readFileSync(target, "utf8").replace('"steps":300', '"steps":301'));
    const changed = await run("train", target, ...args);
    expect([changed.code, changed.json().error]).toMatchObject([
      1,
      { message: expect.stringContaining("hash") },
    ]);
  });

  it("names what is wrong with corpora and checkpoints", { timeout: 60_000 }, async () => {
    const missing = await run(
      "train",
      spec,
      "--device",
      "software",
      "--corpus",
      join(folder, "none"),
      "--json",
    );
    expect([missing.code, missing.json().error]).toMatchObject([
      1,
      { message: expect.stringContaining("there is no corpus") },
    ]);
    for (const command of [
      ["train", spec, "--resume", corpus],
      ["encode", spec, "x", "--checkpoint", corpus],
    ]) {
      const result = await run(...command, "--json");
      expect(result.code).toBe(1);
      expect(JSON.stringify(result.json().error)).toContain("corpus.txt");
    }
  });

  it("stops cleanly on the first Ctrl-C and at once on the second", { timeout: 120_000 }, async () => {
    const start = (out: string, ...more: string[]) => {
      const args = [
        "--import",
        "tsx",
        "tools/run.ts",
        "train",
        spec,
        "--steps",
        "100000",
        "--json",
        ...common(out),
        ...more,
      ];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      const texts = { out: "", err: "" };
      child.stdout.on("data", (chunk) => {
        texts.out += String(chunk);
      });
      const began = new Promise<void>((resolve) => {
        child.stderr.on("data", (chunk) => {
          texts.err += String(chunk);
          if (/step +[\d,]+\/100,000/.test(texts.err)) resolve();
        });
      });
      children.push(child);
      // As a shell counts: the second signal may come when the step is done and the handlers are off again.
      const ended = new Promise<number | null>((resolve) =>
        child.on("close", (code, signal) => resolve(signal === "SIGINT" ? 130 : code)),
      );
      return { child, texts, began, ended };
    };
    const one = start("interrupted");
    await Promise.race([one.began, one.ended]);
    one.child.kill("SIGINT");
    expect(await one.ended, one.texts.err).toBe(130);
    expect(JSON.parse(one.texts.out)).toMatchObject({
      interrupted: true,
      checkpoint: join(folder, "interrupted", "checkpoint.safetensors"),
    });
    expect(one.texts.err).toContain("finishing the step in flight");
    expect(one.texts.err).toMatch(
      /to go on: .*--resume .*checkpoint.safetensors --corpus .*corpus.txt --steps 100000/,
    );

    // A step this large is still in flight when the second one comes.
    const two = start("killed", "--set", "batch=512");
    await Promise.race([two.began, two.ended]);
    two.child.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 400));
    two.child.kill("SIGINT");
    expect(await two.ended, two.texts.err).toBe(130);
    expect(two.texts.out === "" || existsSync(join(folder, "killed", "checkpoint.safetensors"))).toBe(true);
  });
});

describe("compare", () => {
  const settings = small.flatMap((setting) => ["--set", setting]);
  const args = (): string[] => [
    "compare",
    spec,
    "--steps",
    "2",
    "--device",
    "software",
    "--corpus",
    corpus,
    ...settings,
  ];
  const counted = ["bytesMoved", "dispatches", "flops", "peakBytes", "pipelines", "submits"] as const;

  it("shows equal losses, fewer dispatches, what each rule is worth and where the time goes", {
    timeout: 240_000,
  }, async () => {
    const page = join(folder, "compare.html");
    const result = await run(...args(), "--html", page, "--json");
    expect(result.code).toBe(0);
    const { fused, unfused, rules, roofline } = reportOf(result);
    for (const side of [fused, unfused]) {
      expect(Object.keys(side).sort()).toEqual(
        [...counted, "kernels", "losses", "msPerStep", "roofline"].sort(),
      );
      expect(side.losses).toHaveLength(2);
      for (const name of counted) expect(side[name]).toBeGreaterThan(0);
      expect(side.msPerStep).toBeGreaterThan(0);
      expect(side.submits).toBe(1);
      expect(side.kernels).toHaveLength(side.dispatches);
      expect(side.roofline).toBeGreaterThan(0);
      // The bytes of clears and copies belong to no kernel.
      const bytes = side.kernels.reduce((sum, kernel) => sum + kernel.bytes, 0);
      expect(bytes).toBeLessThanOrEqual(side.bytesMoved);
      expect(side.kernels.reduce((sum, kernel) => sum + kernel.flops, 0)).toBe(side.flops);
      for (const { ms, bytes: moved, flops, roofline: share } of side.kernels) {
        const least = Math.max(moved / roofline.bytesPerSecond, flops / roofline.flopsPerSecond) * 1000;
        if (share !== null) expect(share * ms).toBeCloseTo(least, 9);
      }
    }
    expect(fused.dispatches).toBeLessThan(unfused.dispatches);
    expect(fused.bytesMoved).toBeLessThan(unfused.bytesMoved);
    expect(roofline.flopsPerSecond).toBeGreaterThanOrEqual(roofline.matmulFlopsPerSecond);

    expect(Object.keys(rules)).toEqual(fusionRuleNames);
    for (const side of Object.values(rules)) {
      for (const name of counted) expect(side[name]).toBeGreaterThan(0);
      expect([side.msPerStep, side.roofline, side.losses, side.kernels]).toEqual([null, null, [], []]);
    }
    expect(rules.elementwise.dispatches).toBeGreaterThan(fused.dispatches);

    const html = readFileSync(page, "utf8");
    expect(result.err).toContain(`wrote ${page}`);
    expect(html).not.toMatch(/(?:src|href)\s*=|@import|url\(|https?:\/\/(?!www\.w3\.org\/2000\/svg")/);
    for (const side of [fused, unfused]) expect(html).toContain(`: ${side.dispatches} kernels`);
  });

  it("runs the steps without each rule as well, on request, and times no kernel if told so", {
    timeout: 300_000,
  }, async () => {
    const result = await run(...args(), "--ablate-time", "--no-profile", "--json");
    expect(result.code).toBe(0);
    const { fused, rules, roofline } = reportOf(result);
    expect([roofline, fused.roofline, fused.kernels]).toEqual([null, null, []]);
    for (const side of Object.values(rules)) {
      expect(side.losses).toHaveLength(2);
      expect(side.msPerStep).toBeGreaterThan(0);
      side.losses.forEach((loss, i) => {
        expect(Math.abs(loss / fused.losses[i]! - 1)).toBeLessThan(1e-5);
      });
    }
  });
});

function reportOf(result: Captured): Report {
  return JSON.parse(result.out);
}

interface Report {
  readonly fused: Comparison;
  readonly unfused: Comparison;
  readonly rules: Readonly<Record<FusionRule, Comparison>>;
  readonly roofline: Roofline;
}
