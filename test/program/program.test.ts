import { describe, expect, test } from "vitest";
import {
  ProgramFormatError,
  parseProgram,
  programHash,
  serializeProgram,
} from "../../compiler/program/index.ts";
import { compileSpec } from "../compiler/specs.ts";

const { program } = compileSpec("models/bert-tiny.bert");
const text = serializeProgram(program);

describe("a program as a file", () => {
  test("reads back as it was", () => {
    expect(parseProgram(text)).toEqual(program);
  });

  test("the same spec gives the same bytes, another setting another hash", () => {
    expect(serializeProgram(compileSpec("models/bert-tiny.bert").program)).toBe(text);
    expect(compileSpec("models/bert-tiny.bert", { settings: { hidden: "32" } }).program.hash).not.toBe(
      program.hash,
    );
  });

  test("labels are no part of the hash", () => {
    const entries = Object.fromEntries(
      Object.entries(program.entries).map(([name, entry]) => [
        name,
        { ...entry, steps: entry.steps.map((s) => (s.kind === "dispatch" ? { ...s, label: "another" } : s)) },
      ]),
    );
    expect(programHash({ ...program, entries })).toBe(program.hash);
  });

  test.each([
    ["cut short", text.slice(0, text.length / 2), "cut short"],
    ["another JSON", '{"format": "gguf"}', "not a Kiln program"],
    ["a list", "[]", "not a Kiln program"],
    ["another version", JSON.stringify({ ...program, version: 2 }), "version 2"],
    ["a field missing", JSON.stringify({ ...program, kernels: undefined }), "fields are missing"],
    ["one number changed", text.replace('"steps":', '"stepz":'), "damaged"],
  ])("%s is refused with a reason", (_name, broken, reason) => {
    expect(() => parseProgram(broken)).toThrow(ProgramFormatError);
    expect(() => parseProgram(broken)).toThrow(reason);
  });
});
