import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTensorFile } from "../../runtime/checkpoint/index.ts";
import { run } from "./capture.ts";

/** A classifier of the generated entailment task, small enough to be trained in a test, from an encoder as small. */
const sizes = ["vocab=256", "layers=1", "hidden=16", "heads=2", "ffn=16", "batch=8"];
const set = (...settings: readonly string[]) => settings.flatMap((setting) => ["--set", setting]);

let folder: string;
let pretrained: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kiln-fine-tune-"));
  const out = join(folder, "pretrained");
  pretrained = join(out, "checkpoint.safetensors");
  const steps = ["--steps", "2", "--device", "software", "--out", out];
  const trained = await run("train", "models/bert-tiny.bert", ...steps, ...set(...sizes), "--json");
  expect(trained.err).toContain("held out after step 2");
  expect(trained.code).toBe(0);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

const classify = (out: string, ...more: readonly string[]) =>
  run(
    ...["train", "models/bert-classify.bert", "--init", pretrained, "--device", "software", "--json"],
    ...["--out", join(folder, out), "--eval-batches", "4", ...set(...sizes, "steps=6"), ...more],
  );

async function bytesOf(path: string, name: string): Promise<Buffer> {
  const { tensors } = await readTensorFile(path);
  const pieces: Uint8Array[] = [];
  for await (const piece of tensors.get(name)!.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe("fine-tuning", () => {
  it("starts from an encoder, measures as it goes, keeps the best, resumes bitwise, is evaluated and used", {
    timeout: 240_000,
  }, async () => {
    const whole = await classify("whole", "--eval-every", "2");
    expect(whole.code, whole.err).toBe(0);
    expect(whole.err).toContain("started from");
    expect(whole.err).toContain("drawn anew: classifier.weight, classifier.bias");
    expect(whole.err).toContain("not used: masked_lm.dense.weight");
    const result = whole.json();
    expect(result).toMatchObject({
      steps: 6,
      heldOut: {
        losses: { classification: expect.any(Number) },
        examples: 32,
        classification: {
          accuracy: expect.any(Number),
          classes: [{ label: "entailment" }, { label: "contradiction" }, { label: "neutral" }],
        },
      },
      heldOutCurve: [{ step: 2 }, { step: 4 }, { step: 6 }],
      best: { measure: "accuracy", checkpoint: join(folder, "whole/best.safetensors") },
    });
    const { heldOutCurve, best } = result as {
      heldOutCurve: { step: number; measures: Record<string, number> }[];
      best: { step: number; value: number };
    };
    const accuracies = heldOutCurve.map(({ measures }) => measures.accuracy!);
    expect(best.value).toBe(Math.max(...accuracies));
    expect(best.step).toBe(heldOutCurve[accuracies.indexOf(best.value)]!.step);
    expect((await readTensorFile(join(folder, "whole/best.safetensors"))).metadata.step).toBe(
      String(best.step),
    );
    expect(readFileSync(join(folder, "whole/held-out.csv"), "utf8").split("\n")).toHaveLength(5);
    expect(readFileSync(join(folder, "whole/loss.svg"), "utf8")).toContain("accuracy, held out");

    const half = await classify("half", "--steps", "4", "--eval-every", "2");
    expect(half.code).toBe(0);
    const more = ["--resume", join(folder, "half/checkpoint.safetensors"), "--out", join(folder, "half")];
    const spec = [
      "models/bert-classify.bert",
      "--device",
      "software",
      "--eval-every",
      "2",
      "--eval-batches",
      "4",
    ];
    const resumed = await run("train", ...spec, ...more, "--json");
    expect(resumed.code, resumed.err).toBe(0);
    expect(resumed.json().heldOutCurve).toEqual(heldOutCurve);
    expect(resumed.json().best).toMatchObject({ step: best.step, value: best.value });
    const [a, b] = ["whole", "half"].map((out) => join(folder, out, "checkpoint.safetensors"));
    for (const name of ["classifier.weight", "encoder.token.weight", "encoder.token.weight@adam.m"])
      expect(await bytesOf(b!, name)).toEqual(await bytesOf(a!, name));

    const checkpoint = ["--checkpoint", a!, "--device", "software"];
    const evaluated = await run("eval", "models/bert-classify.bert", ...checkpoint, "--split", "test");
    expect(evaluated.code, evaluated.err).toBe(0);
    expect(evaluated.out).toMatch(/accuracy +0\.\d{4}/);
    expect(evaluated.out).toContain("as contradiction");
    expect(evaluated.out).toContain("1,024 examples");

    const texts = ["the sailor mends a net patiently in the harbour", "he finds a pearl deep near the reef"];
    const told = await run("classify", "models/bert-classify.bert", ...texts, ...checkpoint, "--json");
    expect(told.code, told.err).toBe(0);
    const { classes } = told.json() as { classes: { label: string; probability: number }[] };
    expect(classes.map(({ label }) => label).sort()).toEqual(["contradiction", "entailment", "neutral"]);
    expect(classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
  });

  it("leaves frozen parameters as they were, bit by bit, and moves the others; `init from` is relative to the spec", {
    timeout: 120_000,
  }, async () => {
    const text = readFileSync("models/bert-classify.bert", "utf8");
    const spec = join(folder, "frozen.bert");
    writeFileSync(
      spec,
      text.replace(
        /init +from pretrained/,
        'init from "pretrained/checkpoint.safetensors"\n  freeze ["encoder.*"]',
      ),
    );
    const out = join(folder, "frozen");
    const trained = await run(
      ...["train", spec, "--steps", "2", "--device", "software", "--out", out, "--json"],
      ...set(...sizes),
    );
    expect(trained.code, trained.err).toBe(0);
    const after = join(out, "checkpoint.safetensors");
    for (const name of ["encoder.token.weight", "encoder.blocks.0.attention.query.weight"])
      expect(await bytesOf(after, name)).toEqual(await bytesOf(pretrained, name));
    expect(await bytesOf(after, "pooler.dense.weight")).not.toEqual(
      await bytesOf(pretrained, "pooler.dense.weight"),
    );
    const { tensors } = await readTensorFile(after);
    expect([...tensors.keys()].filter((name) => name.startsWith("encoder.") && name.includes("@"))).toEqual(
      [],
    );
  });

  it("tags words of one's own data, with a label for each", { timeout: 120_000 }, async () => {
    const data = join(folder, "tags.conll");
    writeFileSync(data, "Ada B-PER\nran O\n\nBonn B-LOC\nis O\nold O\n\n".repeat(20));
    const out = join(folder, "tags");
    const trained = await run(
      ...["train", "models/bert-tag.bert", "--corpus", data, "--device", "software", "--out", out, "--json"],
      ...["--steps", "2", ...set(...sizes, "classes=3")],
    );
    expect(trained.code, trained.err).toBe(0);
    expect(trained.json()).toMatchObject({
      heldOut: { classification: { classes: [{ label: "B-LOC" }, { label: "B-PER" }, { label: "O" }] } },
    });
    const checkpoint = ["--checkpoint", join(out, "checkpoint.safetensors"), "--device", "software"];
    const told = await run("classify", "models/bert-tag.bert", "ada is old", ...checkpoint);
    expect(told.code, told.err).toBe(0);
    expect(told.out).toMatch(/^ada +(B-PER|B-LOC|O) +0\.\d{3}$/m);
  });

  it.each<[string, readonly string[], number, string]>([
    ["both --init and --resume", ["--init", "a", "--resume", "b"], 2, "not both"],
    [
      "a checkpoint that is not there",
      ["--init", "nowhere.safetensors"],
      1,
      "there is no file nowhere.safetensors",
    ],
    ["a measure that there is not", ["--best", "f2", "--steps", "1"], 2, "there is no measure `f2`"],
    ["a column without a name", ["--columns", "text"], 2, "It must look like text=name"],
    [
      "too few classes",
      ["--set", "classes=2"],
      1,
      "the generated task has 3 labels, and the model 2 classes",
    ],
  ])("%s", { timeout: 120_000 }, async (_, more, code, message) => {
    const out = join(folder, "wrong");
    const failed = await run(
      ...[
        "train",
        "models/bert-classify.bert",
        "--device",
        "software",
        "--out",
        out,
        ...set(...sizes),
        ...more,
      ],
    );
    expect(failed.err).toContain(message);
    expect(failed.code).toBe(code);
    expect(existsSync(join(out, "best.safetensors"))).toBe(false);
  });

  it("sizes of another model are told with both shapes", { timeout: 120_000 }, async () => {
    const failed = await classify("sizes", "--set", "max_len=16");
    expect(failed.err).toContain("`encoder.position.weight` is F32[16, 16] in the spec and F32[32, 16] in");
    expect(failed.code).toBe(1);
  });
});
