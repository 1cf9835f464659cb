import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseProgram } from "../../compiler/program/index.ts";
import { run } from "./capture.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-cli-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const line = `model Line(size: dim) {
  param weight: f32[size] = zeros()
  forward(tokens: i32[B, T], weights: f32[B, P]) {
    loss square = mean((sum(weights) - sum(weight)) ** 2)
  }
}
model Small = Line(size: 8)
import "lib/data.bert"
train Small {
  data PretrainingPairs(batch: 2, max_len: 16, predictions: 2)
  minimize square
  optimizer sgd(lr: 0.1)
  steps 3
}
`;

describe("usage", () => {
  it.each([
    [["chek"], "unknown command 'chek'", "did you mean check?"],
    [["check", "--jsn", "x.bert"], "unknown option '--jsn'", "did you mean --json?"],
    [["check"], "missing required argument 'spec'", "--help lists what there is"],
    [["check", "a.bert", "b.bert"], "too many arguments", "--help lists"],
    [["train", "a.bert", "--steps", "0"], "whole number of 1 or more", "--help lists"],
    [["train", "a.bert", "--seed", "4294967296"], "whole number from 0 to 4294967295", "--help lists"],
    [["train", "a.bert", "--device", "gpu"], "Allowed choices are auto, software", "--help lists"],
    [["train", "a.bert", "--memory", "40m"], "a size above 0, for instance 2GiB, 500MB", "--help lists"],
    [["compile", "a.bert", "--memory", "0"], "a size above 0", "--help lists"],
    [["compare", "a.bert", "--memory", "2GiB", "--ablate-time"], "exclude each other", "leave out one"],
    [["check", "a.bert", "--set", "batch"], "name=value", "--help lists"],
    [["encode", "a.bert", "text"], "required option '--checkpoint <file>' not specified", "--help lists"],
    [
      ["encode", "a.bert", "text", "--checkpoint", "c", "--format", "safetensors"],
      "needs --output",
      "-o vectors",
    ],
    [["compile", "a.bert", "-o", "x"], "--output needs --emit", "--emit program"],
    [["compare", "a.bert", "--tolerance", "-1"], "a number above 0", "--help lists"],
  ])("%j is wrong usage", async (args, message, hint) => {
    const { code, out, err } = await run(...args);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain(`error: `);
    expect(err).toContain(message);
    expect(err).toContain(hint);
    expect(err).not.toMatch(/\n\s+at /);
    const asJson = await run(...args, "--json");
    expect(asJson.json()).toMatchObject({ error: { message: expect.stringContaining(message) } });
  });

  it("without a command prints help and fails; with --help prints it and does not", async () => {
    const none = await run();
    expect([none.code, none.out]).toEqual([2, ""]);
    expect(none.err).toContain("Commands:");
    const help = await run("--help");
    expect([help.code, help.err]).toEqual([0, ""]);
    for (const name of ["train", "compare", "check", "compile", "encode", "eval", "fmt", "fetch"]) {
      expect(help.out).toMatch(new RegExp(`^ {2}${name} `, "m"));
      const own = await run(name, "--help");
      expect([own.code, own.err]).toEqual([0, ""]);
      expect(own.out).toContain("--json");
    }
  });
});

describe("check", () => {
  it("prints what the model is", async () => {
    const { code, out } = await run("check", file("line.bert", line));
    expect(code).toBe(0);
    expect(out).toMatch(/^weight\s+\[8\]\s+8$/m);
    expect(out).toMatch(/^total\s+1 tensors\s+8$/m);
    expect(out).toMatch(/^losses\s+square$/m);
  });

  it("gives it as JSON", async () => {
    const result = await run("check", file("line.bert", line), "--json");
    expect(result.json()).toMatchObject({
      parameters: 8,
      params: [{ name: "weight", shape: [8] }],
      inputs: [
        { name: "tokens", dtype: "i32", shape: [2, 16] },
        { name: "weights", dtype: "f32", shape: [2, 2] },
      ],
      losses: ["square"],
    });
  });

  it("reports all errors with their places, and the first as the error of the JSON object", async () => {
    const path = file("wrong.bert", line.replace("size: 8", "sise: 8").replace("sum(weight)", "sum(weigt)"));
    const { code, err, json } = await run("check", path, "--json");
    expect(code).toBe(1);
    expect(err).toContain("sum(weigt)");
    const { error, errors } = json();
    expect(error).toMatchObject({
      message: expect.any(String),
      file: path,
      line: expect.any(Number),
      column: expect.any(Number),
    });
    expect(errors).toHaveLength(2);
    expect(JSON.stringify(errors)).toMatch(/did you mean `weight`.*did you mean `size`/);
  });

  it.each([
    ["a missing file", "none.bert", undefined, "no such file"],
    ["a folder", ".", undefined, "is a folder"],
    ["bytes that are no text", "bytes.bert", Uint8Array.of(0x6d, 0xff, 0xfe), "is not UTF-8 text"],
    ["a huge file", "huge.bert", "/".repeat(5 * 1024 * 1024), "too large"],
    ["an empty file", "empty.bert", "", "train"],
  ])("refuses %s", async (_, name, content, message) => {
    const path = content === undefined ? join(folder, name) : file(name, content);
    const result = await run("check", path, "--json");
    expect(result.code).toBe(1);
    expect(JSON.stringify(result.json().error)).toContain(message);
  });

  it("overrides settings, and names the one meant", async () => {
    const spec = file("set.bert", `setting size: int = 8\n${line.replace("size: 8", "size: size")}`);
    expect((await run("check", spec, "--set", "size=5", "--json")).json()).toMatchObject({ parameters: 5 });
    const wrong = await run("check", spec, "--set", "sise=5");
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("did you mean `size`");
  });
});

describe("compile", () => {
  it("prints every stage on standard output alone", async () => {
    const spec = file("line.bert", line);
    for (const [stage, pattern] of [
      ["graph", /parameter|state/],
      ["schedule", /^\/\/ entry train\n/],
      ["wgsl", /^\/\/ ---- kernel 0: [\s\S]*@compute/],
      ["program", /^\{"format":"kiln-program"/],
    ] as const) {
      const { code, out, err } = await run("compile", spec, "--device", "software", "--emit", stage);
      expect(code).toBe(0);
      expect(out).toMatch(pattern);
      expect(err).toMatch(/^compiled in .*\(.*schedule .*\); peak memory of the process [\d.]+ [MG]iB\n$/);
    }
  });

  it("writes a program that reads back", async () => {
    const target = join(folder, "line.kiln.json");
    const args = [
      "compile",
      file("line.bert", line),
      "--device",
      "software",
      "--emit",
      "program",
      "-o",
      target,
      "--json",
    ];
    const result = await run(...args);
    expect(result.code).toBe(0);
    const program = parseProgram(readFileSync(target, "utf8"));
    expect(result.json()).toMatchObject({ name: "Small", hash: program.hash, parameters: 8, output: target });
  });
});

describe("fmt", () => {
  const untidy = "setting  a :int=1 // why\n";
  const tidy = /^setting a: int = 1\s+\/\/ why\n$/;

  it("formats in place, once", async () => {
    const path = file("untidy.bert", untidy);
    const first = await run("fmt", path, "--json");
    expect([first.code, first.json()]).toEqual([0, { files: [path], changed: [path] }]);
    expect(readFileSync(path, "utf8")).toMatch(tidy);
    const second = await run("fmt", path);
    expect([second.code, second.out]).toEqual([0, "1 file, already formatted\n"]);
  });

  it("--check changes nothing and fails", async () => {
    const path = file("untidy.bert", untidy);
    const { code, err } = await run("fmt", "--check", path);
    expect(code).toBe(1);
    expect(err).toContain("untidy.bert is not formatted");
    expect(readFileSync(path, "utf8")).toBe(untidy);
  });

  it("leaves a file with errors as it is and says which", async () => {
    const path = file("broken.bert", "setting = = 1");
    const { code, err } = await run("fmt", path);
    expect(code).toBe(1);
    expect(err).toContain("broken.bert:1:");
    expect(readFileSync(path, "utf8")).toBe("setting = = 1");
  });
});
